import { fail, ok, type Result } from '../base/result.ts';
import { toSafeNumber } from '../base/units.ts';
import type { Geometry } from '../format/geometry.ts';
import { hasLvb, hostBlockSector, LVB_SECTOR } from '../format/geometry.ts';
import { LEADER_FLAGS, type PaxosLeader } from '../format/leader.ts';
import {
  type BallotFailure,
  type BallotWish,
  released,
  runBallot,
  writeHostBlock,
} from './ballot.ts';
import { ERRNO_EAGAIN, ERRNO_EINVAL } from './errno.ts';
import { errnoError, ioError, leaseError, readSpan, sleep } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import { watchOwner } from './owner-watch.ts';
import { type Area, decodeBlock, type HostBlock, readArea } from './paxos-area.ts';
import type { PaxosHold } from './paxos-hold.ts';
import { freeLeader } from './paxos-release.ts';
import { leaseTimesOf, sharerIsLive } from './sharer.ts';
import type { Steps } from './steps.ts';
import type { Member, Place } from './world.ts';

export interface AcquireWish {
  readonly shared: boolean;
  /** Answer at once when the owner is neither alive nor surely dead. */
  readonly ownerNowait: boolean;
  /** Only this lease version is wanted. */
  readonly wantedLver: bigint | null;
  readonly newNumHosts: number | null;
  /** What an earlier read of this area said; only saves reading, never decides. */
  readonly guess: { readonly geometry: Geometry; readonly numHosts: number };
}

export interface Refusal {
  readonly error: LeaseError;
  /** The leader that refused us, where there was one. */
  readonly leader: PaxosLeader | null;
}

const MAX_RESTARTS = 1000;

/**
 * Takes a resource, exclusively or shared.
 * @returns the hold, or ACQUIRE_*, ERRNO EAGAIN (live shared holders), LEADER_*, DBLOCK_*,
 *   AIO_TIMEOUT.
 * @see spec 10 §8, §9.1; Gafni and Lamport, Disk Paxos. C: paxos_lease_acquire
 */
export function* paxosAcquire(
  member: Member,
  place: Place,
  wish: AcquireWish,
): Steps<Result<PaxosHold, Refusal>> {
  if (!wish.shared) return yield* acquireOnce(member, place, wish);
  let pauseMs = 5;
  for (let attempt = 0; ; attempt++) {
    const got = yield* acquireOnce(member, place, wish);
    if (got.ok || !metShortHold(got.error)) return got;
    if (attempt >= SHARED_TRIES_PER_RETRY * member.sharedRetries) {
      return fail({
        ...got.error,
        error: leaseError('ACQUIRE_SHRETRY', 'shared acquire', { attempt }),
      });
    }
    yield* sleep(pauseMs * (0.5 + member.random()));
    pauseMs = Math.min(1000, pauseMs * 1.5);
  }
}

/** Our pauses begin far below C's random second, so that many more fit into the same patience. */
const SHARED_TRIES_PER_RETRY = 3;

/**
 * Another shared host is between its ballot and its mode block. C forgets SHORT_HOLD when a third
 * host recorded the owner, so for a shared request a lost ballot counts as one too (§17.1 item 3).
 */
function metShortHold(refusal: Refusal): boolean {
  const { code } = refusal.error;
  if (code === 'ACQUIRE_OWNED' || code === 'ACQUIRE_OTHER') return true;
  const short = refusal.leader !== null && (refusal.leader.flags & LEADER_FLAGS.SHORT_HOLD) !== 0;
  return code === 'ACQUIRE_IDLIVE' && short;
}

