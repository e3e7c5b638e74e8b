import { closeSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import type { ByteString } from '../base/bytes.ts';
import { reasonOf } from './system-error.ts';

/** A small file of ours, replaced as a whole: a reader sees the old text or the new one. */
export class SmallFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** null: it cannot be read, mostly because there is none. */
  read(): ByteString | null {
    try {
      return readFileSync(this.#path, 'latin1');
    } catch {
      return null;
    }
  }

  /** null removes it. @returns the reason when it could not be written. */
  write(text: ByteString | null): string | null {
    try {
      if (text === null) {
        unlinkSync(this.#path);
        return null;
      }
      const draft = `${this.#path}.new`;
      const fd = openSync(draft, 'w', 0o600);
      try {
        writeSync(fd, Buffer.from(text, 'latin1'));
      } finally {
        closeSync(fd);
      }
      renameSync(draft, this.#path);
      return null;
    } catch (error) {
      if (text === null) return null; // there was none
      return reasonOf(error);
    }
  }
}
