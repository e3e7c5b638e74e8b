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
import { adoptable, isLeaderBehind, nextVersion, proposes } from './holders.ts';
import { writeHostBlock } from './host-block.ts';
import { ioError, leaseError, sleep } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import type { Member, Place } from './member.ts';
import { roomForBallot } from './next-numbers.ts';
import { readLeader, sameLeader } from './owner-watch.ts';
import { type Area, allSound, type HostBlock, readBlocks } from './paxos-area.ts';
import type { Steps } from './steps.ts';

/**
 * What a ballot is held for. `newNumHosts`: how many host blocks take part from then on,
 * 1..maxHosts; null = as before.
 */
export interface BallotWish {
  readonly shared: boolean;
  /** Converting: every block written keeps our shared hold in the same sector (spec 10 §9.4). */
  readonly keepShared: boolean;
  readonly newNumHosts: number | null;
}

/** How the ballots about one version ended. */
export type BallotEnd =
  | {
      readonly kind: 'won';
      readonly leader: PaxosLeader;
      readonly dblock: Dblock;
      readonly sharers: readonly HostBlock[];
    }
  /** The leader moved on before anything of ours could count: read everything again. */
  | { readonly kind: 'restart' }
  /** Another host's values were committed. */
  | { readonly kind: 'lost'; readonly error: LeaseError; readonly leader: PaxosLeader };

/**
 * What the ballots of one acquire have put, or tried to put, on disk. Once values were proposed,
 * another host may commit them at any later time, so a failure has to take them back (§8.4).
 */
export interface Trail {
  /** Our host block as last sent; null = none yet. */
  block: Dblock | null;
  /** Values of the version being decided have been sent. */
  proposed: boolean;
  /** The version our block had values of before this acquire; 0 = it had none. */
  former: bigint;
  /** A leader naming us that was sent, and is no hold: without an answer, or a record made anew. */
  leader: PaxosLeader | null;
}

/** The trail of an acquire that has sent nothing yet. */
export function emptyTrail(): Trail {
  return { block: null, proposed: false, former: 0n, leader: null };
}

/** First wait after meeting a larger ballot; doubles up to a second, with jitter. */
const FIRST_BACKOFF_MS = 4;
const MAX_BACKOFF_MS = 1000;
const MAX_TRIES = 200;

/** How long another host is left to record a version that it won: what a host of ours needs. */
const OWNER_RECORDS_MS = 10;
/**
 * The same for an original that does not say in its block that it gave the lease back: one that we
 * recorded for it would keep every host out until it leaves the lockspace (spec 10 §17.1 item 5).
 * It sleeps for up to a second each time it is outrun, and one ballot of ours may outrun two of its
 * own.
 */
const ORIGINAL_RECORDS_MS = 2200;

/**
 * Holds ballots about the next version until one is decided, at most 200. What they send is noted
 * in `vote.trail`, for a caller that has to take it back.
 * @returns who won; DBLOCK_MBAL after too many tries, ERROR when cancelled, DBLOCK_CHECKSUM or
 *   LEADER_* for damage, AIO_TIMEOUT or ERRNO of a read or write.
 * @see spec 10 §8.4; Gafni and Lamport, Disk Paxos. C: run_ballot
 */
export function* runBallot(
  member: Member,
  place: Place,
  area: Area,
  vote: { readonly wish: BallotWish; readonly trail: Trail },
): Steps<Result<BallotEnd, LeaseError>> {
  const { wish, trail } = vote;
  const own = area.blocks.find((block) => block.hostId === member.hostId);
  if (trail.block === null && own !== undefined && proposes(own.dblock)) {
    trail.former = own.dblock.lver;
  }
  let mbal = nextBallot(area, member.hostId, largestMbal(area.blocks));
  let backoffMs = FIRST_BACKOFF_MS;
  let isBehind = false;
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    if (member.cancelled()) return fail(leaseError('ERROR', 'ballot, cancelled'));
    if (attempt > 0) {
      const moved = yield* leaderMoved(member, place, area);
      if (!moved.ok) return moved;
      if (moved.value !== null) return ok(moved.value);
      if (isBehind) return ok({ kind: 'restart' });
    }
    const room = roomForBallot({ lver: nextVersion(area), mbal });
    if (!room.ok) return room;
    const turn = yield* oneBallot(member, place, area, { mbal, wish, trail });
    if (!turn.ok) return turn;
    if (turn.value.kind !== 'outrun') return ok(turn.value);
    yield* sleep(backoffMs * (0.5 + member.random()));
    isBehind = turn.value.byVersion;
    backoffMs = Math.min(MAX_BACKOFF_MS, backoffMs * 2);
    mbal = nextBallot(area, member.hostId, maxOf(mbal, turn.value.largestMbal));
  }
  return fail(leaseError('DBLOCK_MBAL', 'ballot', { tries: MAX_TRIES }));
}

