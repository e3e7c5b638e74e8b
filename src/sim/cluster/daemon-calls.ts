import { ERRNO } from '../../base/errno.ts';
import { decode } from '../../codec/struct.ts';
import type { LeaseCommandResult } from '../../lease-process/messages.ts';
import { SM_HEADER_BYTES, smHeader } from '../../wire/sanlock/socket.ts';
import type { Lockspace, Resource } from '../../wire/sanlock/types.ts';
import { AREA_BYTES, LOCKSPACE, LUN } from '../kernel/layout.ts';
import type { SimPeer } from '../kernel/peer.ts';

/** Whether a result of add_lockspace says that it was called before. */
export function isAdded(result: number): boolean {
  return [-ERRNO.EEXIST, -ERRNO.EINPROGRESS, -ERRNO.EAGAIN].includes(result);
}

export function placeOf(hostId: number): Lockspace {
  return { name: LOCKSPACE, hostId: BigInt(hostId), path: LUN, offset: 0n };
}

export function resourceAt(offset: number): number {
  return offset / AREA_BYTES - 1;
}

export function resourceOf(resource: number, flags: number): Resource {
  const offset = BigInt((resource + 1) * AREA_BYTES);
  return {
    lockspaceName: LOCKSPACE,
    name: `R${resource}`,
    lver: 0n,
    flags,
    disks: [{ path: LUN, offset }],
  };
}

export function refusal(during: string, result: number): LeaseCommandResult {
  const error = { code: 'ERRNO', errno: -result, during, facts: {} } as const;
  return { ok: false, step: 'run', error, leader: null };
}

/** The results of the replies that are complete, each taken once. */
export function* results(peer: SimPeer): Generator<number> {
  while (peer.received.length >= SM_HEADER_BYTES) {
    const header = decode(smHeader, Uint8Array.from(peer.received.slice(0, SM_HEADER_BYTES)));
    const length = Math.max(SM_HEADER_BYTES, header.length);
    if (peer.received.length < length) return;
    peer.received.splice(0, length);
    yield header.data;
  }
}
