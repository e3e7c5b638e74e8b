import { getsockopt } from './system-calls.ts';

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

/** Who was at the other end of a unix socket when it connected; null when the socket is closed. */
export function peerPidOf(fd: number): number | null {
  if (fd < 0) return null;
  const credentials = new Uint8Array(12); // struct ucred: pid, uid, gid
  const length = new Uint8Array([credentials.length, 0, 0, 0]);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length) < 0) return null;
  return new DataView(credentials.buffer).getInt32(0, true);
}
