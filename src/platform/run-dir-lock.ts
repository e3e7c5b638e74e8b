import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ERRNO, errnoName } from '../base/errno.ts';
import { flock, lastErrno } from './system-calls.ts';
import { errnoNameOf } from './system-error.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const PATIENCE_MS = 5000;
const LOOK_AGAIN_MS = 5;
const LOCK_NAME = '.holdfast.lock';
const OWNER_ONLY = 0o600;
const OTHERS_MAY = 0o077;
const { O_CREAT, O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;

/**
 * Changes a name in a run directory while no other daemon of ours does: checking whether a daemon
 * serves there, removing the name of a dead one and taking its place is one step.
 *
 * The lock is on a file of ours that no other user can open, and that is never removed: a user who
 * can open a file, also for reading only, as all users can open the directory, can keep it locked
 * for ever. A file that another user may have opened is therefore no lock; where the directory lets
 * others put one there, there is no lock, as two daemons that start at once are rarer than that.
 *
 * @throws when the lock cannot be made, or another daemon of ours holds it.
 */
export function withRunDirLocked<T>(path: string, act: () => T): T {
  const name = join(dirname(path), LOCK_NAME);
  const fd = openOwn(name);
  if (fd === null) return act();
  try {
    lock(fd, name);
    return act();
  } finally {
    closeSync(fd);
  }
}

/** null where what has that name is not ours alone. Node opens everything close-on-exec. */
function openOwn(name: string): number | null {
  let fd: number;
  try {
    // NONBLOCK: a FIFO that another user put there must not stop us.
    fd = openSync(name, O_CREAT | O_RDWR | O_NOFOLLOW | O_NONBLOCK, OWNER_ONLY);
  } catch (error) {
    const code = errnoNameOf(error) ?? String(error);
    if (NOT_OURS.has(code)) return notOurs(name, code);
    throw new Error(`${dirname(name)}: ${code}`);
  }
  const found = fstatSync(fd);
  const isOurs = found.isFile() && found.nlink === 1 && found.uid === process.geteuid?.();
  if (isOurs && (found.mode & OTHERS_MAY) === 0) return fd;
  closeSync(fd);
  return notOurs(name, `uid ${found.uid}, mode ${(found.mode & 0o7777).toString(8)}`);
}

/** A link, a directory, a socket, or another user's file. */
const NOT_OURS: ReadonlySet<string> = new Set(['ELOOP', 'EISDIR', 'ENXIO', 'EACCES', 'EPERM']);

function notOurs(name: string, what: string): null {
  const advice = 'going on without that lock; remove it while no daemon starts';
  process.stderr.write(`${name} is not ours (${what}): ${advice}\n`);
  return null;
}

/** A starting daemon holds it for a moment only: a longer holder is none. */
function lock(fd: number, name: string): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waitedMs += LOOK_AGAIN_MS) {
    const errno = lastErrno();
    if ((errno !== ERRNO.EAGAIN && errno !== ERRNO.EINTR) || waitedMs >= PATIENCE_MS) {
      throw new Error(`cannot lock ${name}: ${errnoName(errno)}`);
    }
    Atomics.wait(pause, 0, 0, LOOK_AGAIN_MS);
  }
}
