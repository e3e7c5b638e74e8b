import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Logged, loggedIn } from '../../../inspect/explain/logged.ts';

/** Of one look; of more that was logged meanwhile, the newest. */
const MAX_BYTES = 64 * 1024;
const MAX_EVENTS = 100;
const NEWLINE = 0x0a;
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * What was added to a log file since the last time. A file that was rotated is read from its
 * beginning; one that is not there has nothing: the originals log no such events.
 */
export class LogTail {
  readonly #path: string;
  #at: { readonly inode: number; readonly offset: number } | null = null;
  #isFirst = true;

  constructor(path: string) {
    this.#path = path;
  }

  /** What is in the file when it is read first is not new. Never rejects. */
  async added(): Promise<readonly Logged[]> {
    try {
      return await this.#read();
    } catch {
      this.#at = null;
      return [];
    } finally {
      this.#isFirst = false;
    }
  }

  async #read(): Promise<readonly Logged[]> {
    const file = await open(this.#path, FLAGS);
    try {
      const facts = await file.stat();
      if (!facts.isFile()) return [];
      const { ino: inode, size } = facts;
      const isSame = this.#at?.inode === inode && this.#at.offset <= size;
      const known = isSame ? (this.#at?.offset ?? 0) : this.#isFirst ? size : 0;
      const from = Math.max(known, size - MAX_BYTES);
      const bytes = new Uint8Array(size - from);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
      const whole = bytes.subarray(0, bytesRead).lastIndexOf(NEWLINE) + 1;
      this.#at = { inode, offset: from + whole };
      const lines = new TextDecoder().decode(bytes.subarray(0, whole)).split('\n');
      return lines.flatMap((line) => loggedIn(line) ?? []).slice(-MAX_EVENTS);
    } finally {
      await file.close();
    }
  }
}
