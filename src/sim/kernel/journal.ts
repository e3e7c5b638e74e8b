import type { Journal, Remembered } from '../../ports/journal.ts';
import type { Dice } from './dice.ts';

/** The journal of holders of one boot: it outlives the daemons that write it. */
export class MemoryJournal implements Journal {
  #lines: string[] = [];

  /** It takes no more lines, as a file on a full disk. */
  full = false;
  /** Places that the next daemon finds unreadable. */
  damaged = 0;

  load(): Remembered {
    return { lines: [...this.#lines], damaged: this.damaged };
  }

  append(line: string): boolean {
    if (!this.full) this.#lines.push(line);
    return !this.full;
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
    this.#lines = [...lines];
    this.damaged = 0;
    return true;
  }
}