function* acquireOnce(
  member: Member,
  place: Place,
  wish: AcquireWish,
): Steps<Result<PaxosHold, Refusal>> {
  let guess = wish.guess;
  for (let restart = 0; restart < MAX_RESTARTS; restart++) {
    const read = yield* readArea(member, place, guess);
    if (!read.ok) return fail({ error: read.error, leader: null });
    const area = read.value;
    guess = { geometry: area.geometry, numHosts: toSafeNumber(area.leader.numHosts, 'numHosts') };
    const refused = refuseEarly(member, area, wish);
    if (refused !== null) return fail({ error: refused, leader: area.leader });

    const verdict = yield* ownerVerdict(member, place, area, wish.ownerNowait);
    if (!verdict.ok) return fail({ error: verdict.error, leader: area.leader });
    if (verdict.value === 'changed') continue;

    const ballotWish = { shared: wish.shared, keepShared: false, newNumHosts: wish.newNumHosts };
    const ended = yield* ballotOrRetract(member, place, area, ballotWish);
    if (!ended.ok) return ended;
    if (ended.value === null) continue;
    const { hold, sharers } = ended.value;
    return wish.shared
      ? yield* becomeShared(member, place, hold)
      : yield* clearSharers(member, place, { hold, sharers });
  }
  return fail({
    error: leaseError('DBLOCK_LVER', 'acquire', { restarts: MAX_RESTARTS }),
    leader: null,
  });
}

/** Refusals that the first read already proves; refusing never breaks exclusion. */
function refuseEarly(member: Member, area: Area, wish: AcquireWish): LeaseError | null {
  const { leader, blocks } = area;
  if (wish.wantedLver !== null && wish.wantedLver !== leader.lver) {
    return leaseError('ACQUIRE_LVER', 'acquire', { found: leader.lver, wanted: wish.wantedLver });
  }
  if (wish.shared) return null;
  const live = blocks.find(
    (block) =>
      block.shared &&
      block.hostId !== member.hostId &&
      block.sharedGeneration !== 0n &&
      sharerIsLive(member, block, area.nowMs),
  );
  if (live === undefined) return null;
  return errnoError(ERRNO_EAGAIN, 'acquire, held shared', { host: live.hostId });
}

export function* ownerVerdict(
  member: Member,
  place: Place,
  area: Area,
  ownerNowait: boolean,
): Steps<Result<'free' | 'changed', LeaseError>> {
  const { leader } = area;
  const own =
    leader.ownerId === BigInt(member.hostId) && leader.ownerGeneration <= member.generation;
  if (leader.timestampS === 0n || own) return ok('free');
  return yield* watchOwner(member, place, area, ownerNowait);
}

export interface Won {
  readonly hold: PaxosHold;
  readonly sharers: readonly HostBlock[];
}

/** null: begin again with a new read. A ballot that may still commit our values is taken back. */
export function* ballotOrRetract(
  member: Member,
  place: Place,
  area: Area,
  wish: BallotWish,
): Steps<Result<Won | null, Refusal>> {
  const ballot = yield* runBallot(member, place, area, wish);
  if (!ballot.ok) {
    yield* retract(member, place, area, { failure: ballot.error, wish });
    return fail({ error: ballot.error.error, leader: null });
  }
  const end = ballot.value;
  if (end.kind === 'restart') return ok(null);
  if (end.kind === 'lost') return fail({ error: end.error, leader: end.leader });
  const hold: PaxosHold = {
    path: place.path,
    offset: place.offset,
    lockspaceName: member.lockspaceName,
    resourceName: place.resourceName,
    geometry: area.geometry,
    shared: false,
    leader: end.leader,
    dblock: end.dblock,
  };
  return ok({ hold, sharers: end.sharers });
}

/**
 * Our values may be committed although we failed: say "released" in our block, keeping its values,
 * and free the leader if we are its writer and owner. The block is the one last written plus one
 * flag, so whichever of the two writes lands last no value is lost (spec 10 §8.4).
 */
function* retract(
  member: Member,
  place: Place,
  area: Area,
  from: { readonly failure: BallotFailure; readonly wish: BallotWish },
): Steps<void> {
  const { mayCommit, leaderAttempted } = from.failure;
  if (mayCommit === null) return;
  const sharedGeneration = from.wish.keepShared ? member.generation : null;
  yield* writeHostBlock(member, place, area.geometry, {
    dblock: released(mayCommit),
    sharedGeneration,
  });
  if (leaderAttempted !== null) {
    yield* freeLeader(member, place, {
      geometry: area.geometry,
      leader: leaderAttempted,
      rename: null,
    });
  }
}

