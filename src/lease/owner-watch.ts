import { assert } from '../base/assert.ts';
import { sameBytes } from '../base/bytes.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { toSafeNumber } from '../base/units.ts';
import { encode } from '../codec/struct.ts';
import { deltaLeaseOffset, hostBlockSector } from '../format/geometry.ts';
import { type DeltaLeader, LEADER_BYTES, type PaxosLeader, paxosLeader } from '../format/leader.ts';
import { hasGone, standingOf } from './holders.ts';
import { errnoError, leaseError, readSpan, sleep } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import type { HostView, Member, Place } from './member.ts';
import { type Area, blockAt } from './paxos-area.ts';
import type { Steps } from './steps.ts';
import { verifyDelta, verifyPaxos } from './verify.ts';

/** `free`: no ballot of the owner's can still count. `changed`: begin again with a new read. */
export type OwnerVerdict = 'free' | 'changed';

interface Watch {
  readonly leader: PaxosLeader;
  readonly view: HostView | null;
  readonly first: FirstSample | null;
}

/** The read that first showed the timestamp which is to stand still: nothing before it counts. */
interface FirstSample {
  readonly timestampS: bigint;
  /** When its reply came. The owner may have renewed until then: silence begins here. */
  readonly answeredMs: number;
}

/**
 * Decides whether the recorded owner is gone: free or reused host id, or silent for 8·o + 60 s.
 *
 *   owner's last renewal seen T+0 ... T+8·o it gives up ... T+8·o+60 its watchdog has fired: ours
 *
 * Silence is what lies between the *reply* of the first sample and the *sending* of the last one:
 * before and after, a slow disk or a pause of our own may hide any number of renewals.
 * @returns ACQUIRE_IDLIVE (owner alive), ACQUIRE_OWNED_RETRY (neither, and no wait wanted), ERROR
 *   (cancelled), or what reading failed with.
 * @see spec 10 §8.3
 */
export function* watchOwner(
  member: Member,
  place: Place,
  area: Area,
  ownerNowait: boolean,
): Steps<Result<OwnerVerdict, LeaseError>> {
  let watch = beginWatch(member, area);
  let notSentBeforeMs = area.nowMs; // the sample that follows
  for (;;) {
    const ownerLease = yield* readHostLease(member, watch.leader.ownerId);
    if (!ownerLease.ok) return ownerLease;
    const { nowMs, leader: owner } = ownerLease.value;
    const { ownerId, ownerGeneration: generation } = watch.leader;
    if (standingOf(owner, { hostId: Number(ownerId), generation }) !== 'member') return ok('free');

    const { first } = watch;
    if ((first !== null && owner.timestampS !== first.timestampS) || renewedInLastLook(watch)) {
      return yield* aliveButReleased(member, place, area);
    }
    // The first timestamp seen proves nothing: only standing still from here on does.
    if (first === null) {
      watch = { ...watch, first: { timestampS: owner.timestampS, answeredMs: nowMs } };
    } else {
      const deadAfterMs = leaseTimes(owner.ioTimeoutS & 0xff || member.ioTimeoutS).hostDeadMs;
      if (notSentBeforeMs - first.answeredMs > deadAfterMs) return ok('free');
      if (ownerNowait)
        return fail(leaseError('ACQUIRE_OWNED_RETRY', 'owner watch', facts(watch.leader)));
    }
    if (member.cancelled()) return fail(leaseError('ERROR', 'owner watch, cancelled'));
    notSentBeforeMs = yield* sleep(1000);
    const same = yield* leaderUnchanged(member, place, area);
    if (!same.ok) return same;
    if (!same.value) return ok('changed');
  }
}

function beginWatch(member: Member, area: Area): Watch {
  const { leader } = area;
  const view = member.hostView(Number(leader.ownerId));
  const known =
    view !== null &&
    view.lastLiveMs !== 0 &&
    BigInt(view.ownerId) === leader.ownerId &&
    view.generation === leader.ownerGeneration;
  if (!known) return { leader, view: null, first: null };
  const { timestampS, lastLiveMs } = view;
  const first = timestampS === 0n ? null : { timestampS, answeredMs: lastLiveMs };
  return { leader, view, first };
}

/** Our latest reading of the lockspace saw the owner's timestamp move: alive, without a read. */
function renewedInLastLook(watch: Watch): boolean {
  return watch.view !== null && watch.view.lastLiveMs === watch.view.lastCheckMs;
}

/**
 * One host's lease in the lockspace, as it is on disk now.
 * @returns LEADER_NUMHOSTS for a host id that the lockspace cannot have, LEADER_*, AIO_TIMEOUT,
 *   ERRNO.
 */
