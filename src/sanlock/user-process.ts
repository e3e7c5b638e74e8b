import type { ByteString } from '../base/bytes.ts';

/**
 * One process, and never a later one of its pid: only such a one can be signalled. The front reads
 * these facts; the calls are made by the program that carries out the front's effects.
 */
export interface UserProcess {
  readonly pid: number;
  /** No other process of its pid has it in this boot; null: not known, or not yet. */
  readonly identity: string | null;
  /** true only when it has surely ended. */
  readonly hasEnded: boolean;
  /** What the kernel calls it at this moment, in at most 15 bytes; empty: not shown. */
  readonly command: ByteString;
  onKnown(known: () => void): void;
  signal(signal: 'SIGTERM' | 'SIGKILL'): void;
  /** It is not watched any more. Safe to repeat. */
  close(): void;
}

/** What a lease process wrote down when its daemon was gone. */
export interface LeaseEndFacts {
  /** Until then writes that were refused may land; null: none may. */
  readonly refusedUntilMs: number | null;
}
