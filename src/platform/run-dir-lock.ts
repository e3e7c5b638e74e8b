import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoName } from './errno.ts';
import { flock, lastErrno } from './system-calls.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const EAGAIN = 11;
const EINTR = 4;
const PATIENCE_MS = 5000;
const LOOK_AGAIN_MS = 5;

/**
 * Does something to a name in a run directory while no other daemon of ours does: looking whether
 * somebody serves there, removing what is left behind and taking its place is one step for all.
 * The directory itself is locked, so nothing has to be kept beside the name.
 *
 * @throws when the directory cannot be opened, or somebody keeps it locked.
 */
export function withRunDirLocked<T>(path: string, act: () => T): T {
  const directory = dirname(path);
  let fd: number;
  try {
    fd = openSync(directory, 'r');
  } catch (error) {
    throw new Error(`${directory}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
  try {
    lock(fd, directory);
    return act();
  } finally {
    closeSync(fd);
  }
}

/** Held for a moment only: whoever keeps it for longer is no daemon that is starting. */
function lock(fd: number, directory: string): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waitedMs += LOOK_AGAIN_MS) {
    const errno = lastErrno();
    if ((errno !== EAGAIN && errno !== EINTR) || waitedMs >= PATIENCE_MS) {
      throw new Error(`cannot lock the directory ${directory}: ${errnoName(errno)}`);
    }
    Atomics.wait(pause, 0, 0, LOOK_AGAIN_MS);
  }
}
