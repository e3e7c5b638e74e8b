import type { Journal, Remembered } from '../../ports/journal.ts';
import type { Dice } from './dice.ts';

/** The journal of holders: it outlives the daemons that write it, and counts in its boot alone. */
export class MemoryJournal implements Journal {
  #lines: string[] = [];
  #boot = 1;
  /** That which its first line names. */
  #ofBoot = 1;

  /** It takes no more lines, as a file on a full disk. */
  full = false;
  /** Places that the next daemon finds unreadable. */
  damaged = 0;

  load(): Remembered {
    if (this.#ofBoot !== this.#boot) return { lines: [], damaged: 0 };
    return { lines: [...this.#lines], damaged: this.damaged };
  }

  append(line: string): boolean {
    if (this.full || this.#ofBoot !== this.#boot) return false;
    this.#lines.push(line);
    return true;
  }

  /** The file is still there, as on a run directory that is no file system in memory. */
  rebooted(): void {
    this.#boot++;
  }

  /** What the next daemon finds instead. */
  become({ lines, damaged }: Remembered): void {
    this.#lines = [...lines];
    this.damaged += damaged;
  }

  /** Loses the lines of one holder: the worst damage is to forget that a process holds leases. */
  damage(dice: Dice): void {
    const named = this.#lines.flatMap(
      (line) => /"kind":"holds".*"holder":"[0-9]+"/.exec(line) ?? [],
    );
    const holder = named[dice.below(named.length)];
    if (holder === undefined) return;
    this.#lines = this.#lines.filter((line) => !line.includes(holder));
    this.damaged++;
  }

  /** It can be removed. */
  canForget = true;

  forget(): boolean {
    if (!this.canForget) return false;
    this.#lines = [];
    this.damaged = 0;
    return true;
  }

  replace(lines: readonly string[]): boolean {
    if (this.full) return false;
    this.#ofBoot = this.#boot;
    this.#lines = [...lines];
    this.damaged = 0;
    return true;
  }
}