/** Mode block first, leader free second: at no moment does the lease look free to others. */
function* becomeShared(
  member: Member,
  place: Place,
  hold: PaxosHold,
): Steps<Result<PaxosHold, Refusal>> {
  const dblock = released(hold.dblock);
  const wrote = yield* writeHostBlock(member, place, hold.geometry, {
    dblock,
    sharedGeneration: member.generation,
  });
  const freed =
    wrote.outcome === 'done'
      ? yield* freeLeader(member, place, {
          geometry: hold.geometry,
          leader: hold.leader,
          rename: null,
        })
      : fail(ioError(wrote, 'shared mode write'));
  if (freed.ok) return ok({ ...hold, shared: true, dblock });
  yield* writeHostBlock(member, place, hold.geometry, { dblock, sharedGeneration: null });
  if (wrote.outcome !== 'done') {
    yield* freeLeader(member, place, {
      geometry: hold.geometry,
      leader: hold.leader,
      rename: null,
    });
  }
  return fail({ error: freed.error, leader: null });
}

/** Exclusive over dead shared holders only: their blocks are zeroed, a live one refuses us. */
export function* clearSharers(
  member: Member,
  place: Place,
  won: Won,
): Steps<Result<PaxosHold, Refusal>> {
  const live = yield* countLiveSharers(member, place, won);
  if (live.ok && live.value === 0) return ok(won.hold);
  const { hold } = won;
  yield* writeHostBlock(member, place, hold.geometry, {
    dblock: released(hold.dblock),
    sharedGeneration: null,
  });
  yield* freeLeader(member, place, { geometry: hold.geometry, leader: hold.leader, rename: null });
  if (!live.ok) return fail({ error: live.error, leader: null });
  const error = errnoError(ERRNO_EAGAIN, 'acquire, held shared', { holders: live.value });
  return fail({ error, leader: hold.leader });
}

/** @see spec 10 §9.5 */
export function* countLiveSharers(
  member: Member,
  place: Place,
  won: Won,
): Steps<Result<number, LeaseError>> {
  const { geometry } = won.hold;
  const timeoutMs = leaseTimes(member.ioTimeoutS).ioTimeoutMs;
  let live = 0;
  for (const sharer of won.sharers) {
    if (sharer.hostId === member.hostId) continue;
    const offset = place.offset + hostBlockSector(sharer.hostId) * geometry.sectorSize;
    const span = { disk: 'resource', offset, length: geometry.sectorSize, timeoutMs } as const;
    const read = yield* readSpan(span, "sharer's block");
    if (!read.ok) return read;
    const now = decodeSharer(read.value.value, sharer.hostId);
    if (!now.shared || now.sharedGeneration === 0n) continue;
    if (sharerIsLive(member, now, read.value.nowMs)) {
      live++;
      continue;
    }
    const zero = new Uint8Array(geometry.sectorSize);
    const cleared = yield { op: 'write', disk: 'resource', offset, bytes: zero, timeoutMs };
    if (cleared.outcome !== 'done') return fail(ioError(cleared, "clearing a dead sharer's block"));
  }
  return ok(live);
}

function decodeSharer(sector: Uint8Array, hostId: number): HostBlock {
  const flags = new DataView(sector.buffer, sector.byteOffset, sector.byteLength).getUint32(
    128,
    true,
  );
  return decodeBlock(sector, { hostId, offset: 0, used: true, shared: (flags & 1) !== 0 });
}

/** Reads the value block; null where none can be. Only its absence refuses an acquire (EINVAL). */
export function* readLvb(member: Member, hold: PaxosHold): Steps<Uint8Array | null> {
  const offset = hold.offset + LVB_SECTOR * hold.geometry.sectorSize;
  const timeoutMs = leaseTimesOf(member).ioTimeoutMs;
  const span = { disk: 'resource', offset, length: hold.geometry.sectorSize, timeoutMs } as const;
  const read = yield* readSpan(span, 'value block read');
  return read.ok ? read.value.value.slice() : null;
}

export function lvbRefusal(geometry: Geometry): LeaseError | null {
  if (hasLvb(geometry)) return null;
  return errnoError(ERRNO_EINVAL, 'acquire with value block', {
    sectorSize: geometry.sectorSize,
    areaBytes: geometry.areaBytes,
  });
}
