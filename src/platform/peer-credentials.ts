import { getsockopt, SOL_SOCKET } from './system-calls.ts';

const SO_PEERCRED = 17;

/** Of a process, at the moment when it connected. */
export interface PeerCredentials {
  /** 0: of a pid namespace that is not seen from here. */
  readonly pid: number;
  /** Effective; 0 is root. Of a foreign user namespace: the overflow uid, never 0. */
  readonly uid: number;
}

/** Who was at the other end of a unix socket when it connected; null when the socket is closed. */
export function peerCredentialsOf(fd: number): PeerCredentials | null {
  if (fd < 0) return null;
  const credentials = new Uint8Array(12); // struct ucred: pid, uid, gid
  const length = new Uint8Array([credentials.length, 0, 0, 0]);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length) < 0) return null;
  const fields = new DataView(credentials.buffer);
  return { pid: fields.getInt32(0, true), uid: fields.getUint32(4, true) };
}
