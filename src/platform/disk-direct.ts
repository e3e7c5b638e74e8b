import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { ERRNO, errnoName } from '../base/errno.ts';
import { MIB } from '../base/units.ts';
import { wasmAllocator } from './disk-plain.ts';
import { errnoOf } from './system-error.ts';

/** Largest transfer: one area. */
const BUFFER_BYTES = 8 * MIB;

/** A disk operation that the kernel refused. */
export class DiskFailure extends Error {
  override readonly name = 'DiskFailure';
  readonly path: string;
  readonly errno: number;

  constructor(doing: string, path: string, errno: number) {
    super(`cannot ${doing} ${path}: ${errnoName(errno)}`);
    this.path = path;
    this.errno = errno;
  }
}

/**
 * A device or file read and written around the page cache, on the caller's thread: for commands
 * that do one thing and end. Where O_DIRECT is not possible (tmpfs) a file is opened plainly.
 */
export class DirectDisk {
  readonly #path: string;
  readonly #fd: number;
  readonly #buffer: Uint8Array;

  constructor(path: string, access: 'read' | 'write') {
    this.#path = path;
    this.#fd = openDirect(path, access === 'read' ? constants.O_RDONLY : constants.O_RDWR);
    const memory = wasmAllocator(BUFFER_BYTES)(BUFFER_BYTES);
    if (memory === null) throw new DiskFailure('get memory for', path, ERRNO.ENOMEM);
    this.#buffer = memory.bytes;
  }

  /** `major:minor` of a block device; null for a regular file. */
  get deviceNumber(): string | null {
    const found = fstatSync(this.#fd);
    if (!found.isBlockDevice()) return null;
    // Linux splits the number this way (makedev(3)); both halves fit 32 bits in practice.
    const major = (found.rdev >>> 8) & 0xfff;
    const minor = (found.rdev & 0xff) | ((found.rdev >>> 12) & 0xfff00);
    return `${major}:${minor}`;
  }

  /** A copy of `length` bytes; a short read is EMSGSIZE, as past the end of the device. */
  read(offset: number, length: number): Uint8Array {
    const moved = this.#attempt('read', () => readSync(this.#fd, this.#buffer, 0, length, offset));
    if (moved !== length) throw new DiskFailure('read', this.#path, ERRNO.EMSGSIZE);
    return this.#buffer.slice(0, length);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#buffer.set(bytes);
    const moved = this.#attempt('write', () =>
      writeSync(this.#fd, this.#buffer, 0, bytes.length, offset),
    );
    if (moved !== bytes.length) throw new DiskFailure('write', this.#path, ERRNO.EMSGSIZE);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #attempt(doing: string, transfer: () => number): number {
    try {
      return transfer();
    } catch (thrown) {
      throw new DiskFailure(doing, this.#path, errnoOf(thrown));
    }
  }
}

function openDirect(path: string, access: number): number {
  const flags = access | constants.O_DIRECT | constants.O_SYNC;
  try {
    return openSync(path, flags);
  } catch (thrown) {
    if (errnoOf(thrown) !== osConstants.errno.EINVAL)
      throw new DiskFailure('open', path, errnoOf(thrown));
  }
  try {
    return openSync(path, access | constants.O_SYNC);
  } catch (thrown) {
    throw new DiskFailure('open', path, errnoOf(thrown));
  }
}
