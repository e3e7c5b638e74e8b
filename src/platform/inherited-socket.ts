import { readFileSync } from 'node:fs';
import { type FileIdentity, identityOfPath, isSameFile } from './file-identity.ts';
import { identityOf } from './kernel-process.ts';
import { peerCredentialsOf } from './peer-credentials.ts';
import type { ListenerStore, StoredListener } from './stored-listeners.ts';
import { SOCK_STREAM } from './stream-calls.ts';
import {
  closeFd,
  fcntlNumber,
  getsockname,
  getsockopt,
  SOL_SOCKET,
  shutdown,
} from './system-calls.ts';
import { errnoNameOf } from './system-error.ts';
import { AF_UNIX } from './unix-address.ts';

const SO_TYPE = 3;
const SO_ACCEPTCONN = 30;
const SO_DOMAIN = 39;
const SHUT_RDWR = 2;
const F_SETFL = 4;
const O_RDWR_NONBLOCK = 2 | 0x800;
const SOCKADDR_UN_BYTES = 110;

/** A listening socket that bears the wanted name. */
export interface InheritedSocket {
  readonly fd: number;
  readonly storeName: string;
  readonly file: FileIdentity;
  readonly isActivated: boolean;
}

/**
 * The socket that the last daemon at this path left open, if the name still is that socket's, and
 * that daemon has ended. The others are closed, and those that nobody serves refuse every client:
 * their copies in the store may stay open a moment longer than this process needs.
 *
 * Call it with the lock of the directory, as for every change of the name.
 */
export function inheritedSocket(
  store: ListenerStore,
  { path, address }: { readonly path: string; readonly address: Uint8Array },
): InheritedSocket | null {
  let found: InheritedSocket | null = null;
  for (const stored of store.take()) {
    const { fd, storeName, isActivated } = stored;
    // That of a socket unit is what the name means, if it is bound to it.
    const file = isActivated ? identityOfPath(path) : stored.file;
    const isUsable = found === null && isNamed({ fd, file }, path, address) && !isServed(fd);
    if (isUsable && file !== null) {
      fcntlNumber(fd, F_SETFL, O_RDWR_NONBLOCK);
      found = { fd, storeName, file, isActivated };
    } else refuse(store, stored);
  }
  return found;
}

/** Nothing connects to it any more, and the store forgets it; unless another daemon serves it. */
export function refuse(
  store: ListenerStore,
  { fd, storeName, isActivated }: Omit<StoredListener, 'file'>,
): void {
  if (!isActivated && !isServed(fd)) {
    if (isListening(fd)) endListening(fd);
    store.remove(storeName);
  }
  closeFd(fd);
}

/** Whatever copies of it are open elsewhere: who connects is refused from now on. */
export function endListening(fd: number): void {
  shutdown(fd, SHUT_RDWR);
}

function isNamed(
  { fd, file }: Pick<StoredListener, 'fd' | 'file'>,
  path: string,
  address: Uint8Array,
): boolean {
  return isListening(fd) && isBoundTo(fd, address) && isSameFile(file, identityOfPath(path));
}

function isListening(fd: number): boolean {
  const isUnixStream = option(fd, SO_DOMAIN) === AF_UNIX && option(fd, SO_TYPE) === SOCK_STREAM;
  return isUnixStream && option(fd, SO_ACCEPTCONN) === 1;
}

function option(fd: number, name: number): number | null {
  const value = new Uint8Array(4);
  const length = new Uint8Array([value.length, 0, 0, 0]);
  if (getsockopt(fd, SOL_SOCKET, name, value, length) < 0) return null;
  return new DataView(value.buffer).getInt32(0, true);
}

function isBoundTo(fd: number, address: Uint8Array): boolean {
  const found = new Uint8Array(SOCKADDR_UN_BYTES);
  const length = new Uint8Array([found.length, 0, 0, 0]);
  if (getsockname(fd, found, length) < 0) return false;
  const bytes = found.subarray(0, new DataView(length.buffer).getUint32(0, true));
  return Buffer.compare(bytes, address) === 0;
}

/**
 * Another process serves it: its pid file may have been removed. The kernel tells which process
 * called listen last; a pid that another program has by now says nothing.
 */
function isServed(fd: number): boolean {
  const pid = isListening(fd) ? (peerCredentialsOf(fd)?.pid ?? 0) : 0;
  if (pid <= 0 || pid === process.pid || identityOf(pid) === null) return false;
  return nameOf(pid) === nameOf(process.pid);
}

/** The process that listens at the other end has surely ended. */
export function isPeerGone(fd: number): boolean {
  const pid = peerCredentialsOf(fd)?.pid ?? 0;
  if (pid <= 0) return false; // of another pid namespace
  try {
    process.kill(pid, 0); // signal 0: is it there?
    return false;
  } catch (error) {
    return errnoNameOf(error) === 'ESRCH';
  }
}

function nameOf(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1');
  } catch {
    return null; // it has ended
  }
}
