import { fstatSync, writeSync } from 'node:fs';
import { endUnwritten, endWithReader } from './broken-pipe.ts';
import { errnoNameOf } from './system-error.ts';

/**
 * What a command prints, written at once. Node's own streams cost a short command up to 3 ms; they
 * are opened only where a descriptor does not wait for its reader, as another program has set it. A
 * reader that has gone, or a full disk, ends the program, as in `endWithReader`.
 */
export class PlainOutput {
  readonly #fd: 1 | 2;
  #stream: NodeJS.WriteStream | null = null;

  constructor(fd: 1 | 2) {
    this.#fd = fd;
  }

  write(bytes: Uint8Array): void {
    let rest = bytes;
    while (this.#stream === null && rest.length > 0) {
      try {
        rest = rest.subarray(writeSync(this.#fd, rest));
      } catch (error) {
        if (errnoNameOf(error) !== 'EAGAIN') endUnwritten(error);
        endWithReader();
        this.#stream = this.#fd === 1 ? process.stdout : process.stderr;
      }
    }
    if (rest.length > 0) this.#stream?.write(rest);
  }

  /** Resolves when the system has taken everything: a program may leave at once. */
  async taken(): Promise<void> {
    const stream = this.#stream;
    if (stream !== null) await new Promise<void>((done) => stream.write('', () => done()));
  }
}

/** Standard output where it is a terminal; null elsewhere, without the cost of a stream. */
export function terminalOutput(): NodeJS.WriteStream | null {
  return fstatSync(1).isCharacterDevice() && process.stdout.isTTY ? process.stdout : null;
}
