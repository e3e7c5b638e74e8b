import { closeSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';

/**
 * A file whose device can be made to hang: a user space file system with one file, served by this
 * process. Stopping the process (SIGSTOP) leaves every request in the kernel, uninterruptible, as
 * a dead disk does; SIGCONT lets them end late. Run as: fuse-file.cjs <directory> <bytes>.
 */
const OP = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  RELEASE: 18,
  FSYNC: 20,
  FLUSH: 25,
  INIT: 26,
  INTERRUPT: 36,
  BATCH_FORGET: 42,
} as const;
const ENOENT = 2;
const ENOSYS = 38;
const IN_HEADER = 40;
const OUT_HEADER = 16;
const MIB = 1024 * 1024;
const FILE_NODE = 2n;
// async read, big writes, async dio, max pages
const INIT_FLAGS = (1 << 0) | (1 << 5) | (1 << 15) | (1 << 22);

function main(directory: string, fileBytes: number): void {
  const device = openSync('/dev/fuse', 'r+');
  mkdirSync(directory, { recursive: true });
  const mount = koffi
    .load('libc.so.6')
    .func(
      'int mount(const char *source, const char *target, const char *type, ulong f, const char *o)',
    );
  const options = `fd=${device},rootmode=40000,user_id=0,group_id=0,allow_other`;
  if (mount('holdfast', directory, 'fuse', 0, options) !== 0) {
    throw new Error(`cannot mount ${directory}: errno ${koffi.errno()}`);
  }
  process.stdout.write(`${join(directory, 'disk')}\n`);
  const content = Buffer.alloc(fileBytes);
  const request = Buffer.alloc(2 * MIB);
  for (;;) {
    const length = readSync(device, request);
    if (length === 0) break;
    const answer = answerTo(request.subarray(0, length), content);
    if (answer !== null) reply(device, request, answer);
  }
  closeSync(device);
}

/** The answer's body, an errno, or null where none is wanted. */
function answerTo(request: Buffer, content: Buffer): Buffer | number | null {
  const body = request.subarray(IN_HEADER);
  switch (request.readUInt32LE(4)) {
    case OP.FORGET:
    case OP.BATCH_FORGET:
    case OP.INTERRUPT:
      return null;
    case OP.INIT:
      return initAnswer(body);
    case OP.LOOKUP:
      return body.subarray(0, 5).toString() === 'disk\0' ? entryAnswer(content.length) : ENOENT;
    case OP.GETATTR:
      return attributesAnswer(request.readBigUInt64LE(16), content.length);
    case OP.OPEN:
      return Buffer.alloc(16);
    case OP.READ: {
      const offset = Number(body.readBigUInt64LE(8));
      return content.subarray(offset, offset + body.readUInt32LE(16));
    }
    case OP.WRITE:
      return writeAnswer(body, content);
    case OP.RELEASE:
    case OP.FSYNC:
    case OP.FLUSH:
      return Buffer.alloc(0);
    default:
      return ENOSYS;
  }
}

function writeAnswer(body: Buffer, content: Buffer): Buffer {
  const size = body.readUInt32LE(16);
  body.copy(content, Number(body.readBigUInt64LE(8)), 40, 40 + size);
  const written = Buffer.alloc(8);
  written.writeUInt32LE(size, 0);
  return written;
}

function initAnswer(body: Buffer): Buffer {
  const out = Buffer.alloc(64);
  out.writeUInt32LE(7, 0); //               protocol 7.31
  out.writeUInt32LE(31, 4);
  out.writeUInt32LE(body.readUInt32LE(8), 8);
  out.writeUInt32LE(INIT_FLAGS, 12);
  out.writeUInt16LE(256, 16); //            requests in the background
  out.writeUInt16LE(192, 18);
  out.writeUInt32LE(MIB, 20); //            bytes of one write
  out.writeUInt32LE(1, 24);
  out.writeUInt16LE(256, 28); //            pages of one request
  return out;
}

function attributes(node: bigint, fileBytes: number): Buffer {
  const out = Buffer.alloc(88);
  const isFile = node === FILE_NODE;
  out.writeBigUInt64LE(node, 0);
  out.writeBigUInt64LE(BigInt(isFile ? fileBytes : 0), 8);
  out.writeUInt32LE(isFile ? 0o100660 : 0o040755, 60);
  out.writeUInt32LE(1, 64);
  out.writeUInt32LE(4096, 80);
  return out;
}

function entryAnswer(fileBytes: number): Buffer {
  const head = Buffer.alloc(40);
  head.writeBigUInt64LE(FILE_NODE, 0);
  head.writeBigUInt64LE(3600n, 16); //      names and attributes stay valid: only I/O meets us
  head.writeBigUInt64LE(3600n, 24);
  return Buffer.concat([head, attributes(FILE_NODE, fileBytes)]);
}

function attributesAnswer(node: bigint, fileBytes: number): Buffer {
  const head = Buffer.alloc(16);
  head.writeBigUInt64LE(3600n, 0);
  return Buffer.concat([head, attributes(node, fileBytes)]);
}

function reply(device: number, request: Buffer, answer: Buffer | number): void {
  const body = typeof answer === 'number' ? Buffer.alloc(0) : answer;
  const head = Buffer.alloc(OUT_HEADER);
  head.writeUInt32LE(OUT_HEADER + body.length, 0);
  head.writeInt32LE(typeof answer === 'number' ? -answer : 0, 4);
  request.copy(head, 8, 8, 16);
  writeSync(device, Buffer.concat([head, body]));
}

const [directory = '', bytes = '0'] = process.argv.slice(2);
main(directory, Number(bytes));
