import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ERRNO } from '../../src/base/errno.ts';
import { OP, serveOneFile } from './fuse.ts';

/**
 * A file whose device can be made to hang: a user space file system with one file, served by this
 * process. Stopping the process (SIGSTOP) leaves every request in the kernel, uninterruptible, as
 * a dead disk does; SIGCONT lets them end late. While there is a file
 * <directory>.refuses, it refuses every write.
 * Run as: fuse-file.cjs <directory> <bytes>.
 */
const [directory = '', bytes = '0'] = process.argv.slice(2);
const content = Buffer.alloc(Number(bytes));
const isRefusing = () => existsSync(`${directory}.refuses`);

function answer(operation: number, body: Buffer): Buffer | number {
  switch (operation) {
    case OP.OPEN:
      return Buffer.alloc(16);
    case OP.READ: {
      const offset = Number(body.readBigUInt64LE(8));
      return content.subarray(offset, offset + body.readUInt32LE(16));
    }
    case OP.WRITE:
      return isRefusing() ? ERRNO.EIO : writeAnswer(body);
    case OP.RELEASE:
    case OP.FSYNC:
    case OP.FLUSH:
      return Buffer.alloc(0);
    default:
      return ERRNO.ENOSYS;
  }
}

function writeAnswer(body: Buffer): Buffer {
  const size = body.readUInt32LE(16);
  body.copy(content, Number(body.readBigUInt64LE(8)), 40, 40 + size);
  const written = Buffer.alloc(8);
  written.writeUInt32LE(size, 0);
  return written;
}

serveOneFile(directory, { name: 'disk', bytes: content.length, answer }, () => {
  process.stdout.write(`${join(directory, 'disk')}\n`);
});
