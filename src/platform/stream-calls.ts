import { ERRNO } from '../base/errno.ts';
import { lastErrno, recv, send } from './system-calls.ts';

export const SOCK_STREAM = 1;
/** Beside the type of a socket that is opened or accepted. */
export const SOCK_CLOEXEC = 0x80000;
export const SOCK_NONBLOCK = 0x800;

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/**
 * The call may succeed a moment later: nothing is wrong with the other end. The last two: the
 * kernel has no memory for it.
 */
const FOR_NOW: ReadonlySet<number> = new Set([
  ...[ERRNO.EAGAIN, ERRNO.EINTR],
  ...[ERRNO.ENOBUFS, ERRNO.ENOMEM],
]);

/** Reads what a stream socket has. @returns bytes read, 0 at the end of the stream */
export function receiveNow(fd: number, into: Uint8Array): number | 'later' | 'broken' {
  const count = recv(fd, into, into.length, MSG_DONTWAIT);
  if (count >= 0) return count;
  return FOR_NOW.has(lastErrno()) ? 'later' : 'broken';
}

/** Gives a stream socket as much as it takes. @returns bytes taken */
export function sendNow(fd: number, bytes: Uint8Array): number | 'broken' {
  const count = send(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count >= 0) return count;
  return FOR_NOW.has(lastErrno()) ? 0 : 'broken';
}
