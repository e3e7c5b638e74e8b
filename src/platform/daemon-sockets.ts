import { bindSocket } from './bound-socket.ts';
import { peerCredentialsOf } from './peer-credentials.ts';
import { UnixSockets } from './unix-socket.ts';

/** Sockets for programs that serve; clients do without foreign functions. */
export function daemonSockets(): UnixSockets {
  return new UnixSockets({ credentials: peerCredentialsOf, bind: bindSocket });
}
