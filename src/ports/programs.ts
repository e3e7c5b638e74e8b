/** How a program ended. */
export interface ProgramEnd {
  /** null: it was not started, was not awaited any longer, or ended by a signal. */
  readonly status: number | null;
  /** What it printed, one character a byte; cut at the limit of the implementation. */
  readonly output: string;
  /** The end of what it wrote to stderr, or why it has no status: for people. */
  readonly trouble: string;
}

/** Programs of this host that a daemon runs and awaits. */
export interface Programs {
  /**
   * Runs a program (PATH search) without a shell that reads its words. Nothing here waits for the
   * disk it lies on. `ended` is called once, at the latest at the deadline; a program that does not
   * end then is killed, and counts as running until it has really ended. Too many at once are
   * refused.
   */
  run(words: readonly string[], deadlineMs: number, ended: (end: ProgramEnd) => void): void;
}
