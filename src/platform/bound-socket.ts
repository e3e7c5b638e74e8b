import { chmodSync, chownSync, lstatSync, unlinkSync } from 'node:fs';
import { unreachable } from '../base/assert.ts';
import { type ByteString, nameToText } from '../base/bytes.ts';
import { ERRNO, errnoName } from '../base/errno.ts';
import { runStartSteps, type SocketNameStep, socketNameSteps } from '../ports/start-steps.ts';
import { type FileIdentity, identityOfPath, removeIfSame } from './file-identity.ts';
import { endListening, inheritedSocket, isPeerGone, refuse } from './inherited-socket.ts';
import { withRunDirLocked } from './run-dir-lock.ts';
import type { ListenerStore } from './stored-listeners.ts';
import { SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from './stream-calls.ts';
import { bind, closeFd, connectTo, lastErrno, listenOn, socket } from './system-calls.ts';
import { reasonOf } from './system-error.ts';
import { AF_UNIX, isAbstract, unixAddress } from './unix-address.ts';

const SOCKET_TYPES = { stream: SOCK_STREAM, datagram: 2 } as const;
const CLOEXEC_NONBLOCK = SOCK_CLOEXEC | SOCK_NONBLOCK;
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
  /** The service manager has it too: name and socket can be left to the next daemon. */
  readonly isStored: boolean;
}

/** Another process serves at that name. */
export class NameTaken extends Error {
  override readonly name = 'NameTaken';
}

type SocketKind =
  | { readonly type: 'stream'; readonly backlog: number; readonly store?: ListenerStore | null }
  | { readonly type: 'datagram' };

interface Name {
  readonly at: SocketPlace;
  readonly path: string;
  readonly address: Uint8Array;
  readonly kind: SocketKind;
}

/**
 * Binds a socket where no process serves, or goes on with the one that the last daemon left in the
 * store. What is asked of a name in the file system, and in which order, is in ports/start-steps.
 *
 * @throws NameTaken, or another error with the reason when it cannot.
 */
export function bindSocket(at: SocketPlace, kind: SocketKind): BoundSocket {
  const path = nameToText(at.path);
  const name: Name = { at, path, address: unixAddress(at.path), kind };
  try {
    if (isAbstract(at.path)) return withNewSocket(kind, (fd) => takeAbstract(fd, name));
    return withRunDirLocked(
      path,
      () => goOnWithStored(name) ?? withNewSocket(kind, (fd) => takeName(fd, name)),
    );
  } catch (error) {
    const why = `cannot bind ${path}: ${reasonOf(error)}`;
    throw error instanceof NameTaken ? new NameTaken(why) : new Error(why);
  }
}

function withNewSocket(kind: SocketKind, act: (fd: number) => BoundSocket): BoundSocket {
  const fd = openSocket(kind.type);
  try {
    return act(fd);
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

function takeAbstract(fd: number, { address }: Name): BoundSocket {
  bindTo(fd, address);
  return { fd, removeName: () => {}, isStored: false };
}

/**
 * The socket that the last daemon left, with the clients that wait there; null: there is none, or
 * it is not the one that has the name, or it cannot be used.
 */
function goOnWithStored(name: Name): BoundSocket | null {
  const store = name.kind.type === 'stream' ? (name.kind.store ?? null) : null;
  const inherited = store === null ? null : inheritedSocket(store, name);
  if (store === null || inherited === null) return null;
  const { fd, file, storeName, isActivated } = inherited;
  try {
    serveAt(fd, name); // from here on the kernel names this process to clients
  } catch {
    refuse(store, inherited); // of another user, for instance
    return null;
  }
  // A socket unit's name stays at the end, and so does the socket: systemd starts us by it.
  if (isActivated) return { fd, removeName: () => {}, isStored: true };
  return stored(fd, { path: name.path, file, store, storeName });
}

/** In the store, from which an ordered end for good removes it. */
function stored(
  fd: number,
  of: {
    readonly path: string;
    readonly file: FileIdentity;
    readonly store: ListenerStore | null;
    readonly storeName: string | null;
  },
): BoundSocket {
  const { path, file, store, storeName } = of;
  let isNamed = true;
  const removeName = (): void => {
    if (!isNamed) return;
    isNamed = false;
    removeIfSame(path, file);
    if (store === null || storeName === null) return;
    endListening(fd); // at once: the copy in the store is closed a moment later
    store.remove(storeName);
  };
  return { fd, removeName, isStored: storeName !== null };
}

/** A stream socket that does not listen refuses all clients: mode and owner are set first. */
function serveAt(fd: number, { at, path, kind }: Name): void {
  chownSync(path, at.uid, at.gid);
  chmodSync(path, at.mode);
  if (kind.type === 'stream' && listenOn(fd, kind.backlog) < 0) {
    throw new Error(`listen: ${errnoName(lastErrno())}`);
  }
}

function takeName(fd: number, name: Name): BoundSocket {
  const { path, address, kind } = name;
  let ours = null as FileIdentity | null; // the compiler does not see that `perform` sets it
  const perform = (step: SocketNameStep): boolean => {
    switch (step) {
      case 'isThere':
        return isSocketThere(path);
      case 'isServed':
        return isServed(address, kind);
      case 'remove':
        unlinkSync(path);
        return true;
      case 'bind':
        bindTo(fd, address);
        ours = identityOfPath(path);
        return true;
      case 'serve':
        serveAt(fd, name);
        return true;
      default:
        return unreachable(step);
    }
  };
  if (runStartSteps(socketNameSteps(), perform) === 'busy') {
    throw new NameTaken('another daemon serves it, and has to end first');
  }
  if (ours === null) throw new Error('it was removed at once');
  const file: FileIdentity = ours;
  const store = kind.type === 'stream' ? (kind.store ?? null) : null;
  const storeName = store?.put(fd, path, file) ?? null;
  return stored(fd, { path, file, store, storeName });
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

function isSocketThere(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  if (!found.isSocket()) throw new Error('what is there is no socket');
  return true;
}

/** @throws where it is neither clear that a process serves, nor that none does */
function isServed(address: Uint8Array, kind: SocketKind): boolean {
  const fd = openSocket(kind.type);
  const errno = connectTo(fd, address, address.length) < 0 ? lastErrno() : 0;
  // Kept by the service manager, which did not give it to us: that would go on for ever.
  const mayBeKept = kind.type === 'stream' && kind.store?.isThere === true;
  const isOnlyKept = errno === 0 && mayBeKept && isPeerGone(fd);
  closeFd(fd);
  if (isOnlyKept) return false;
  if (errno === 0 || ANSWERED.has(errno)) return true;
  if (errno !== ERRNO.ECONNREFUSED && errno !== ERRNO.ENOENT) {
    const met = `connecting to what is there fails with ${errnoName(errno)}`;
    throw new Error(`${met}: remove it if no daemon serves it`);
  }
  return false;
}
