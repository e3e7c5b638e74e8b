import { bindSocket } from './bound-socket.ts';
import { peerCredentialsOf } from './peer-credentials.ts';
import type { ListenerStore } from './stored-listeners.ts';
import { UnixSockets } from './unix-socket.ts';

/** Sockets for programs that serve; clients do without foreign functions. */
export function daemonSockets(store: ListenerStore | null = null): UnixSockets {
  return new UnixSockets({ credentials: peerCredentialsOf, bind: bindSocket, store });
}
