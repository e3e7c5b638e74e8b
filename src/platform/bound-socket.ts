import { chmodSync, chownSync, lstatSync, unlinkSync } from 'node:fs';
import { type ByteString, nameToText } from '../base/bytes.ts';
import { ERRNO, errnoName } from '../base/errno.ts';
import { identityOfPath, removeIfSame } from './file-identity.ts';
import { withRunDirLocked } from './run-dir-lock.ts';
import { bind, closeFd, connectTo, lastErrno, listenOn, socket } from './system-calls.ts';
import { reasonOf } from './system-error.ts';
import { AF_UNIX, isAbstract, unixAddress } from './unix-address.ts';

const SOCKET_TYPES = { stream: 1, datagram: 2 } as const;
const CLOEXEC_NONBLOCK = 0x80000 | 0x800;
/** Full queues and other kinds of socket: a process serves there. */
const ANSWERED: ReadonlySet<number> = new Set([ERRNO.EAGAIN, ERRNO.EINPROGRESS, ERRNO.EPROTOTYPE]);

export interface SocketPlace {
  readonly path: ByteString;
  readonly mode: number;
  /** Given to them before anybody can connect; -1 keeps what it is. */
  readonly uid: number;
  readonly gid: number;
}

/** A socket of this process with a name in the file system. */
export interface BoundSocket {
  readonly fd: number;
  /**
   * Removes the name if it still is ours. Before the descriptor is closed: no other daemon takes a
   * name that answers. Safe to repeat.
   */
  removeName(): void;
}

/** Another process serves at that name. */
export class NameTaken extends Error {
  override readonly name = 'NameTaken';
}

/**
 * Binds a socket where no process serves. A name that answers is never removed: a second daemon,
 * with another pid file or after its removal, must not make the first one deaf. The lock of the
 * directory keeps two starting daemons from removing what the other has just bound.
 *
 * @throws NameTaken, or another error with the reason when it cannot.
 */
export function bindSocket(
  at: SocketPlace,
  kind: { readonly type: 'stream'; readonly backlog: number } | { readonly type: 'datagram' },
): BoundSocket {
  const path = nameToText(at.path);
  const address = unixAddress(at.path);
  const fd = openSocket(kind.type);
  try {
    if (isAbstract(at.path)) {
      bindTo(fd, address);
      return { fd, removeName: () => {} };
    }
    return withRunDirLocked(path, () => {
      makeRoom(path, address, kind.type);
      bindTo(fd, address);
      const ours = identityOfPath(path);
      if (ours === null) throw new Error('it was removed at once');
      // A stream socket that does not listen refuses all clients: mode and owner are set first.
      chownSync(path, at.uid, at.gid);
      chmodSync(path, at.mode);
      if (kind.type === 'stream' && listenOn(fd, kind.backlog) < 0) {
        throw new Error(`listen: ${errnoName(lastErrno())}`);
      }
      return { fd, removeName: () => removeIfSame(path, ours) };
    });
  } catch (error) {
    closeFd(fd);
    const why = `cannot bind ${path}: ${reasonOf(error)}`;
    throw error instanceof NameTaken ? new NameTaken(why) : new Error(why);
  }
}

function openSocket(type: keyof typeof SOCKET_TYPES): number {
  const fd = socket(AF_UNIX, SOCKET_TYPES[type] | CLOEXEC_NONBLOCK, 0);
  if (fd < 0) throw new Error(`cannot open a socket: ${errnoName(lastErrno())}`);
  return fd;
}

function bindTo(fd: number, address: Uint8Array): void {
  if (bind(fd, address, address.length) < 0) {
    const errno = lastErrno();
    throw errno === ERRNO.EADDRINUSE
      ? new NameTaken(errnoName(errno))
      : new Error(errnoName(errno));
  }
}

/** Removes what a dead daemon left, and nothing else. */
function makeRoom(path: string, address: Uint8Array, type: keyof typeof SOCKET_TYPES): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error('what is there is no socket');
  const fd = openSocket(type);
  const errno = connectTo(fd, address, address.length) < 0 ? lastErrno() : 0;
  closeFd(fd);
  if (errno === 0 || ANSWERED.has(errno)) {
    throw new NameTaken('another daemon serves it, and has to end first');
  }
  if (errno !== ERRNO.ECONNREFUSED && errno !== ERRNO.ENOENT) {
    const met = `connecting to what is there fails with ${errnoName(errno)}`;
    throw new Error(`${met}: remove it if no daemon serves it`);
  }
  unlinkSync(path);
}
