import koffi from 'koffi';
import { eventfd, rawSyscall, readInto } from '../src/platform/system-calls.ts';

const libc = koffi.load('libc.so.6');
const mmap = libc.func(
  'void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset)',
);
const write = libc.func('long write(int fd, void *bytes, size_t length)');
const ftruncate = libc.func('int ftruncate(int fd, long length)');
const READ_WRITE = 3;
const MAP_SHARED = 1;
const EVENTFD_FLAGS = 0x800; // EFD_NONBLOCK; inherited
const MEMFD_CREATE = process.arch === 'arm64' ? 279 : 319;
const NAME = new Uint8Array([0x74, 0]);
const ONE = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);
const DRAINED = new Uint8Array(8);

/** Memory that a child inherits as a descriptor. */
export function createMemory(bytes: number): number {
  const name = koffi.address(NAME);
  const fd = Number(rawSyscall(MEMFD_CREATE, name, 0, 0, 0, 0));
  if (fd < 0 || ftruncate(fd, bytes) < 0) throw new Error(`memfd: errno ${koffi.errno()}`);
  return fd;
}

export function mapShared(fd: number, bytes: number, offset = 0): Int32Array {
  const address = mmap(null, bytes, READ_WRITE, MAP_SHARED, fd, offset);
  return new Int32Array(koffi.view(address, bytes));
}

export function createEvent(): number {
  return eventfd(0, EVENTFD_FLAGS);
}

export function signalEvent(fd: number): void {
  write(fd, ONE, ONE.length);
}

export function drainEvent(fd: number): void {
  readInto(fd, DRAINED, DRAINED.length);
}