/** Before a second try: has another host committed this version meanwhile? */
function* leaderMoved(
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

/** Outrun by a larger ballot, or by a later version than the one this ballot is about. */
interface Outrun {
  readonly kind: 'outrun';
  readonly largestMbal: bigint;
  readonly byVersion: boolean;
}

type Turn = BallotEnd | Outrun;

function* oneBallot(
  member: Member,
  place: Place,
  area: Area,
  turn: { readonly mbal: bigint; readonly wish: BallotWish; readonly trail: Trail },
): Steps<Result<Turn, LeaseError>> {
  const keep = turn.wish.keepShared ? member.generation : null;
  const phase1 = announcement(member, area, turn);
  turn.trail.block = phase1;
  turn.trail.proposed ||= proposes(phase1); // those of before count again: RELEASED is gone
  const announced = yield* writeHostBlock(member, place, area.geometry, {
    dblock: phase1,
    sharedGeneration: keep,
  });
  if (announced.outcome !== 'done') return fail(ioError(announced, 'phase 1 write'));
  const seen = yield* readBlocks(member, place, area);
  if (!seen.ok) return seen;
  const first = scanPhase(seen.value.blocks, phase1);
  if (!first.ok) return first;
  if (first.value.outrun !== null) return ok(first.value.outrun);

  const phase2 = choose(phase1, first.value.proposed, member, seen.value.nowMs);
  turn.trail.block = phase2;
  turn.trail.proposed = true;
  const proposedWrite = yield* writeHostBlock(member, place, area.geometry, {
    dblock: phase2,
    sharedGeneration: keep,
  });
  if (proposedWrite.outcome !== 'done') return fail(ioError(proposedWrite, 'phase 2 write'));
  const again = yield* readBlocks(member, place, area);
  if (!again.ok) return again;
  const second = scanPhase(again.value.blocks, phase2);
  if (!second.ok) return second;
  if (second.value.outrun !== null) return ok(second.value.outrun);
  // The original empties its block when it takes values back: then the leader alone shows that this
  // version was decided without us (spec 10 §17.1 item 21).
  if (!sameLeader(again.value.leader, area.leader)) {
    return ok({ kind: 'outrun', largestMbal: phase2.mbal, byVersion: false });
  }
  return yield* commit(member, place, area, {
    wish: turn.wish,
    trail: turn.trail,
    dblock: phase2,
    sharers: first.value.sharers,
    leastHosts: leastHosts(member, again.value.blocks),
    nowMs: again.value.nowMs,
  });
}

/**
 * Host blocks that must go on taking part, whatever number is asked for: no host reads the ones
 * behind, and a shared hold or a ballot there would be overlooked (spec 10 §18.9).
 */
function leastHosts(member: Member, blocks: readonly HostBlock[]): number {
  return Math.max(member.knownHosts?.() ?? 0, ...blocks.map(({ hostId }) => hostId));
}

/**
 * Our block of phase 1. A version that the blocks are at already, or that was ours before, may be
 * decided: then values that we adopted for it stay in our block, as in the paper, or the same
 * version could be decided once more.
 */
function announcement(
  member: Member,
  area: Area,
  turn: { readonly mbal: bigint; readonly trail: Trail },
): Dblock {
  const lver = nextVersion(area);
  const none = { bal: 0n, inpHostId: 0n, inpGeneration: 0n, inpTimestampS: 0n };
  const own = area.blocks.find((block) => block.hostId === member.hostId);
  const isSound = own !== undefined && own.damage === null;
  const isAdopted = isSound && own.dblock.lver === lver && proposes(own.dblock);
  const adopted = isAdopted && mayBeDecided(area, turn.trail) ? own.dblock : none;
  const { bal, inpHostId, inpGeneration, inpTimestampS } = adopted;
  const { mbal } = turn;
  assert(bal < mbal, 'a new ballot is larger than the one of the values that it goes on with');
  return { mbal, bal, inpHostId, inpGeneration, inpTimestampS, lver, checksum: 0, flags: 0 };
}

/**
 * Whether the version of this ballot may have been granted already. Other hosts may have found
 * since that it was over, and go on to the next one: it is recorded, and not granted to any host,
 * not even to the one whose version it is (spec 10 §18.8).
 */
function mayBeDecided(area: Area, trail: Trail): boolean {
  return isLeaderBehind(area) || trail.former === nextVersion(area);
}

interface Phase {
  readonly proposed: Dblock | null;
  readonly outrun: Outrun | null;
  readonly sharers: readonly HostBlock[];
}

/** Both phases share one scan (spec 10 §8.4 step 3). A damaged block is refused in both. */
function scanPhase(blocks: readonly HostBlock[], own: Dblock): Result<Phase, LeaseError> {
  let largestMbal: bigint | null = null;
  let byVersion = false;
  const sound = allSound(blocks, 'ballot');
  if (!sound.ok) return sound;
  for (const { dblock: block } of blocks) {
    if (block.lver < own.lver) continue; // debris of an earlier lease version
    if (block.lver > own.lver || block.mbal > own.mbal) {
      byVersion ||= block.lver > own.lver;
      largestMbal = maxOf(largestMbal ?? own.mbal, block.mbal);
    }
  }
  const outrun: Outrun | null =
    largestMbal === null ? null : { kind: 'outrun', largestMbal, byVersion };
  const proposed = adoptable(blocks, own.lver);
  return ok({ proposed, outrun, sharers: blocks.filter((block) => block.shared) });
}

function choose(phase1: Dblock, proposed: Dblock | null, member: Member, nowMs: number): Dblock {
  const values =
    proposed ??
    ({
      inpHostId: BigInt(member.hostId),
      inpGeneration: member.generation,
      inpTimestampS: BigInt(Math.max(1, wholeSeconds(nowMs))), // 0 would mean free
    } as const);
  return {
    ...phase1,
    bal: phase1.mbal,
    inpHostId: values.inpHostId,
    inpGeneration: values.inpGeneration,
    inpTimestampS: values.inpTimestampS,
  };
}

/** What a ballot of ours has committed, as of its second reading, answered at `nowMs`. */
interface Committed {
  readonly wish: BallotWish;
  readonly trail: Trail;
  readonly dblock: Dblock;
  readonly sharers: readonly HostBlock[];
  readonly leastHosts: number;
  readonly nowMs: number;
}

/** The values are committed once the second read shows no rival; the leader only records it. */
function* commit(
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
  let { nowMs } = won;
  do {
    const lookedMs = nowMs;
    nowMs = yield* sleep(10 + 20 * member.random());
    const moved = yield* leaderMoved(member, place, area);
    if (!moved.ok) return moved;
    if (moved.value !== null) return ok(moved.value);
    const tooLate = nowMs - lookedMs > leaseTimes(member.ioTimeoutS).leaderRecheckMs;
    if (tooLate) return ok({ kind: 'restart' });
  } while (nowMs - won.nowMs < forMs && !member.cancelled());
  return ok({ kind: 'unrecorded', nowMs });
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

/**
 * The ballot number of `hostId` in the round after that of `largest`, the largest one seen; 0 = none.
 * Ballot numbers of different hosts never meet: mbal mod maxHosts names the host.
 */
export function nextBallot(area: Pick<Area, 'leader'>, hostId: number, largest: bigint): bigint {
  if (largest === 0n) return BigInt(hostId);
  const step = area.leader.maxHosts;
  const next = largest - (largest % step) + step + BigInt(hostId);
  assert(next > largest, 'our ballot is the largest');
  return next;
}

function largestMbal(blocks: readonly HostBlock[]): bigint {
  return blocks.reduce((largest, { dblock }) => maxOf(largest, dblock.mbal), 0n);
}

function maxOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
