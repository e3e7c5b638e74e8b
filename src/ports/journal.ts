/** Lines that outlive this process, not this boot of the machine. */
export interface Journal {
  /** What the processes before us wrote, oldest first; empty after a reboot. */
  load(): readonly string[];
  /** Done when it returns, as far as a crash of this process goes. */
  append(line: string): void;
  /** All of it at once: whoever reads sees the old lines or the new ones. */
  replace(lines: readonly string[]): void;
}
