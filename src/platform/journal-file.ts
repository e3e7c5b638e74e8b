import {
  closeSync,
  copyFileSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { crc32c } from '../codec/crc32c.ts';
import type { Journal, Remembered } from '../ports/journal.ts';
import type { Log } from '../ports/log.ts';
import { bootId } from './boot-id.ts';
import { MachineClock } from './machine-clock.ts';
import { errnoNameOf, reasonOf } from './system-error.ts';

const MODE = 0o600;
const SUM_DIGITS = 8;
const BLANK = 0x20;
const LINE_FEED = 0x0a;
const MOST_BYTES = 3; // of one UTF-16 unit in UTF-8
/** As the kernel writes a boot id. */
const BOOT_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** File systems that begin empty with each boot. */
const IN_MEMORY: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);
/** By so much a wall clock may be set, once, without a file of this boot seeming older than it. */
const CLOCK_SLACK_MS = 10_000;
const EMPTY: Remembered = { lines: [], damaged: 0 };

/**
 * A journal in one file, whose first line names the boot it belongs to. Each further line is its
 * checksum, a blank, and its text: two lines run into one, or half of one, do not pass for a line.
 * Journals of earlier versions have JSON texts without checksums; they are read as well.
 */
export class JournalFile implements Journal {
  readonly #path: string;
  readonly #log: Log;
  readonly #boot: string;
  readonly #line = Buffer.alloc(4096);
  #fd: number | null = null;
  /** Up to here the file is whole lines. */
  #length = 0;
  #isFailing = false;

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    this.#boot = bootId();
  }

  load(): Remembered {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      if (errnoNameOf(error) === 'ENOENT') return EMPTY;
      this.#log.error('journal.notRead', { path: this.#path, reason: reasonOf(error) });
      return { lines: [], damaged: 1 };
    }
    const [boot = '', ...rest] = text.split('\n');
    if (BOOT_ID.test(boot) && boot !== this.#boot) return EMPTY;
    const isOurs = boot === this.#boot && rest.length > 0;
    if (!isOurs && this.#isOlderThanBoot()) {
      this.#log.warn('journal.otherBoot', { path: this.#path });
      return EMPTY;
    }
    // The writer died while it wrote what follows the last line feed: no decision relied on it.
    const texts = rest.slice(0, -1).map(textOf);
    const lines = texts.filter((line) => line !== null);
    const damaged = texts.length - lines.length + (isOurs ? 0 : 1);
    if (damaged > 0) this.#keepForReview(damaged);
    return { lines, damaged };
  }

  /**
   * Where its first line is lost, as after a power failure on a disk. Else the reboot that ends
   * this state could begin it again. A file in memory is of this boot, whatever its time shows.
   */
  #isOlderThanBoot(): boolean {
    try {
      if (IN_MEMORY.has(statfsSync(this.#path).type)) return false;
      const bootedMs = Date.now() - new MachineClock().bootMs();
      return statSync(this.#path).mtimeMs < bootedMs - CLOCK_SLACK_MS;
    } catch {
      return false; // nothing shows it
    }
  }

  append(line: string): boolean {
    if (this.#fd === null) return false; // nothing to append to, and that was logged
    const fd = this.#fd;
    return this.#try(() => {
      try {
        this.#length += writeWhole(fd, this.#encoded(line), this.#length);
      } catch (error) {
        // A part of it may be there: the next line must not follow on it. Where even this fails the
        // next line still overwrites it, as both are written at the same place.
        ftruncateSync(fd, this.#length);
        throw error;
      }
    });
  }

  /** A line as it stands in the file, in memory that the next one uses again where it is short. */
  #encoded(text: string): Uint8Array {
    const longest = SUM_DIGITS + 2 + text.length * MOST_BYTES;
    if (longest > this.#line.length) return Buffer.from(`${lineOf(text)}\n`);
    const end = SUM_DIGITS + 1 + this.#line.write(text, SUM_DIGITS + 1);
    this.#line.write(sumOf(this.#line, SUM_DIGITS + 1, end), 0, 'latin1');
    this.#line[SUM_DIGITS] = BLANK;
    this.#line[end] = LINE_FEED;
    return this.#line.subarray(0, end + 1);
  }

  replace(lines: readonly string[]): boolean {
    const draft = `${this.#path}.new`;
    return this.#try(() => {
      const fd = openSync(draft, 'w', MODE);
      try {
        const text = [this.#boot, ...lines.map(lineOf), ''].join('\n');
        const length = writeWhole(fd, Buffer.from(text), 0);
        // A power failure must not leave it without its first line. Later ones are not waited for:
        // leases are served by then, and a disk below the run directory may hang.
        if (this.#fd === null) fsyncSync(fd);
        renameSync(draft, this.#path);
        if (this.#fd !== null) closeSync(this.#fd);
        this.#fd = fd; // written on from here
        this.#length = length;
      } catch (error) {
        closeSync(fd);
        rmSync(draft, { force: true }); // where room is short, it must not take any
        throw error;
      }
    });
  }

  forget(): boolean {
    return this.#try(() => {
      rmSync(this.#path, { force: true });
      if (this.#fd !== null) closeSync(this.#fd);
      this.#fd = null;
    });
  }

  #try(write: () => void): boolean {
    try {
      write();
    } catch (error) {
      // Once: it is tried again with every renewal.
      if (!this.#isFailing) {
        this.#log.error('journal.notWritten', { path: this.#path, reason: reasonOf(error) });
      }
      this.#isFailing = true;
      return false;
    }
    if (this.#isFailing) this.#log.warn('journal.writtenAgain', { path: this.#path });
    this.#isFailing = false;
    return true;
  }

  #keepForReview(damaged: number): void {
    const copy = `${this.#path}.damaged`;
    this.#log.error('journal.damaged', { path: this.#path, places: damaged, copy });
    try {
      copyFileSync(this.#path, copy);
    } catch {
      // No room for it: what counts is in the new journal.
    }
  }
}

/** @throws when not all of it could be written: a full disk may take a part without an error. */
function writeWhole(fd: number, bytes: Uint8Array, at: number): number {
  let done = 0;
  while (done < bytes.length) {
    const written = writeSync(fd, bytes, done, bytes.length - done, at + done);
    if (written === 0) throw new Error(`${done} of ${bytes.length} bytes were written`);
    done += written;
  }
  return done;
}

function lineOf(text: string): string {
  return `${sumOf(Buffer.from(text))} ${text}`;
}

/** null: it is not what was written. */
function textOf(line: string): string | null {
  if (line.startsWith('{')) return isJson(line) ? line : null; // of an earlier version
  const text = line.slice(SUM_DIGITS + 1);
  return line === lineOf(text) ? text : null;
}

function sumOf(bytes: Uint8Array, start = 0, end = bytes.length): string {
  return crc32c(bytes, start, end).toString(16).padStart(SUM_DIGITS, '0');
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
