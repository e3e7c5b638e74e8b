/** How the pauses between attempts grow, of what fails again and again. */
export interface Backoff {
  readonly firstMs: number;
  readonly longestMs: number;
}

/** @returns the pause after `pauseMs`: twice as long, and never longer than the longest */
export function nextPauseMs({ longestMs }: Backoff, pauseMs: number): number {
  return Math.min(2 * pauseMs, longestMs);
}
