import type { BoundProcess } from './processes.ts';

/** What sanlock runs for a keeper when it loses the lockspace (spec 20 §4 KILLPATH). */
export interface Killpath {
  /** Absolute; at most 126 bytes. */
  readonly path: string;
  /** At most 126 bytes, words apart by blanks. */
  readonly args: string;
}

/**
 * Processes that do nothing but be registered with sanlock. They outlive the program that starts
 * them, and end only by `end`: SIGTERM is ignored, and sanlock is told not to send SIGKILL.
 */
export interface Keepers {
  /**
   * Of the guest of that UUID. `started` is called once, and not before this returns; why there is
   * none, in a sentence.
   */
  start(
    of: { readonly uuid: string; readonly killpath: Killpath },
    started: (keeper: BoundProcess | { readonly trouble: string }) => void,
  ): void;
  /** The keeper of an earlier program; null: it has ended. */
  find(pid: number, identity: string): BoundProcess | null;
  /** All keepers of this host, whichever program has started them, each with its guest's UUID. */
  all(): readonly { readonly uuid: string; readonly keeper: BoundProcess }[];
  /** Does at once what sanlock has done for a keeper: ends the guest, or pauses it. */
  lose(killpath: Killpath): void;
}
