import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs';
import { assert, unreachable } from '../base/assert.ts';
import { ERRNO, errnoName } from '../base/errno.ts';
import type { Log } from '../ports/log.ts';
import { type PidFileStep, pidFileSteps, runStartSteps } from '../ports/start-steps.ts';
import { identityOfFd, identityOfPath, isSameFile, removeIfSame } from './file-identity.ts';
import { hasServiceManager, notifyServiceManager } from './sd-notify.ts';
import { fcntlPointer, lastErrno } from './system-calls.ts';

const F_GETLK = 5;
const F_SETLK = 6;
const F_WRLCK = 1;
/** struct flock: type i16, whence i16, start i64, length i64, pid i32 */
const FLOCK_BYTES = 32;
const FLOCK_PID = 24;
/** What the kernel says of a lock that another process has. */
const TAKEN: readonly number[] = [ERRNO.EAGAIN, ERRNO.EACCES];

const LOOK_AGAIN_MS = 1000;

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
  const tried = tryPidFile(path);
  if (!('errno' in tried)) return tried;
  throw new Error(`cannot lock ${path}: ${errnoName(tried.errno)}; is another daemon running?`);
}

export interface PidFileWish {
  readonly log: Log;
  /** Exactly one of these two is called, also at once. */
  readonly locked: (file: PidFile) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * The same for a daemon that a service manager may start: such a one waits while another one runs.
 * systemd starts the next daemon also after the last one has refused to end, and the next one would
 * fail, and be started again, each second. So it is there when the last one ends, however that
 * ends; systemd itself ends a start that takes too long.
 */
export function lockPidFileWhenFree(path: string, { log, locked, failed }: PidFileWish): void {
  let hasWaited = false;
  const attempt = (): void => {
    let file: PidFile;
    try {
      const tried = hasServiceManager() ? tryPidFile(path) : lockPidFile(path);
      if ('errno' in tried) {
        if (!hasWaited) sayWaits(log, tried.pid);
        hasWaited = true;
        setTimeout(attempt, LOOK_AGAIN_MS);
        return;
      }
      file = tried;
    } catch (error) {
      failed(error);
      return;
    }
    if (hasWaited) notifyServiceManager('STATUS=');
    locked(file);
  };
  attempt();
}

function sayWaits(log: Log, pid: number | null): void {
  log.warn('daemon.waits', { runningPid: pid ?? 0 });
  notifyServiceManager(`STATUS=waits for the end of the one that runs (pid ${pid ?? 'unknown'})`);
}

/** Another process has it. */
interface Taken {
  readonly errno: number;
  /** null: unknown, or it has just ended. */
  readonly pid: number | null;
}

function tryPidFile(path: string): PidFile | Taken {
  let fd = -1;
  let refused: Taken | null = null;
  const perform = (step: PidFileStep): boolean => {
    switch (step) {
      case 'open':
        fd = openSync(path, constants.O_CREAT | constants.O_WRONLY, 0o644);
        return true;
      case 'lock':
        refused = lockWhole(fd);
        return refused === null;
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
      return takenOf(path, refused);
    case 'removed':
      throw new Error(`cannot lock ${path}: another program removes it again and again`);
    default:
      return unreachable(end);
  }
}

function takenOf(path: string, refused: Taken | null): Taken {
  assert(refused !== null, 'a lock that is busy was refused');
  if (TAKEN.includes(refused.errno)) return refused;
  throw new Error(`cannot lock ${path}: ${errnoName(refused.errno)}`);
}

/** @returns null, or why not */
function lockWhole(fd: number): Taken | null {
  const lock = new Uint8Array(FLOCK_BYTES);
  const fields = new DataView(lock.buffer);
  fields.setInt16(0, F_WRLCK, true);
  if (fcntlPointer(fd, F_SETLK, lock) >= 0) return null;
  const errno = lastErrno();
  const isTold = fcntlPointer(fd, F_GETLK, lock) >= 0;
  const pid = isTold ? fields.getInt32(FLOCK_PID, true) : 0;
  return { errno, pid: pid > 0 ? pid : null };
}
