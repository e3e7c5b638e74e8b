import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { toSafeNumber } from '../base/units.ts';
import type { Dblock } from '../format/dblock.ts';
import { hasLvb, hostBlockSector, isLeaseOffset, LVB_SECTOR } from '../format/geometry.ts';
import type { NoteFacts } from '../format/holder-note.ts';
import { LEADER_FLAGS, type PaxosLeader } from '../format/leader.ts';
import { runBallot } from './ballot.ts';
import { type BallotWish, emptyTrail, type Trail } from './ballot-state.ts';
import { isLeaderBehind, sharersIn } from './holders.ts';
import { released, writeHostBlock } from './host-block.ts';
import { errnoError, ioError, leaseError, readSpan, sleep } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import { type Member, namesUs, type Place } from './member.ts';
import { type NoteWish, noteOf } from './note.ts';
import { leaderUnchanged, watchOwner } from './owner-watch.ts';
import {
  type Area,
  type AreaGuess,
  allSound,
  blockAt,
  type HostBlock,
  readArea,
} from './paxos-area.ts';
import type { PaxosHold } from './paxos-hold.ts';
import { freeLeader } from './paxos-release.ts';
import { rollBack } from './roll-back.ts';
import { leaseTimesOf, sharerIsLive, sharerSeemsLive } from './sharer.ts';
import type { Steps } from './steps.ts';

/** How a resource is wanted. */
export interface AcquireWish {
  readonly shared: boolean;
  /** Answer at once when the owner is neither alive nor surely dead. */
  readonly ownerNowait: boolean;
  /** Only this lease version is wanted. */
  readonly wantedLver: bigint | null;
  readonly newNumHosts: number | null;
  /** The value block will be used: refused (EINVAL) where it would lie outside the area. */
  readonly valueBlock?: boolean;
  /** Who wants it, for readers of the disk (spec 10 §4.7). Absent: nothing is written of it. */
  readonly noteWish?: NoteWish | null;
  /** What an earlier read of this area said; only saves reading, never decides. */
  readonly guess: AreaGuess;
}

/** Why a lease was not granted, or not converted. */
export interface Refusal {
  readonly error: LeaseError;
  /** The leader that refused us, where there was one. */
  readonly leader: PaxosLeader | null;
  /** A convert's: our host block as it now stands on disk, where it is not the hold's any more. */
  readonly dblock?: Dblock;
}

const MAX_RESTARTS = 1000;

/**
 * Takes a resource, exclusively or shared.
 * @returns the hold, or ACQUIRE_*, ERRNO EAGAIN (live shared holders), ERRNO EINVAL (no lease can
 *   be there), LEADER_*, DBLOCK_*, AIO_TIMEOUT.
 * @see spec 10 §8, §9.1; Gafni and Lamport, Disk Paxos. C: paxos_lease_acquire
 */
