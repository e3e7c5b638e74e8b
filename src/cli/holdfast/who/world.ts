import type { ByteString } from '../../../base/bytes.ts';
import { nameToText } from '../../../base/bytes.ts';
import type { Steps } from '../../../lease/steps.ts';
import { MonotonicClock } from '../../../platform/clock.ts';
import { FreshReads, type ReadPiece } from '../../../platform/fresh-reads.ts';

/** What a lookup needs of the machine. */
export interface WhoWorld {
  /**
   * Reads of one device, one after the other, while it is open.
   * @returns what `look` returns, or a sentence: the device does not open, or hangs
   */
  look<T>(path: ByteString, look: (read: ReadPiece) => Promise<T>): Promise<T | string>;
  /** CLOCK_MONOTONIC */
  nowMs(): number;
  /** Since 1970, for people. */
  wallMs(): number;
  sleep(forMs: number): Promise<void>;
  /** Of what is waited for, where somebody watches. */
  progress(text: string): void;
}

const DEADLINE_MS = 10_000;

/** This machine. */
export class RealWorld implements WhoWorld {
  readonly #reads = new FreshReads(DEADLINE_MS);
  readonly #clock = new MonotonicClock();
  readonly #showsProgress: boolean;

  constructor(showsProgress: boolean) {
    this.#showsProgress = showsProgress;
  }

  look<T>(path: ByteString, look: (read: ReadPiece) => Promise<T>): Promise<T | string> {
    return this.#reads.look(nameToText(path), look);
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  sleep(forMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(forMs, () => resolve());
    });
  }

  progress(text: string): void {
    if (this.#showsProgress) process.stderr.write(text);
  }
}

/** Carries out a procedure that only reads one device. @returns a sentence: a read failed */
export async function readBy<T extends object>(
  read: ReadPiece,
  steps: Steps<T>,
  nowMs: () => number,
): Promise<T | string> {
  let turn = steps.next();
  while (turn.done !== true) {
    const effect = turn.value;
    if (effect.op !== 'read') return 'a lookup writes nothing';
    const bytes = await read(effect);
    if (typeof bytes === 'string') return bytes;
    turn = steps.next({ outcome: 'done', bytes, nowMs: nowMs() });
  }
  return turn.value;
}
