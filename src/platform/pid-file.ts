import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs';
import { unreachable } from '../base/assert.ts';
import { errnoName } from '../base/errno.ts';
import { type PidFileStep, pidFileSteps, runStartSteps } from '../ports/start-steps.ts';
import { identityOfFd, identityOfPath, isSameFile, removeIfSame } from './file-identity.ts';
import { fcntlPointer, lastErrno } from './system-calls.ts';

const F_SETLK = 6;
const F_WRLCK = 1;

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
  let fd = -1;
  let errno = 0;
  const perform = (step: PidFileStep): boolean => {
    switch (step) {
      case 'open':
        fd = openSync(path, constants.O_CREAT | constants.O_WRONLY, 0o644);
        return true;
      case 'lock':
        errno = lockWhole(fd);
        return errno === 0;
      case 'isNamed':
        return isSameFile(identityOfPath(path), identityOfFd(fd));
      case 'writePid':
        ftruncateSync(fd, 0);
        writeSync(fd, `${process.pid}\n`);
        return true;
      case 'close':
        closeSync(fd);
        return true;
      default:
        return unreachable(step);
    }
  };
  const end = runStartSteps(pidFileSteps(), perform);
  switch (end) {
    case 'ours': {
      const ours = identityOfFd(fd);
      return { remove: () => removeIfSame(path, ours) };
    }
    case 'busy':
      throw new Error(`cannot lock ${path}: ${errnoName(errno)}; is another daemon running?`);
    case 'removed':
      throw new Error(`cannot lock ${path}: another program removes it again and again`);
    default:
      return unreachable(end);
  }
}

/** @returns 0, or why not */
function lockWhole(fd: number): number {
  const lock = new Uint8Array(32); // struct flock: type i16, whence i16, start i64, length i64, pid
  new DataView(lock.buffer).setInt16(0, F_WRLCK, true);
  return fcntlPointer(fd, F_SETLK, lock) >= 0 ? 0 : lastErrno();
}
