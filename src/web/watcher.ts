import type { Logged } from '../inspect/explain/logged.ts';
import type { Snapshot } from '../inspect/snapshot/snapshot.ts';

/** What a look found, and what a daemon has logged since the one before. */
export interface Seen {
  readonly snapshot: Snapshot;
  readonly logged: readonly Logged[];
}

/** Where looks come from. */
export interface Source {
  /** Rejects when the host cannot be looked at, and soon after `signal` says so. */
  look(signal: AbortSignal): Promise<Seen>;
}

/** A look that takes longer is given up; the next one begins when it has ended. */
const DEADLINE_MS = 30_000;
/** Looks take at most a fifth of the time, however slow this host is. */
const REST = 4;

export interface WatcherOptions {
  readonly source: Source;
  readonly everyMs: number;
  readonly onLook: (seen: Seen, tookMs: number) => void;
  readonly onFailure: (why: string) => void;
  readonly deadlineMs?: number;
}

/** Takes looks one after another, never two at once, until it is closed. */
export class Watcher {
  readonly #options: WatcherOptions;
  readonly #end = new AbortController();
  #running: Promise<void> | null = null;

  constructor(options: WatcherOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when nothing of it runs any more. Safe to repeat. */
  async close(): Promise<void> {
    this.#end.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { everyMs } = this.#options;
    while (!this.#end.signal.aborted) {
      const startedMs = performance.now();
      await this.#lookOnce();
      const tookMs = performance.now() - startedMs;
      await this.#pause(Math.max(everyMs - tookMs, tookMs * REST));
    }
  }

  async #lookOnce(): Promise<void> {
    const { source, onLook, onFailure, deadlineMs = DEADLINE_MS } = this.#options;
    const startedMs = performance.now();
    const deadline = AbortSignal.timeout(deadlineMs);
    const signal = AbortSignal.any([this.#end.signal, deadline]);
    const told = () => {
      if (deadline.aborted) onFailure(`the host was not seen within ${deadlineMs / 1000} s`);
    };
    signal.addEventListener('abort', told, { once: true });
    try {
      const seen = await source.look(signal);
      if (!signal.aborted) onLook(seen, performance.now() - startedMs);
    } catch (error) {
      if (!signal.aborted) onFailure(error instanceof Error ? error.message : String(error));
    } finally {
      signal.removeEventListener('abort', told);
    }
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#end;
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
