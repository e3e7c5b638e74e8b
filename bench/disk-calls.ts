import { closeSync, constants, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MIB } from '../src/base/units.ts';
import { AioRing } from '../src/platform/aio-ring.ts';
import { AIO_CALLS } from '../src/platform/disk-aio.ts';
import { allocateAligned, checked, rawSyscall } from '../src/platform/system-calls.ts';
import { errnoNameOf } from '../src/platform/system-error.ts';
import { mapShared } from './shared-memory.ts';
import { median } from './statistics.ts';

/**
 * Ways to have the kernel read a sector: what decided how a lease process does it (spec 70 §2.2).
 * One request at a time, waited for in the kernel where it is not done at once.
 */
const SECTOR = 512;
/** Of the request's memory: the context, the list of requests, the one request, completions. */
const AT = { context: 0, list: 64, request: 128, done: 512 };
const WARM = 2000;
const CALLS = 8000;
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
  try {
    const fd = openSync(path, constants.O_RDWR | constants.O_DIRECT);
    compare(fd, label);
    closeSync(fd);
  } catch (error) {
    if (errnoNameOf(error) !== 'EINVAL') throw error;
    console.log(`Left out: reads on ${label}, which takes no direct I/O.`);
  } finally {
    rmSync(path);
  }
}

function compare(fd: number, label: string): void {
  const buffer = allocateAligned(SECTOR);
  if (buffer === null) throw new Error('no memory for a sector');
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

interface Aio {
  readonly context: bigint;
  submit(): void;
  /** Waits in the kernel until the request is done. */
  wait(): void;
}

function aioContext(from: From): Aio {
  const memory = allocateAligned(4096);
  if (memory === null) throw new Error('no memory for a request');
  const { address } = memory;
  const words = new BigUint64Array(memory.bytes.buffer);
  checked('io_setup', Number(rawSyscall(AIO_CALLS.setup, ENTRIES, address + AT.context, 0, 0, 0)));
  words[AT.list / 8] = BigInt(address + AT.request);
  const iocb = AT.request / 8;
  words[iocb + 2] = BigInt(from.fd) << 32n; // aio_lio_opcode 0: a read
  words[iocb + 3] = BigInt(from.address);
  words[iocb + 4] = BigInt(SECTOR);
  const context = words[AT.context] ?? 0n;
  const id = Number(context);
  const { submit, getevents } = AIO_CALLS;
  return {
    context,
    submit: () => {
      checked('io_submit', Number(rawSyscall(submit, id, 1, address + AT.list, 0, 0)));
    },
    wait: () => {
      const into = address + AT.done;
      checked('io_getevents', Number(rawSyscall(getevents, id, 1, ENTRIES, into, 0)));
    },
  };
}

function aioCalls(from: From): ReadOne {
  const aio = aioContext(from);
  return () => {
    aio.submit();
    aio.wait();
  };
}

function aioRing(from: From): ReadOne | string {
  const aio = aioContext(from);
  const ring = AioRing.of(aio.context);
  if (ring === null) return 'another ring';
  return () => {
    aio.submit();
    if (!ring.take(() => {})) aio.wait();
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
