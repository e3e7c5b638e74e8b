import { mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { ERRNO } from '../../src/base/errno.ts';
import { MIB } from '../../src/base/units.ts';

/** A user space file system with one file, as far as our rigs need it. */
export const OP = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  RELEASE: 18,
  FSYNC: 20,
  FLUSH: 25,
  INIT: 26,
  INTERRUPT: 36,
  IOCTL: 39,
  BATCH_FORGET: 42,
} as const;
const IN_HEADER = 40;
const OUT_HEADER = 16;
const FILE_NODE = 2n;
// async read, big writes, async dio, max pages
const INIT_FLAGS = (1 << 0) | (1 << 5) | (1 << 15) | (1 << 22);

export interface OneFile {
  readonly name: string;
  readonly bytes: number;
  /** The answer's body to what concerns the open file, or a positive errno. */
  readonly answer: (operation: number, body: Buffer) => Buffer | number;
}

/** Mounts, calls `ready`, and serves until it is unmounted. */
export function serveOneFile(directory: string, file: OneFile, ready: () => void): void {
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
  ready();
  const request = Buffer.alloc(2 * MIB);
  for (;;) {
    const length = readSync(device, request);
    if (length === 0) return;
    const answer = answerTo(request.subarray(0, length), file);
    if (answer !== null) reply(device, request, answer);
  }
}

/** The answer's body, an errno, or null where none is wanted. */
function answerTo(request: Buffer, file: OneFile): Buffer | number | null {
  const operation = request.readUInt32LE(4);
  const body = request.subarray(IN_HEADER);
  switch (operation) {
    case OP.FORGET:
    case OP.BATCH_FORGET:
    case OP.INTERRUPT:
      return null;
    case OP.INIT:
      return initAnswer(body);
    case OP.LOOKUP:
      return body.toString('latin1') === `${file.name}\0` ? entryAnswer(file.bytes) : ERRNO.ENOENT;
    case OP.GETATTR:
    case OP.SETATTR:
      return attributesAnswer(request.readBigUInt64LE(16), file.bytes);
    default:
      return file.answer(operation, body);
  }
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
  head.writeBigUInt64LE(3600n, 16); //      names and attributes stay valid: only I/O reaches the server
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
