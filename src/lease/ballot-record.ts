import { assert } from '../base/assert.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { wholeSeconds } from '../base/units.ts';
import type { Dblock } from '../format/dblock.ts';
import {
  damageOfPaxos,
  encodePaxosLeader,
  LEADER_FLAGS,
  type PaxosLeader,
} from '../format/leader.ts';
import { INDEX_LEASE_NAME } from '../format/resource-index.ts';
import { type BallotEnd, type BallotWish, mayBeDecided, type Trail } from './ballot-state.ts';
import { nextVersion } from './holders.ts';
import { ioError, leaseError, sleep } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import type { Member, Place } from './member.ts';
import { readLeader, sameLeader } from './owner-watch.ts';
import type { Area, HostBlock } from './paxos-area.ts';
import type { Steps } from './steps.ts';

/** How long another host is left to record a version that it won: what a host of ours needs. */
const OWNER_RECORDS_MS = 10;
/**
 * The same for an original that does not say in its block that it gave the lease back: one that we
 * recorded for it would keep every host out until it leaves the lockspace (spec 10 §17.1 item 5).
 * It sleeps for up to a second each time it is outrun, and one ballot of ours may outrun two of its
 * own.
 */
const ORIGINAL_RECORDS_MS = 2200;

/** What a ballot of ours has committed, as of its second reading, answered at `nowMs`. */
export interface Committed {
  readonly wish: BallotWish;
  readonly trail: Trail;
  readonly dblock: Dblock;
  readonly sharers: readonly HostBlock[];
  readonly leastHosts: number;
  readonly nowMs: number;
}

/**
 * Records in the leader what a ballot of ours has committed, unless the winner does so itself.
 * @returns who won; AIO_TIMEOUT or ERRNO of a read or write, LEADER_* for damage
 */
export function* recordCommitted(
  member: Member,
  place: Place,
  area: Area,
  won: Committed,
): Steps<Result<BallotEnd, LeaseError>> {
  const { dblock } = won;
  const byHostId = dblock.inpHostId === BigInt(member.hostId);
  const ours = byHostId && dblock.inpGeneration === member.generation;
  const isRepair = mayBeDecided(area, won.trail);
  let { nowMs } = won;
  if (!byHostId || isRepair) {
    const left = yield* leaveToOwner(member, place, area, won);
    if (!left.ok) return left;
    if (left.value.kind !== 'unrecorded') return ok(left.value);
    nowMs = left.value.nowMs;
  }
  const leader = committedLeader(member, area.leader, { ...won, nowMs });
  assert(damageOfPaxos(leader) === null, 'what we write, others can read');
  const sector = new Uint8Array(area.geometry.sectorSize);
  encodePaxosLeader(leader, sector);
  const timeoutMs = leaseTimes(member.ioTimeoutS).ioTimeoutMs;
  const wrote = yield {
    op: 'write',
    disk: 'resource',
    offset: place.offset,
    bytes: sector,
    timeoutMs,
  };
  // Only a leader that names us is ours to take back; another owner may be living by it already.
  if (ours && (isRepair || wrote.outcome !== 'done')) won.trail.leader = leader;
  if (wrote.outcome !== 'done') return fail(ioError(wrote, 'leader write'));
  // A version recorded a second time is granted to no host.
  if (isRepair) return ok({ kind: 'restart' });
  if (ours) return ok({ kind: 'won', leader, dblock, sharers: won.sharers });
  // The proposal of a former membership of ours won: never a success (spec 10 §17.1 item 1). The
  // leader now shows our id with an older generation, so the next ballot may start at once.
  if (byHostId) return ok({ kind: 'restart' });
  const error = leaseError('ACQUIRE_OTHER', 'ballot', { owner: leader.ownerId, lver: leader.lver });
  return ok({ kind: 'lost', error, leader });
}

/** The winner has not recorded its version, as of a reading begun at `nowMs`. */
interface Unrecorded {
  readonly kind: 'unrecorded';
  readonly nowMs: number;
}

