import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs';
import { errnoName } from '../base/errno.ts';
import { identityOfFd, identityOfPath, isSameFile, removeIfSame } from './file-identity.ts';
import { fcntlPointer, lastErrno } from './system-calls.ts';

const F_SETLK = 6;
const F_WRLCK = 1;

const MAX_TRIES = 10;

/** The lock stays until the process ends. */
export interface PidFile {
  /** Removes the name if it still is this file's. */
  remove(): void;
}

/**
 * Takes the pid file as the C programs do: a POSIX write lock on the whole file, then pid and
 * newline. The descriptor stays open until the process ends, and no other code in this process
 * may open and close that file: closing any descriptor of it would drop the lock (spec 70 §5).
 * The lock is not inherited by children, so a lingering lease process cannot hold it.
 *
 * @throws when it cannot be opened, or another process holds it.
 */
export function lockPidFile(path: string): PidFile {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const fd = lockOnce(path);
    const ours = identityOfFd(fd);
    if (isSameFile(identityOfPath(path), ours)) {
      ftruncateSync(fd, 0);
      writeSync(fd, `${process.pid}\n`);
      return { remove: () => removeIfSame(path, ours) };
    }
    // Its last owner removed it between our open and our lock: that lock excludes no process.
    closeSync(fd);
  }
  throw new Error(`cannot lock ${path}: another program removes it again and again`);
}

function lockOnce(path: string): number {
  const fd = openSync(path, constants.O_CREAT | constants.O_WRONLY, 0o644);
  const lock = new Uint8Array(32); // struct flock: type i16, whence i16, start i64, length i64, pid
  new DataView(lock.buffer).setInt16(0, F_WRLCK, true);
  if (fcntlPointer(fd, F_SETLK, lock) >= 0) return fd;
  const errno = lastErrno();
  closeSync(fd);
  throw new Error(`cannot lock ${path}: ${errnoName(errno)}; is another daemon running?`);
}
