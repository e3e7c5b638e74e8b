import { closeSync, constants, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MIB } from '../src/base/units.ts';
import { AioRing } from '../src/platform/aio-ring.ts';
import { allocateAligned, checked, rawSyscall } from '../src/platform/system-calls.ts';
import { mapShared } from './shared-memory.ts';
import { median } from './statistics.ts';

/**
 * Ways to have the kernel read a sector: what decided how a lease process does it (spec 70 §2.2).
 * One request at a time, waited for in the kernel where it is not done at once.
 */
const SECTOR = 512;
const WARM = 2000;
const CALLS = 8000;
const CALL =
  process.arch === 'arm64'
    ? { setup: 0, submit: 2, getevents: 4 }
    : { setup: 206, submit: 209, getevents: 208 };
const URING = { setup: 425, enter: 426 };
const URING_SQES_AT = 0x10000000;
const URING_READ = 22;
const URING_GETEVENTS = 1;
const ENTRIES = 8;

type ReadOne = () => void;

/** Prints what one read costs, by the calls that are used. */
export function diskCalls(directory: string, label: string): void {
  const path = join(directory, 'holdfast-bench-read');
  writeFileSync(path, new Uint8Array(MIB));
  const fd = openSync(path, constants.O_RDWR | constants.O_DIRECT);
  const buffer = allocateAligned(SECTOR);
  if (buffer === null) throw new Error('no memory for a sector');
  try {
    const from = { fd, address: buffer.address };
    for (const [what, make] of [
      ['io_submit, completions from its ring (as built)', aioRing],
      ['io_submit and io_getevents', aioCalls],
      ['io_uring', uring],
    ] as const) {
      const read = make(from);
      const cell = typeof read === 'string' ? read : timed(read).toFixed(1).padStart(8);
      console.log(`${`a read on ${label}, ${what}`.padEnd(72)}${cell}`);
    }
  } finally {
    closeSync(fd);
    rmSync(path);
  }
}

function timed(read: ReadOne): number {
  for (let n = 0; n < WARM; n++) read();
  const times: number[] = [];
  for (let n = 0; n < CALLS; n++) {
    const startMs = performance.now();
    read();
    times.push((performance.now() - startMs) * 1000);
  }
  return median(times);
}

interface From {
  readonly fd: number;
  /** Of the memory that is read into. */
  readonly address: number;
}

function aioContext(from: From): { readonly words: BigUint64Array; readonly submit: () => void } {
  const memory = allocateAligned(4096);
  if (memory === null) throw new Error('no memory for a request');
  const words = new BigUint64Array(memory.bytes.buffer);
  const at = memory.address;
  checked('io_setup', Number(rawSyscall(CALL.setup, ENTRIES, at, 0, 0, 0)));
  const [context = 0n] = words;
  words[8] = BigInt(at + 128); // the list of requests: one, behind it
  words[16 + 2] = BigInt(from.fd) << 32n; // aio_lio_opcode 0: a read
  words[16 + 3] = BigInt(from.address);
  words[16 + 4] = BigInt(SECTOR);
  const submit = () => {
    checked('io_submit', Number(rawSyscall(CALL.submit, Number(context), 1, at + 64, 0, 0)));
  };
  return { words, submit };
}

function waitForOne(context: bigint, into: number): void {
  checked('io_getevents', Number(rawSyscall(CALL.getevents, Number(context), 1, ENTRIES, into, 0)));
}

function aioCalls(from: From): ReadOne {
  const { words, submit } = aioContext(from);
  const [context = 0n, , , , , , , , list = 0n] = words;
  return () => {
    submit();
    waitForOne(context, Number(list) + 512);
  };
}

function aioRing(from: From): ReadOne | string {
  const { words, submit } = aioContext(from);
  const [context = 0n, , , , , , , , list = 0n] = words;
  const ring = AioRing.of(context);
  if (ring === null) return 'another ring';
  return () => {
    submit();
    if (!ring.take(() => {})) waitForOne(context, Number(list) + 512);
  };
}

/** By io_uring(7): offsets of the two rings are told in the parameters. */
function uring(from: From): ReadOne | string {
  const memory = allocateAligned(4096);
  if (memory === null) throw new Error('no memory for parameters');
  const fd = Number(rawSyscall(URING.setup, ENTRIES, memory.address, 0, 0, 0));
  if (fd < 0) return 'this machine does not allow it';
  const parameters = new Uint32Array(memory.bytes.buffer);
  const [sqTail = 0, sqArray = 0] = [parameters[11], parameters[16]];
  const [cqHead = 0, cqTail = 0] = [parameters[20], parameters[21]];
  const rings = mapShared(fd, 4096);
  const request = mapShared(fd, 4096, URING_SQES_AT);
  const words = [URING_READ, from.fd, 0, 0, from.address | 0, Math.floor(from.address / 2 ** 32)];
  request.set([...words, SECTOR, 0]);
  rings[sqArray / 4] = 0; // each time the same request
  const enter = (submit: number, wait: number) =>
    checked(
      'io_uring_enter',
      Number(rawSyscall(URING.enter, fd, submit, wait, wait > 0 ? URING_GETEVENTS : 0, 0)),
    );
  return () => {
    Atomics.add(rings, sqTail / 4, 1);
    // The array's other places still name request 0: memory of a ring begins with zeros.
    enter(1, 0);
    const done = Atomics.load(rings, cqHead / 4);
    while (Atomics.load(rings, cqTail / 4) === done) enter(0, 1);
    Atomics.store(rings, cqHead / 4, done + 1);
  };
}
