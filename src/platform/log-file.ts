import { openSync, write } from 'node:fs';
import { MIB } from '../base/units.ts';

const MAX_UNWRITTEN_BYTES = MIB; // a log file on a hung disk must not eat our memory
const MODE = 0o644;
/** Said instead of lines that found no room. */
const NO_ROOM = 'the log file was stuck';

/**
 * A log file whose disk may hang, or be full for a while: no line waits, and a write that fails
 * ends nothing. Lost lines are counted, and the count is in the file before the next line.
 */
export class LogFile {
  readonly #fd: number;
  #waiting: string[] = [];
  #unwrittenBytes = 0;
  #isWriting = false;
  #lost = 0;
  #reason = NO_ROOM;
  #whenWritten: (() => void) | null = null;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** null: there is no place for a file. */
  static open(path: string): LogFile | null {
    try {
      return new LogFile(openSync(path, 'a', MODE));
    } catch {
      return null;
    }
  }

  write(line: string): void {
    if (this.#unwrittenBytes > MAX_UNWRITTEN_BYTES) {
      this.#lost++;
      return;
    }
    this.#waiting.push(line);
    this.#unwrittenBytes += line.length;
    if (!this.#isWriting) this.#writeNext();
  }

  /** Calls `written` when everything is with the kernel, or is lost. */
  whenWritten(written: () => void): void {
    if (this.#isWriting) this.#whenWritten = written;
    else written();
  }

  #writeNext(): void {
    const lines = this.#waiting;
    this.#waiting = [];
    const note = this.#lost > 0 ? `${this.#lost} lines lost: ${this.#reason}\n` : '';
    this.#isWriting = true;
    this.#put(Buffer.from(note + lines.join('')), (failure) => {
      if (failure === null) {
        if (note !== '') this.#lost = 0;
      } else {
        this.#lost += lines.length;
        this.#reason = failure;
      }
      this.#written();
    });
  }

  #written(): void {
    this.#isWriting = false;
    this.#unwrittenBytes = this.#waiting.reduce((sum, { length }) => sum + length, 0);
    if (this.#waiting.length > 0) {
      this.#writeNext();
      return;
    }
    this.#whenWritten?.();
    this.#whenWritten = null;
  }

  /** A disk that fills may take a part. */
  #put(bytes: Uint8Array, ended: (failure: string | null) => void): void {
    write(this.#fd, bytes, (error, written) => {
      if (error !== null) ended(error.message);
      else if (written === 0) ended(NO_ROOM);
      else if (written < bytes.length) this.#put(bytes.subarray(written), ended);
      else ended(null);
    });
  }
}
