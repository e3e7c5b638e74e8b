/** Lines that outlive this process, not this boot of the machine. */
export interface Journal {
  /** What the processes before us wrote, oldest first; nothing after a reboot. */
  load(): Remembered;
  /**
   * Done when it returns true, as far as a crash of this process goes; else nothing of it is there.
   */
  append(line: string): boolean;
  /** All of it at once: a reader sees the old lines or, after true, the new ones. */
  replace(lines: readonly string[]): boolean;
  /** Nothing of it is there any more, when it returns true; needs no room. Safe to repeat. */
  forget(): boolean;
}

/** What a journal still holds of the processes that wrote it before. */
export interface Remembered {
  /** Those that are whole. */
  readonly lines: readonly string[];
  /** Places that cannot be read: their lines are unknown. */
  readonly damaged: number;
}
