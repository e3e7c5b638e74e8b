import { type ChildProcess, fork } from 'node:child_process';
import type { Log } from '../ports/log.ts';
import type { SignalName } from '../ports/processes.ts';
import { NODE_ARGUMENTS } from './clean-start.ts';
import { type Deputy, identityOf, KernelProcess } from './kernel-process.ts';

const MAX_WAITING = 1024; // messages the helper has not taken yet: one for each client at least

type ToHelper =
  | {
      readonly kind: 'signal';
      readonly pid: number;
      readonly identity: string;
      readonly signal: SignalName;
    }
  | { readonly kind: 'identify'; readonly pid: number; readonly question: number };

interface FromHelper {
  readonly question: number;
  readonly identity: string | null;
}

/**
 * A process forked before privileges are dropped: it signals other users' processes (spec 20 §8),
 * and sees them where /proc hides them. It starts no program and opens nothing on a disk, so no
 * disk can hold up a signal.
 */
export class Helper implements Deputy {
  readonly #child: ChildProcess;
  readonly #log: Log;
  readonly #questions = new Map<number, (identity: string | null) => void>();
  #nextQuestion = 1;
  #waiting = 0;

  constructor(helperFile: string, log: Log) {
    this.#log = log;
    const child = fork(helperFile, [], {
      execArgv: [...NODE_ARGUMENTS],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    child.on('error', (error) => this.#log.error('helper.failed', { reason: error.message }));
    child.on('exit', (status) => {
      this.#log.error('helper.ended', { status });
      for (const question of [...this.#questions.keys()])
        this.#received({ question, identity: null });
    });
    child.on('message', (message) => this.#received(message as FromHelper)); // our own program
    child.unref();
    child.channel?.unref();
    this.#child = child;
  }

  /** -1 when it could not be started. */
  get pid(): number {
    return this.#child.pid ?? -1;
  }

  signal(pid: number, identity: string, signal: SignalName): boolean {
    return this.#send({ kind: 'signal', pid, identity, signal });
  }

  identify(pid: number, answer: (identity: string | null) => void): void {
    const question = this.#nextQuestion++;
    this.#questions.set(question, answer);
    if (this.#send({ kind: 'identify', pid, question })) return;
    setImmediate(() => this.#received({ question, identity: null }));
  }

  close(): void {
    this.#child.removeAllListeners();
    if (this.#child.connected) this.#child.disconnect(); // it ends with its channel
  }

  #send(message: ToHelper): boolean {
    if (!this.#child.connected || this.#waiting >= MAX_WAITING) return false;
    this.#waiting++;
    this.#child.send(message, () => {
      this.#waiting--;
    });
    return true;
  }

  #received({ question, identity }: FromHelper): void {
    const answer = this.#questions.get(question);
    this.#questions.delete(question);
    answer?.(identity);
  }
}

/** The helper serves until its channel ends. */
export function serveHelper(): void {
  process.on('disconnect', () => process.exit(0));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  const quiet = () => {};
  const log: Log = { error: quiet, warn: quiet, info: quiet, debug: quiet };
  process.on('message', (received) => {
    const message = received as ToHelper; // from the front that forked us
    if (message.kind === 'identify') {
      const answer: FromHelper = {
        question: message.question,
        identity: identityOf(message.pid),
      };
      process.send?.(answer, () => {});
      return;
    }
    const found = KernelProcess.find(message.pid, message.identity, { deputy: null, log });
    found?.signal(message.signal); // null: gone, which is what was wanted
    found?.close();
  });
}
