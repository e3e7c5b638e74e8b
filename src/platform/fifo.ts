import { closeSync, constants, openSync, statSync, writeSync } from 'node:fs';
import { ERRNO, errnoName } from '../base/errno.ts';
import { FdWatcher } from './fd-watcher.ts';
import { type FileIdentity, identityOfFd, removeIfSame } from './file-identity.ts';
import { withRunDirLocked } from './run-dir-lock.ts';
import { lastErrno, mkfifo, readInto } from './system-calls.ts';
import { errnoNameOf } from './system-error.ts';

const OWNER_ONLY = 0o600;
/** What the kernel writes into a pipe in one piece. */
const PIPE_BUF = 4096;

/**
 * A FIFO of ours that waits for one message. Open for both directions, as opening one for reading
 * only waits until a writer comes, and a waiting thread keeps the process from ending.
 */
export class FifoReader {
  readonly #path: string;
  readonly #fd: number;
  readonly #ours: FileIdentity;
  readonly #watcher: FdWatcher;
  #closed = false;

  /** @throws when `path` cannot be a FIFO of ours, or another process reads it. */
  constructor(path: string, received: (bytes: Uint8Array) => void) {
    this.#path = path;
    this.#fd = withRunDirLocked(path, () => openOwn(path));
    this.#ours = identityOfFd(this.#fd);
    const space = new Uint8Array(PIPE_BUF);
    this.#watcher = new FdWatcher(this.#fd, () => {
      const length = readInto(this.#fd, space, space.length);
      if (length > 0) received(space.slice(0, length));
    });
  }

  /** Removes it as well. Safe to repeat. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watcher.close();
    removeIfSame(this.#path, this.#ours);
    closeSync(this.#fd);
  }
}

function openOwn(path: string): number {
  if (mkfifo(path, OWNER_ONLY) < 0) {
    const errno = lastErrno();
    if (errno !== ERRNO.EEXIST)
      throw new Error(`cannot make the FIFO ${path}: ${errnoName(errno)}`);
    if (!statSync(path).isFIFO()) throw new Error(`${path} is in the way: it is no FIFO`);
    if (hasReader(path)) throw new Error(`${path} is read by another daemon: end that one first`);
  }
  return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
}

function hasReader(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
    return true;
  } catch (error) {
    if (errnoNameOf(error) === 'ENXIO') return false;
    throw error;
  }
}

/** null when it was taken whole, else why not: 'ENXIO' when no process reads there. */
export function sendToFifo(path: string, bytes: Uint8Array): string | null {
  let fd: number | null = null;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    return writeSync(fd, bytes) === bytes.length ? null : 'EAGAIN';
  } catch (error) {
    return errnoNameOf(error) ?? String(error);
  } finally {
    if (fd !== null) closeSync(fd);
  }
}
