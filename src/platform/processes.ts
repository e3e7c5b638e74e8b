import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Log, LogFields, LogLevel } from '../ports/log.ts';
import type { Channel, Processes, SignalName } from '../ports/processes.ts';
import { EPERM, ESRCH } from './errno.ts';
import { FdWatcher } from './fd-watcher.ts';
import { type Helper, signalNumber } from './helper.ts';
import { closeFd, lastErrno, rawSyscall } from './system-calls.ts';

/** After the name: field 22 of proc(5) is the 20th. */
const STARTTIME_FIELD = 19;
const PIDFD_SEND_SIGNAL = 424;
const PIDFD_OPEN = 434;

/** What a lease process sends: its program's message, or a line for the daemon's log. */
export type Envelope =
  | { readonly message: unknown }
  | { readonly log: LogLevel; readonly event: string; readonly fields: LogFields };

/** Lease processes, clients' pids and programs, by child processes and pidfds. */
export class NodeProcesses implements Processes {
  readonly #leaseProcessFile: string;
  readonly #leaseProcessSettings: string;
  readonly #helper: Helper;
  readonly #log: Log;
  readonly #watched = new Map<number, number>(); // pid -> pidfd

  constructor(parts: {
    readonly leaseProcessFile: string;
    /** Handed to each lease process as its second argument. */
    readonly leaseProcessSettings: string;
    readonly helper: Helper;
    readonly log: Log;
  }) {
    this.#leaseProcessFile = parts.leaseProcessFile;
    this.#leaseProcessSettings = parts.leaseProcessSettings;
    this.#helper = parts.helper;
    this.#log = parts.log;
  }

  startLeaseProcess<Out, In>(label: string): Channel<Out, In> {
    const child = fork(this.#leaseProcessFile, [label, this.#leaseProcessSettings], {
      serialization: 'advanced', // bigint and Uint8Array pass
      execArgv: [],
      // One heap for all of its threads, not one each: two megabytes less.
      env: { ...process.env, MALLOC_ARENA_MAX: '1' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    return new ChildChannel<Out, In>(child, this.#log);
  }

  /** By pidfd where we watch the pid, so that a reused pid is never hit. */
  signal(pid: number, signal: SignalName): boolean {
    const watched = this.#watched.get(pid);
    const pidfd = watched ?? openPidfd(pid);
    if (pidfd < 0) return false;
    const result = Number(rawSyscall(PIDFD_SEND_SIGNAL, pidfd, signalNumber(signal), 0, 0, 0));
    const errno = result < 0 ? lastErrno() : 0;
    if (watched === undefined) closeFd(pidfd);
    // The front gave up its privileges, the helper kept them (spec 20 §8).
    if (errno === EPERM) return this.#helper.signal(pid, signal);
    return errno !== ESRCH;
  }

  startTime(pid: number): string | null {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      // The name before may hold anything, blanks and brackets too.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const isOver = fields[0] === 'Z' || fields[0] === 'X';
      return isOver ? null : (fields[STARTTIME_FIELD] ?? null);
    } catch {
      return null;
    }
  }

  watch(pid: number, gone: () => void): { close(): void } {
    const pidfd = openPidfd(pid);
    if (pidfd < 0) {
      const soon = setImmediate(gone);
      return { close: () => clearImmediate(soon) };
    }
    this.#watched.set(pid, pidfd);
    let open = true;
    const close = () => {
      if (!open) return;
      open = false;
      watcher.close();
      if (this.#watched.get(pid) === pidfd) this.#watched.delete(pid);
      closeFd(pidfd);
    };
    const watcher = new FdWatcher(pidfd, () => {
      close();
      gone();
    });
    return { close };
  }

  run(program: string, args: readonly string[]): void {
    this.#helper.run(program, args);
  }
}

class ChildChannel<Out, In> implements Channel<Out, In> {
  readonly pid: number;
  readonly #child: ChildProcess;
  #messageHandler: ((message: In) => void) | null = null;
  #closedHandler: (() => void) | null = null;
  #open = true;

  constructor(child: ChildProcess, log: Log) {
    this.#child = child;
    this.pid = child.pid ?? -1;
    child.on('message', (envelope) => {
      const received = envelope as Envelope; // our own program, started from our own directory
      if ('log' in received) log[received.log](received.event, received.fields);
      else if (this.#open) this.#messageHandler?.(received.message as In);
    });
    child.on('error', () => this.#ended());
    child.on('disconnect', () => this.#ended());
    child.on('exit', () => this.#ended());
  }

  send(message: Out): void {
    if (this.#open && this.#child.connected) this.#child.send(message as object, () => {});
  }

  onMessage(handler: (message: In) => void): void {
    this.#messageHandler = handler;
  }

  onClosed(handler: () => void): void {
    this.#closedHandler = handler;
  }

  kill(): void {
    this.#open = false;
    this.#child.kill('SIGKILL');
    // A child stuck on its device never reports its end; nothing of ours may wait for it.
    this.#child.unref();
    this.#child.channel?.unref();
    if (this.#child.connected) this.#child.disconnect();
  }

  #ended(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#closedHandler?.();
  }
}

function openPidfd(pid: number): number {
  if (pid <= 0) return -1;
  return Number(rawSyscall(PIDFD_OPEN, pid, 0, 0, 0, 0));
}
