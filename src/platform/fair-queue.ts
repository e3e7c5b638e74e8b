export interface Queued {
  /** Who shares with the others. */
  readonly group: string;
  /** false once its caller does not wait any more: it is dropped. */
  wanted(): boolean;
}

/**
 * Requests for which there is no room at the moment. Within a group none overtakes, so that a large
 * request is not starved by small ones; a group that has to wait holds up no other.
 */
export class FairQueue<Entry extends Queued> {
  readonly #start: (entry: Entry) => boolean;
  readonly #limit: number;
  #waiting: Entry[] = [];

  /** @param start false: there is no room for it; it must not call back at once */
  constructor(start: (entry: Entry) => boolean, limit: number) {
    this.#start = start;
    this.#limit = limit;
  }

  /** @returns false when too many wait */
  enter(entry: Entry): boolean {
    // A request whose caller gave up blocks no other one, even before it has left the queue.
    const isBehind = this.#waiting.some((one) => one.group === entry.group && one.wanted());
    if (!isBehind && this.#start(entry)) return true;
    if (this.#waiting.length >= this.#limit) return false;
    this.#waiting.push(entry);
    return true;
  }

  forget(entry: Entry): void {
    this.#waiting = this.#waiting.filter((other) => other !== entry);
    this.next(); // it may have been at the head of its group, and the next one wants less
  }

  /** There is room again. */
  next(): void {
    if (this.#waiting.length === 0) return;
    const full = new Set<string>();
    this.#waiting = this.#waiting.filter((entry) => {
      if (!entry.wanted()) return false;
      if (!full.has(entry.group) && this.#start(entry)) return false;
      full.add(entry.group);
      return true;
    });
  }
}
