import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import type { ByteString } from '../base/bytes.ts';
import { MIB } from '../base/units.ts';
import { bootId } from './boot-id.ts';
import { errnoNameOf, reasonOf } from './system-error.ts';

/** 100 000 LVs; the file is read as a whole. */
const MAX_BYTES = 16 * MIB;
const WRITABLE_BY_OTHERS = 0o022;
const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
/** To the original a comment: it reads the file as well. */
const BOOT_LINE = /^# boot ([0-9a-f-]+)$/m;

/**
 * What lvmlockd writes down for the next one (spec 30 §7), replaced as a whole: a reader sees the
 * old text or the new one. It names the boot that it belongs to. It says in which mode the LVs of
 * this host are locked, so it counts only if nobody else can have written it.
 */
export class AdoptFile {
  readonly #path: string;
  readonly #boot: string;

  constructor(path: string, boot = bootId()) {
    this.#path = path;
    this.#boot = boot;
  }

  /** null: there is none. @throws with the reason why the one that is there does not count */
  read(): ByteString | null {
    const text = this.#text();
    const boot = text === null ? undefined : BOOT_LINE.exec(text)?.[1];
    if (boot !== undefined && boot !== this.#boot) throw new Error('it is of another boot');
    return text;
  }

  #text(): ByteString | null {
    let fd: number;
    try {
      fd = openSync(this.#path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    } catch (error) {
      if (errnoNameOf(error) === 'ENOENT') return null;
      throw error;
    }
    try {
      const found = fstatSync(fd);
      if (!found.isFile()) throw new Error('it is no regular file');
      if (found.uid !== process.geteuid?.()) throw new Error(`it belongs to user ${found.uid}`);
      if ((found.mode & WRITABLE_BY_OTHERS) !== 0) throw new Error('other users may write it');
      if (found.size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
      const bytes = Buffer.alloc(found.size);
      return bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0));
    } finally {
      closeSync(fd);
    }
  }

  /**
   * null removes it. @returns the reason when it could not be written; then there is none: an old
   * one could name a mode in which an LV is not locked any more.
   */
  write(text: ByteString | null): string | null {
    if (text === null) {
      unlinkQuietly(this.#path);
      return null;
    }
    try {
      const draft = `${this.#path}.new`;
      const whole = text.replace('\n', `\n# boot ${this.#boot}\n`); // behind the first line
      unlinkQuietly(draft); // one that another user has made keeps its owner
      writeFileSync(draft, whole, { encoding: 'latin1', mode: 0o600, flag: 'wx' });
      renameSync(draft, this.#path);
      return null;
    } catch (error) {
      unlinkQuietly(this.#path);
      return reasonOf(error);
    }
  }
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // there was none
  }
}
