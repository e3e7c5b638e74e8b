import { NameTaken } from '../../platform/bound-socket.ts';
import { DatagramReceiver } from '../../platform/datagram.ts';

/** Where lvmlockd sends its dumps, whoever asks: of the network namespace, not of a folder. */
const DUMP_SOCKET = '@lvmlockd-dump.sock';

/** null: another program is receiving a dump there. */
export function receiveDump(received: (bytes: Uint8Array) => void): DatagramReceiver | null {
  try {
    return new DatagramReceiver(DUMP_SOCKET, received);
  } catch (error) {
    if (error instanceof NameTaken) return null;
    throw error;
  }
}
