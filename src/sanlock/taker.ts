import type { ByteString } from '../base/bytes.ts';
import type { Taker } from '../format/holder-note.ts';
import type { Client } from './state.ts';

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

/** What the disk is to say of the client that takes a lease, or has it when it is converted. */
export function takerOf(client: Client): Taker {
  const { pid, ownerName: clientName, process } = client;
  return {
    pid: Math.max(0, pid),
    clientName,
    command: process?.command ?? '',
    uuid: uuidOf(client),
  };
}

/**
 * libvirt tells its killpath the guest, whose process has not begun to be QEMU when its leases are
 * taken: the UUID in those words is the only one that names it (spec 60 §4).
 */
function uuidOf({ killargs }: Client): ByteString {
  return UUID.exec(killargs)?.[0] ?? '';
}