export function* paxosAcquire(
  member: Member,
  place: Place,
  wish: AcquireWish,
): Steps<Result<PaxosHold, Refusal>> {
  if (!isLeaseOffset(place.offset)) {
    // A leader found there may be a value block: its host blocks would be a neighbour's.
    const error = errnoError(ERRNO.EINVAL, 'acquire, offset', { offset: place.offset });
    return fail({ error, leader: null });
  }
  if (!wish.shared) return yield* acquireOnce(member, place, wish);
  let pauseMs = 5;
  let unclear = 0;
  let isLeft = false;
  const finishLater: Member['finishLater'] = (rest) => {
    isLeft = true;
    member.finishLater?.(rest);
  };
  for (let attempt = 0; ; attempt++) {
    const got = yield* acquireOnce({ ...member, finishLater }, place, wish);
    // A write that takes values back may land later, over the writes of another attempt.
    if (got.ok || isLeft || member.cancelled()) return got;
    const met = metShortHold(got.error);
    if (met === 'unclear') unclear++;
    if (met === 'no' || unclear > UNCLEAR_TRIES) return got;
    if (attempt >= SHARED_TRIES_PER_RETRY * member.sharedRetries) {
      if (met === 'unclear') return got;
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
 * How often a leader that is unclear is read again, within half a second in all: its owner
 * needs a few steps of the disk to say what it holds, and an exclusive one is not waited for.
 */
const UNCLEAR_TRIES = 8;

/**
 * Whether another shared host is between its ballot and its mode block. SHORT_HOLD is the owner's
 * word: a leader that another host wrote for it is unclear, and a lost ballot ends with such a
 * leader (spec 10 §17.1 item 3).
 */
function metShortHold({ error, leader }: Refusal): 'yes' | 'no' | 'unclear' {
  if (error.code === 'ACQUIRE_OWNED' || error.code === 'ACQUIRE_OTHER') return 'yes';
  if (error.code !== 'ACQUIRE_IDLIVE' || leader === null) return 'no';
  if ((leader.flags & LEADER_FLAGS.SHORT_HOLD) !== 0) return 'yes';
  return leader.writeId === leader.ownerId ? 'no' : 'unclear';
}

function* acquireOnce(
  member: Member,
  place: Place,
  wish: AcquireWish,
): Steps<Result<PaxosHold, Refusal>> {
  const trail = emptyTrail();
  const { geometry, numHosts } = wish.guess;
  let guess: AreaGuess = { geometry, numHosts, known: true };
  let area: Area | null = null;
  let refusal: Refusal = {
    error: leaseError('DBLOCK_LVER', 'acquire', { restarts: MAX_RESTARTS }),
    leader: null,
  };
  for (let restart = 0; restart < MAX_RESTARTS; restart++) {
    const read = yield* readArea(member, place, guess);
    if (!read.ok) {
      refusal = { error: read.error, leader: null };
      break;
    }
    area = read.value;
    guess = { geometry: area.geometry, numHosts: toSafeNumber(area.leader.numHosts, 'numHosts') };
    const { shared, newNumHosts, noteWish = null } = wish;
    const ballotWish = { shared, keepShared: false, newNumHosts, noteWish, keptNote: null };
    const early = refuseEarly(member, area, wish);
    const ended =
      early !== null
        ? fail({ error: early, leader: area.leader })
        : yield* contend(member, place, area, { ...wish, wish: ballotWish, trail });
    if (!ended.ok) {
      refusal = ended.error;
      break;
    }
    if (ended.value === null) continue;
    return wish.shared
      ? yield* becomeShared(member, place, ended.value.hold)
      : yield* clearSharers(member, place, ended.value);
  }
  if (area !== null) yield* retract(member, place, area, { trail, kept: null });
  return fail(refusal);
}

/** Refusals that the first read already proves; refusing never breaks exclusion. */
function refuseEarly(member: Member, area: Area, wish: AcquireWish): LeaseError | null {
  const { leader, blocks } = area;
  const { newNumHosts } = wish;
  if (newNumHosts !== null && (newNumHosts < 1 || newNumHosts > area.geometry.maxHosts)) {
    return errnoError(ERRNO.EINVAL, 'acquire, number of hosts', { wanted: newNumHosts });
  }
  if (wish.valueBlock === true && !hasLvb(area.geometry)) {
    const { sectorSize, areaBytes } = area.geometry;
    return errnoError(ERRNO.EINVAL, 'acquire with value block', { sectorSize, areaBytes });
  }
  if (wish.wantedLver !== null && wish.wantedLver !== leader.lver) {
    return leaseError('ACQUIRE_LVER', 'acquire', { found: leader.lver, wanted: wish.wantedLver });
  }
  if (wish.shared) return null;
  const live = sharersIn(blocks).find(
    (block) => block.hostId !== member.hostId && sharerSeemsLive(member, block, area.nowMs),
  );
  if (live === undefined) return null;
  return errnoError(ERRNO.EAGAIN, 'acquire, held shared', { host: live.hostId });
}

/** An exclusive hold that a ballot has won, and the sharers that it saw in phase 1. */
export interface Won {
  readonly hold: PaxosHold;
  readonly sharers: readonly HostBlock[];
}

/**
 * From one reading of the area: waits for the owner's end where need be, then holds a ballot.
 * null: begin again with a new reading.
 */
export function* contend(
  member: Member,
  place: Place,
  area: Area,
  how: { readonly wish: BallotWish; readonly trail: Trail; readonly ownerNowait: boolean },
): Steps<Result<Won | null, Refusal>> {
  const verdict = yield* ownerVerdict(member, place, area, how.ownerNowait);
  if (!verdict.ok) return fail({ error: verdict.error, leader: area.leader });
  if (verdict.value === 'changed') return ok(null);
  const ballot = yield* runBallot(member, place, area, how);
  if (!ballot.ok) return fail({ error: ballot.error, leader: null });
  const end = ballot.value;
  if (end.kind === 'restart') return ok(null);
  if (end.kind === 'lost') {
    how.trail.proposed = false; // that version is another's for good
    return fail({ error: end.error, leader: end.leader });
  }
  assert(namesUs(member, end.leader), 'the leader that we won with names us');
  assert(end.dblock.lver === end.leader.lver, 'our block and our leader are of one version');
  const hold: PaxosHold = {
    path: place.path,
    offset: place.offset,
    lockspaceName: member.lockspaceName,
    resourceName: place.resourceName,
    geometry: area.geometry,
    shared: false,
    leader: end.leader,
    dblock: end.dblock,
    note: how.wish.keepShared ? how.wish.keptNote : noteOf(how.wish.noteWish, end.dblock),
  };
  return ok({ hold, sharers: end.sharers });
}

function* ownerVerdict(
  member: Member,
  place: Place,
  area: Area,
  ownerNowait: boolean,
): Steps<Result<'free' | 'changed', LeaseError>> {
  const { leader } = area;
  const own =
    leader.ownerId === BigInt(member.hostId) && leader.ownerGeneration <= member.generation;
  if (isLeaderBehind(area)) {
    // Blocks are read after the leader, which may have moved meanwhile: then it is not behind.
    const same = yield* leaderUnchanged(member, place, area);
    return same.ok ? ok(same.value ? 'free' : 'changed') : same;
  }
  if (leader.timestampS === 0n || own) return ok('free');
  return yield* watchOwner(member, place, area, ownerNowait);
}

/**
 * Takes back what a failed acquire may have left. Our values may be committed, now or later, or
 * were in an earlier version that another host recorded: says "released" in our block, keeping its
 * values, and frees a leader that names us. A block that never proposed anything can remain as it
 * is (spec 10 §8.4).
 * @param from.kept the shared hold beside it, which stays
 */
export function* retract(
  member: Member,
  place: Place,
  area: Area,
  from: { readonly trail: Trail; readonly kept: { readonly note: NoteFacts | null } | null },
): Steps<void> {
  const { block, proposed, leader } = from.trail;
  const ownLeader = leader ?? (namesUs(member, area.leader) ? area.leader : null);
  if (block === null || (!proposed && ownLeader === null)) return;
  if (ownLeader === null && block.lver <= area.leader.lver) return; // recorded, and not for us
  const sharedGeneration = from.kept === null ? null : member.generation;
  yield* rollBack(member, place, {
    geometry: area.geometry,
    othersAt: [],
    block: { dblock: block, sharedGeneration, note: from.kept?.note ?? null },
    leader: ownLeader,
  });
}

/** Mode block first, leader free second: at no moment does the lease look free to others. */
function* becomeShared(
  member: Member,
  place: Place,
  hold: PaxosHold,
): Steps<Result<PaxosHold, Refusal>> {
  const { geometry, leader, note } = hold;
  const dblock = released(hold.dblock);
  const wrote = yield* writeHostBlock(member, place, geometry, {
    dblock,
    sharedGeneration: member.generation,
    note,
  });
  const freed =
    wrote.outcome === 'done'
      ? yield* freeLeader(member, place, { geometry, leader, rename: null })
      : fail({ error: ioError(wrote, 'shared mode write'), isSent: false });
  if (freed.ok) return ok({ ...hold, shared: true, dblock });
  yield* rollBack(member, place, {
    geometry,
    othersAt: [],
    block: { dblock, sharedGeneration: null },
    leader,
  });
  return fail({ error: freed.error.error, leader: null });
}

/** Exclusive over dead shared holders only: their blocks are zeroed, a live one refuses us. */
function* clearSharers(member: Member, place: Place, won: Won): Steps<Result<PaxosHold, Refusal>> {
  const { hold } = won;
  const cleared = yield* countLiveSharers(member, place, won);
  if (cleared.error === null && cleared.live === 0) return ok(hold);
  yield* rollBack(member, place, {
    geometry: hold.geometry,
    othersAt: cleared.unansweredAt,
    block: { dblock: hold.dblock, sharedGeneration: null },
    leader: hold.leader,
  });
  return fail(sharersRefusal(hold, cleared));
}

/** What became of the other hosts that share a resource we have just won. */
export interface Cleared {
  readonly live: number;
  readonly error: LeaseError | null;
  /**
   * Blocks whose clearing went unanswered, or was refused. A host judged dead may join again and
   * hold the resource anew: until that write has ended, our leader must keep it from that (§18).
   */
  readonly unansweredAt: readonly number[];
}

/** The refusal of an exclusive request that met sharers: ERRNO EAGAIN for live ones. */
export function sharersRefusal(hold: PaxosHold, { live, error }: Cleared): Refusal {
  if (error !== null) return { error, leader: null };
  const busy = errnoError(ERRNO.EAGAIN, 'acquire, held shared', { holders: live });
  return { error: busy, leader: hold.leader };
}

/**
 * Asks the host lease of each sharer that the ballot saw whether it lives, and empties the blocks
 * of dead ones: only the owner of the leader may. Stops at the first failure. @see spec 10 §9.5,
 * §18.7
 */
export function* countLiveSharers(member: Member, place: Place, won: Won): Steps<Cleared> {
  const { geometry } = won.hold;
  const timeoutMs = leaseTimes(member.ioTimeoutS).ioTimeoutMs;
  let live = 0;
  for (const sharer of won.sharers) {
    if (sharer.hostId === member.hostId) continue;
    const offset = place.offset + hostBlockSector(sharer.hostId) * geometry.sectorSize;
    const span = { disk: 'resource', offset, length: geometry.sectorSize, timeoutMs } as const;
    const read = yield* readSpan(span, "sharer's block");
    if (!read.ok) return { live, error: read.error, unansweredAt: [] };
    const now = blockAt(read.value.value, sharer.hostId, geometry);
    const sound = allSound([now], "sharer's block");
    if (!sound.ok) return { live, error: sound.error, unansweredAt: [] };
    if (!now.shared || now.sharedGeneration === 0n) continue;
    const lives = yield* sharerIsLive(member, now, read.value.nowMs);
    if (!lives.ok) return { live, error: lives.error, unansweredAt: [] };
    if (lives.value) {
      live++;
      continue;
    }
    const zero = new Uint8Array(geometry.sectorSize);
    const cleared = yield { op: 'write', disk: 'resource', offset, bytes: zero, timeoutMs };
    if (cleared.outcome === 'done') continue;
    const error = ioError(cleared, "clearing a dead sharer's block");
    return { live, error, unansweredAt: [offset] };
  }
  return { live, error: null, unansweredAt: [] };
}

/** Reads the value block, one sector; null when that failed: the acquire stands all the same. */
export function* readLvb(member: Member, hold: PaxosHold): Steps<Uint8Array | null> {
  const offset = hold.offset + LVB_SECTOR * hold.geometry.sectorSize;
  const timeoutMs = leaseTimesOf(member).ioTimeoutMs;
  const span = { disk: 'resource', offset, length: hold.geometry.sectorSize, timeoutMs } as const;
  const read = yield* readSpan(span, 'value block read');
  return read.ok ? read.value.value.slice() : null;
}
