import { existsSync, fstatSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ERRNO } from '../../src/base/errno.ts';
import { OP, serveOneFile } from './fuse.ts';

/**
 * One more way to the bytes of an image, as a host has its own path to a shared LUN. While there is
 * a file <directory>.fails, every read and write is answered with an error; while there is a file
 * <directory>.slow, every write takes as many milliseconds as it says. Stopping the process
 * (SIGSTOP) leaves them in the kernel, and SIGCONT lets them end late.
 * Run as: fuse-way.cjs <directory> <image>.
 */
const FOPEN_DIRECT_IO = 1; // nothing is kept in a cache of this way
const WRITE_HEADER = 40;

const [directory = '', image = ''] = process.argv.slice(2);
const fd = openSync(image, 'r+');
const hasFailed = () => existsSync(`${directory}.fails`);

function slowMs(): number {
  const path = `${directory}.slow`;
  return existsSync(path) ? Number(readFileSync(path, 'ascii')) : 0;
}

function answer(operation: number, body: Buffer): Buffer | number {
  switch (operation) {
    case OP.OPEN: {
      const out = Buffer.alloc(16);
      out.writeUInt32LE(FOPEN_DIRECT_IO, 8);
      return out;
    }
    case OP.READ:
      return hasFailed() ? ERRNO.EIO : readAnswer(body);
    case OP.WRITE:
      return hasFailed() ? ERRNO.EIO : writeAnswer(body);
    case OP.RELEASE:
    case OP.FSYNC:
    case OP.FLUSH:
      return Buffer.alloc(0);
    default:
      return ERRNO.ENOSYS;
  }
}

function readAnswer(body: Buffer): Buffer {
  const bytes = Buffer.alloc(body.readUInt32LE(16));
  const got = readSync(fd, bytes, 0, bytes.length, Number(body.readBigUInt64LE(8)));
  return bytes.subarray(0, got);
}

function writeAnswer(body: Buffer): Buffer {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, slowMs());
  const size = body.readUInt32LE(16);
  const written = Buffer.alloc(8);
  const from = Number(body.readBigUInt64LE(8));
  written.writeUInt32LE(writeSync(fd, body, WRITE_HEADER, size, from), 0);
  return written;
}

serveOneFile(directory, { name: 'disk', bytes: fstatSync(fd).size, answer }, () => {
  process.stdout.write(`${join(directory, 'disk')}\n`);
});
