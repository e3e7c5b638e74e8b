import type { ChildProcess } from 'node:child_process';
import type { Snapshot } from '../../../inspect/snapshot/snapshot.ts';
import type { Seen, Source } from '../../../web/watcher.ts';
import { LogTail } from './log-tail.ts';

/** A snapshot with 2,000 hosts and 5,000 leases has two million characters. */
const MAX_LINE = 64 * 1024 * 1024;

/**
 * Looks at another host by a program that prints one after another, each as a line of JSON:
 * `holdfast status --watch --json`, in its namespaces. It is started again when it has ended.
 */
export class LineSource implements Source {
  readonly #start: () => ChildProcess;
  readonly #log: LogTail;
  #child: ChildProcess | null = null;
  #text = '';
  #newest: string | null = null;
  /** Told of a line, or of the end. */
  #waiting: (() => void) | null = null;

  /** @param logPath of the host's sanlock, as this process sees it */
  constructor(start: () => ChildProcess, logPath: string) {
    this.#start = start;
    this.#log = new LogTail(logPath);
  }

  /** The newest look; the next one, where the newest was taken already. */
  async look(signal: AbortSignal): Promise<Seen> {
    const child = this.#child ?? this.#begin();
    while (this.#newest === null && this.#child === child && !signal.aborted) {
      await this.#next(signal);
    }
    const line = this.#newest;
    this.#newest = null;
    if (line === null) throw new Error('the program that looks at this host has ended');
    const snapshot = JSON.parse(line) as Snapshot; // printed by a program of ours, of this build
    return { snapshot, logged: await this.#log.added() };
  }

  /** Safe to repeat. */
  close(): void {
    this.#child?.kill('SIGKILL');
  }

  #begin(): ChildProcess {
    const child = this.#start();
    this.#child = child;
    this.#text = '';
    const ended = () => {
      if (this.#child !== child) return;
      this.#child = null;
      this.#waiting?.();
    };
    child.once('error', ended);
    child.once('exit', ended);
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => this.#take(child, chunk));
    return child;
  }

  #take(child: ChildProcess, chunk: string): void {
    if (this.#child !== child) return;
    const lines = (this.#text + chunk).split('\n');
    this.#text = lines.pop() ?? '';
    if (this.#text.length > MAX_LINE) {
      child.kill('SIGKILL');
      return;
    }
    this.#newest = lines.at(-1) ?? this.#newest;
    if (lines.length > 0) this.#waiting?.();
  }

  #next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done);
        this.#waiting = null;
        resolve();
      };
      this.#waiting = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
