import { closeSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import type { Journal } from '../ports/journal.ts';
import type { Log } from '../ports/log.ts';

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';
const MODE = 0o600;

/** A journal in one file, whose first line names the boot it belongs to. */
export class JournalFile implements Journal {
  readonly #path: string;
  readonly #log: Log;
  readonly #boot: string;
  #fd: number | null = null;

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    this.#boot = readFileSync(BOOT_ID_FILE, 'ascii').trim();
  }

  load(): readonly string[] {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch {
      return [];
    }
    const [boot, ...lines] = text.split('\n');
    // What follows the last line feed was being written when its writer died.
    return boot === this.#boot ? lines.slice(0, -1) : [];
  }

  append(line: string): void {
    if (this.#fd === null) return; // it could not be written before, and was told
    this.#try(() => writeSync(this.#fd ?? -1, `${line}\n`));
  }

  replace(lines: readonly string[]): void {
    this.#try(() => {
      const draft = `${this.#path}.new`;
      const fd = openSync(draft, 'w', MODE);
      writeSync(fd, [this.#boot, ...lines, ''].join('\n'));
      renameSync(draft, this.#path);
      if (this.#fd !== null) closeSync(this.#fd);
      this.#fd = fd; // written on from here
    });
  }

  #try(write: () => void): void {
    try {
      write();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.error('journal.notWritten', { path: this.#path, reason });
    }
  }
}
