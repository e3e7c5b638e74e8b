import { connect, type Socket } from 'node:net';

/** What a client may send ahead: so many requests at once. */
const AHEAD = 4096;

/** A client that sends without end until its socket is destroyed, and reads all or nothing. */
export function floods(
  socketPath: string,
  requests: { readonly first?: Uint8Array; readonly flood: Uint8Array },
  how: 'reads' | 'deaf',
): Socket {
  const socket = connect(socketPath).on('error', () => {});
  const flood = Buffer.concat(Array.from({ length: AHEAD }, () => requests.flood));
  const more = () => socket.write(flood, () => setImmediate(() => socket.destroyed || more()));
  socket.write(requests.first ?? new Uint8Array(0), more);
  return how === 'reads' ? socket.resume() : socket.pause();
}
