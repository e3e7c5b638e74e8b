import { constants, ftruncateSync, openSync, writeSync } from 'node:fs';
import { errnoName } from './errno.ts';
import { fcntlPointer, lastErrno } from './system-calls.ts';

const F_SETLK = 6;
const F_WRLCK = 1;

/**
 * Takes the pid file as the C programs do: a POSIX write lock on the whole file, then pid and
 * newline. The descriptor stays open for the life of the process, and nobody else in this process
 * may open and close that file: closing any descriptor of it would drop the lock (spec 70 §5).
 * The lock is not inherited by children, so a lingering lease process cannot hold it.
 *
 * @throws when it cannot be opened, or another process holds it.
 */
export function lockPidFile(path: string): void {
  const fd = openSync(path, constants.O_CREAT | constants.O_WRONLY, 0o644);
  const lock = new Uint8Array(32); // struct flock: type i16, whence i16, start i64, length i64, pid
  new DataView(lock.buffer).setInt16(0, F_WRLCK, true);
  if (fcntlPointer(fd, F_SETLK, lock) < 0) {
    throw new Error(`cannot lock ${path}: ${errnoName(lastErrno())}; is another daemon running?`);
  }
  ftruncateSync(fd, 0);
  writeSync(fd, `${process.pid}\n`);
}
