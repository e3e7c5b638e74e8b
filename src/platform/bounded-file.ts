import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** Neither waits for who writes a pipe, nor reads what a device says. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * The text of a plain file.
 * @throws with EFBIG when it is longer than `maxBytes`, with EINVAL when it is no plain file
 */
export async function readBounded(path: string, maxBytes: number): Promise<string> {
  const file = await open(path, FLAGS);
  try {
    if (!(await file.stat()).isFile()) throw new WrongFile('EINVAL', path);
    const bytes = new Uint8Array(maxBytes + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length);
      if (bytesRead === 0) return new TextDecoder().decode(bytes.subarray(0, length));
      length += bytesRead;
      if (length > maxBytes) throw new WrongFile('EFBIG', path);
    }
  } finally {
    await file.close();
  }
}

/** As an error of Node's, with its errno by name. */
class WrongFile extends Error {
  readonly code: string;

  constructor(code: string, path: string) {
    super(`${path}: ${code}`);
    this.code = code;
  }
}
