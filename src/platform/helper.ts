import { type ChildProcess, fork, spawn } from 'node:child_process';
import type { Log } from '../ports/log.ts';
import type { SignalName } from '../ports/processes.ts';

const MAX_WAITING = 256; // messages the helper has not taken yet

export type ToHelper =
  | { readonly kind: 'run'; readonly program: string; readonly args: readonly string[] }
  | { readonly kind: 'signal'; readonly pid: number; readonly signal: SignalName };

export type FromHelper =
  | { readonly kind: 'ran'; readonly program: string; readonly status: number | null }
  | { readonly kind: 'notRun'; readonly program: string; readonly reason: string };

export function signalNumber(signal: SignalName): number {
  return signal === 'SIGKILL' ? 9 : 15;
}

/**
 * A process forked before privileges are dropped: it signals other users' processes, and it starts
 * kill scripts, because starting a program waits for the disk the program lies on, and the front
 * must not wait for a failing disk (spec 20 §8).
 *
 * A daemon that stays root starts it with the first script: our own program text is in memory, and
 * until then a third process would only cost memory.
 */
export class Helper {
  readonly #file: string;
  readonly #log: Log;
  #child: ChildProcess | null = null;
  #waiting = 0;

  constructor(helperFile: string, log: Log) {
    this.#file = helperFile;
    this.#log = log;
  }

  /** -1 before it is started. */
  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  /** Safe to repeat. */
  start(): ChildProcess {
    if (this.#child !== null) return this.#child;
    const child = fork(this.#file, [], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    child.on('error', (error) => this.#log.error('helper.failed', { reason: error.message }));
    child.on('exit', (status) => this.#log.error('helper.ended', { status }));
    child.on('message', (message) => this.#heard(message as FromHelper));
    child.unref();
    child.channel?.unref();
    this.#child = child;
    return child;
  }

  /** false when the helper cannot be told. */
  signal(pid: number, signal: SignalName): boolean {
    return this.#send({ kind: 'signal', pid, signal });
  }

  run(program: string, args: readonly string[]): void {
    if (!this.#send({ kind: 'run', program, args })) {
      this.#log.error('program.notRun', { program, reason: 'the helper is gone or far behind' });
    }
  }

  close(): void {
    this.#child?.removeAllListeners();
    if (this.#child?.connected === true) this.#child.disconnect(); // it ends with its channel
  }

  #send(message: ToHelper): boolean {
    const child = this.start();
    if (!child.connected || this.#waiting >= MAX_WAITING) return false;
    this.#waiting++;
    child.send(message, () => {
      this.#waiting--;
    });
    return true;
  }

  #heard(message: FromHelper): void {
    if (message.kind === 'ran') {
      this.#log.info('program.ended', { program: message.program, status: message.status });
    } else {
      this.#log.error('program.notRun', { program: message.program, reason: message.reason });
    }
  }
}

/** The helper's whole life; it ends with its channel. */
export function serveHelper(): void {
  const tell = (message: FromHelper) => process.send?.(message, () => {});
  process.on('disconnect', () => process.exit(0));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  process.on('message', (received) => {
    const message = received as ToHelper; // from the front that forked us
    if (message.kind === 'signal') {
      try {
        process.kill(message.pid, message.signal);
      } catch {
        // Already gone: what was wanted.
      }
      return;
    }
    const { program, args } = message;
    const child = spawn(program, args, { stdio: 'ignore', detached: true });
    child.on('error', (error) => tell({ kind: 'notRun', program, reason: error.message }));
    child.on('exit', (status) => tell({ kind: 'ran', program, status }));
  });
}