/**
 * A late write of ours could put an older version over a newer leader (spec 10 §17.1 item 4): the
 * owner has a while to write the leader itself, and we read before we write.
 */
function* leaveToOwner(
  member: Member,
  place: Place,
  area: Area,
  won: Committed,
): Steps<Result<BallotEnd | Unrecorded, LeaseError>> {
  const ownerId = Number(won.dblock.inpHostId);
  const converts = won.sharers.some(({ hostId }) => hostId === ownerId);
  const mayBeMute = converts || place.resourceName === INDEX_LEASE_NAME;
  const forMs = mayBeMute && ownerId !== member.hostId ? ORIGINAL_RECORDS_MS : OWNER_RECORDS_MS;
  const { leaderRecheckMs, ioTimeoutMs } = leaseTimes(member.ioTimeoutS);
  const overMs = won.nowMs + forMs + ioTimeoutMs;
  let { nowMs } = won;
  for (let look = 1; ; look++) {
    const lookedMs = nowMs;
    nowMs = yield* sleep(10 + 20 * member.random());
    const moved = yield* leaderMoved(member, place, area);
    if (!moved.ok) return moved;
    if (moved.value !== null) return ok(moved.value);
    const isPrompt = nowMs - lookedMs <= leaderRecheckMs;
    const isLast = nowMs - won.nowMs >= forMs || member.cancelled();
    if (isLast && isPrompt) return ok({ kind: 'unrecorded', nowMs });
    // Of many looks at slow storage one is late: then it is not the last one.
    const isTooLate = look === 1 ? !isPrompt : nowMs > overMs;
    if (isTooLate || member.cancelled()) return ok({ kind: 'restart' });
  }
}

function committedLeader(member: Member, before: PaxosLeader, won: Committed): PaxosLeader {
  const { dblock } = won;
  const { shared, newNumHosts } = won.wish;
  assert(dblock.inpTimestampS !== 0n, 'a committed owner has a timestamp');
  assert(dblock.lver > before.lver, 'a ballot commits a later version than the recorded one');
  const own = dblock.inpHostId === BigInt(member.hostId);
  const flags = shared
    ? before.flags | LEADER_FLAGS.SHORT_HOLD
    : before.flags & ~LEADER_FLAGS.SHORT_HOLD;
  const least = Math.min(won.leastHosts, Number(before.numHosts)); // those behind never took part
  const numHosts = BigInt(Math.max(newNumHosts ?? 0, least));
  return {
    ...before,
    lver: dblock.lver,
    ownerId: dblock.inpHostId,
    ownerGeneration: dblock.inpGeneration,
    timestampS: dblock.inpTimestampS,
    writeId: BigInt(member.hostId),
    writeGeneration: member.generation,
    writeTimestampS: BigInt(wholeSeconds(won.nowMs)),
    flags: own ? flags : before.flags,
    numHosts: own && newNumHosts !== null ? numHosts : before.numHosts,
    unused1: 0n,
    unused2: 0,
  };
}

/** Before a second try: has another host committed this version meanwhile? */
export function* leaderMoved(
  member: Member,
  place: Place,
  area: Area,
): Steps<Result<BallotEnd | null, LeaseError>> {
  const read = yield* readLeader(member, place, area);
  if (!read.ok) return read;
  const { leader } = read.value;
  if (leader.lver === nextVersion(area)) {
    const error = leaseError('ACQUIRE_OWNED', 'ballot', {
      owner: leader.ownerId,
      lver: leader.lver,
    });
    // Own values, recorded by another host. C takes that for its win; we go on to the next version,
    // so that whatever we hold was recorded by ourselves and its release needs no other's reading.
    const ours =
      leader.ownerId === BigInt(member.hostId) && leader.ownerGeneration === member.generation;
    return ok(ours ? { kind: 'restart' } : { kind: 'lost', error, leader });
  }
  return ok(sameLeader(leader, area.leader) ? null : { kind: 'restart' });
}
