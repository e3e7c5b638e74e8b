import type { ByteString } from '../base/bytes.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { wholeSeconds } from '../base/units.ts';
import { type Geometry, LVB_SECTOR } from '../format/geometry.ts';
import { encodePaxosLeader, LEADER_FLAGS, type PaxosLeader } from '../format/leader.ts';
import { released, writeHostBlock } from './ballot.ts';
import { ioError, leaseError } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import { readLeader, sameLeader } from './owner-watch.ts';
import type { PaxosHold } from './paxos-hold.ts';
import type { Steps } from './steps.ts';
import type { Member, Place } from './world.ts';

/**
 * Gives a hold back. The order is the safety: value block, own block RELEASED, leader free.
 * @returns RELEASE_LVER or RELEASE_OWNER when the leader is no longer the one we committed (then
 *   nothing is written to it), AIO_TIMEOUT or ERRNO for I/O: the caller repeats the release later.
 * @see spec 10 §9.2, §9.3. C: paxos_lease_release
 */
export function* paxosRelease(
  member: Member,
  hold: PaxosHold,
  wish: { readonly lvb: Uint8Array | null; readonly rename: ByteString | null },
): Steps<Result<null, LeaseError>> {
  const { geometry } = hold;
  if (hold.shared) {
    const wrote = yield* writeHostBlock(member, hold, geometry, {
      dblock: released(hold.dblock),
      sharedGeneration: null,
    });
    return wrote.outcome === 'done' ? ok(null) : fail(ioError(wrote, 'shared release'));
  }
  if (wish.lvb !== null) yield* writeLvb(member, hold, wish.lvb);
  // Its failure is no obstacle: the leader below says the same to every other host.
  yield* writeHostBlock(member, hold, geometry, {
    dblock: released(hold.dblock),
    sharedGeneration: null,
  });
  return yield* freeLeader(member, hold, { geometry, leader: hold.leader, rename: wish.rename });
}

/** An error is ignored, as the original does: the lock must not stay held for a lost value. */
export function* writeLvb(member: Member, hold: PaxosHold, lvb: Uint8Array): Steps<void> {
  const bytes = new Uint8Array(hold.geometry.sectorSize);
  bytes.set(lvb.subarray(0, bytes.length));
  const offset = hold.offset + LVB_SECTOR * hold.geometry.sectorSize;
  const timeoutMs = leaseTimes(member.ioTimeoutS).ioTimeoutMs;
  yield { op: 'write', disk: 'resource', offset, bytes, timeoutMs };
}

/** Writes the leader free, only if it is byte for byte the one we committed and wrote. */
export function* freeLeader(
  member: Member,
  place: Place,
  from: {
    readonly geometry: Geometry;
    readonly leader: PaxosLeader;
    readonly rename: ByteString | null;
  },
): Steps<Result<null, LeaseError>> {
  const read = yield* readLeader(member, place, from);
  if (!read.ok) return read;
  const { leader, nowMs } = read.value;
  if (leader.writeId !== BigInt(member.hostId)) return ok(null); // our block's RELEASED is the release
  const facts = { lver: leader.lver, owner: leader.ownerId, generation: leader.ownerGeneration };
  if (leader.lver !== from.leader.lver) return fail(leaseError('RELEASE_LVER', 'release', facts));
  if (!sameLeader({ ...leader, checksum: 0 }, { ...from.leader, checksum: 0 })) {
    return fail(leaseError('RELEASE_OWNER', 'release', facts));
  }
  const free: PaxosLeader = {
    ...leader,
    timestampS: 0n,
    flags: leader.flags & ~LEADER_FLAGS.SHORT_HOLD,
    writeId: BigInt(member.hostId),
    writeGeneration: member.generation,
    writeTimestampS: BigInt(wholeSeconds(nowMs)),
    resourceName: from.rename ?? leader.resourceName,
  };
  const bytes = new Uint8Array(from.geometry.sectorSize);
  encodePaxosLeader(free, bytes);
  const timeoutMs = leaseTimes(member.ioTimeoutS).ioTimeoutMs;
  const wrote = yield { op: 'write', disk: 'resource', offset: place.offset, bytes, timeoutMs };
  return wrote.outcome === 'done' ? ok(null) : fail(ioError(wrote, 'leader release'));
}
