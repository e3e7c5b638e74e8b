import koffi from 'koffi';

type PollFunction = (
  fd: number,
  wanted: { readonly readable: boolean },
  ready: (status: number) => void,
) => { close(): void };

/**
 * Calls back while a descriptor is readable. koffi collects a poll handle that nothing refers to,
 * and its events stop silently (spec 70 §2.4): the set keeps every open watcher alive.
 */
export class FdWatcher {
  static readonly #live = new Set<FdWatcher>();
  readonly #handle: { close(): void };
  #closed = false;

  constructor(fd: number, readable: (status: number) => void) {
    // koffi 3.3.4 calls back with (status, events), its declaration says (events).
    const poll = koffi.node.poll as unknown as PollFunction;
    this.#handle = poll(fd, { readable: true }, (status) => {
      if (!this.#closed) readable(status);
    });
    FdWatcher.#live.add(this);
  }

  /** Only for tests, which end their process by having nothing left to wait for. */
  static closeAll(): void {
    for (const watcher of FdWatcher.#live) watcher.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handle.close();
    FdWatcher.#live.delete(this);
  }
}