export function* readHostLease(
  member: Member,
  hostId: bigint,
): Steps<Result<{ nowMs: number; leader: DeltaLeader }, LeaseError>> {
  const ownerId = Number(hostId);
  const geometry = member.lockspaceGeometry;
  // A leader naming a host that cannot exist is damage, not an owner (spec 10 §17.1 item 8).
  if (ownerId < 1 || ownerId > geometry.maxHosts) {
    return fail(leaseError('LEADER_NUMHOSTS', 'owner watch', { owner: ownerId }));
  }
  const read = yield* readSpan(
    {
      disk: 'lockspace',
      offset: member.lockspaceOffset + deltaLeaseOffset(geometry, ownerId),
      length: geometry.sectorSize,
      timeoutMs: leaseTimes(member.ioTimeoutS).ioTimeoutMs,
    },
    "owner's host lease",
  );
  if (!read.ok) return read;
  const owner = verifyDelta(read.value.value, 0, { ...member, hostId: ownerId });
  if (!owner.ok) return owner;
  const { timestampS, ownerId: found } = owner.value;
  assert(timestampS === 0n || found === hostId, 'a host lease in use is that of its own host');
  return ok({ nowMs: read.value.nowMs, leader: owner.value });
}

/** Another host wrote the leader for the owner: then the owner's own block says "released". */
function* aliveButReleased(
  member: Member,
  place: Place,
  area: Area,
): Steps<Result<OwnerVerdict, LeaseError>> {
  const { leader, geometry } = area;
  const alive = fail(leaseError('ACQUIRE_IDLIVE', 'owner watch', facts(leader)));
  if (leader.writeId === leader.ownerId) return alive;
  const ownerId = toSafeNumber(leader.ownerId, 'ownerId');
  const read = yield* readSpan(
    {
      disk: 'resource',
      offset: place.offset + hostBlockSector(ownerId) * geometry.sectorSize,
      length: geometry.sectorSize,
      timeoutMs: leaseTimes(member.ioTimeoutS).ioTimeoutMs,
    },
    "owner's host block",
  );
  if (!read.ok) return read;
  if (!hasGone(leader, blockAt(read.value.value, ownerId, geometry))) return alive;
  // The owner may have written the leader itself before that block: then the leader is its word.
  const same = yield* leaderUnchanged(member, place, area);
  return same.ok ? ok(same.value ? 'free' : 'changed') : same;
}

/**
 * Reads the leader again; false when any of its 200 bytes differs from the ballot's start.
 * @returns what `readLeader` fails with.
 */
export function* leaderUnchanged(
  member: Member,
  place: Place,
  area: Area,
): Steps<Result<boolean, LeaseError>> {
  const read = yield* readLeader(member, place, area);
  if (!read.ok) return read;
  return ok(sameLeader(read.value.leader, area.leader));
}

/**
 * Reads and verifies the leader of this resource.
 * @returns LEADER_*, AIO_TIMEOUT, ERRNO.
 */
export function* readLeader(
  member: Member,
  place: Place,
  area: Pick<Area, 'geometry'>,
): Steps<Result<{ nowMs: number; leader: PaxosLeader }, LeaseError>> {
  const read = yield* readSpan(
    {
      disk: 'resource',
      offset: place.offset,
      length: area.geometry.sectorSize,
      timeoutMs: leaseTimes(member.ioTimeoutS).ioTimeoutMs,
    },
    'leader read',
  );
  if (!read.ok) return read;
  const leader = leaderIn(member, place, read.value.value);
  return leader.ok ? ok({ nowMs: read.value.nowMs, leader: leader.value }) : leader;
}

/**
 * The leader in a leader sector, if it is that of this resource.
 * @returns LEADER_*; ERRNO EMSGSIZE for less than a record.
 */
export function leaderIn(
  member: Member,
  place: Place,
  sector: Uint8Array,
): Result<PaxosLeader, LeaseError> {
  if (sector.length < LEADER_BYTES) return fail(errnoError(90, 'leader read'));
  return verifyPaxos(sector, 0, {
    lockspaceName: member.lockspaceName,
    resourceName: place.resourceName,
    hostId: member.hostId,
  });
}

/** Whether all 200 bytes are the same. */
export function sameLeader(a: PaxosLeader, b: PaxosLeader): boolean {
  return sameBytes(encode(paxosLeader, a), encode(paxosLeader, b));
}

function facts(leader: PaxosLeader): Record<string, bigint> {
  return { owner: leader.ownerId, generation: leader.ownerGeneration, lver: leader.lver };
}
