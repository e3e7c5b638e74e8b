import { assert } from '../base/assert.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { wholeSeconds } from '../base/units.ts';
import type { Dblock } from '../format/dblock.ts';
import { leaderMoved, recordCommitted } from './ballot-record.ts';
import { type BallotEnd, type BallotWish, mayBeDecided, type Trail } from './ballot-state.ts';
import { adoptable, nextVersion, proposes } from './holders.ts';
import { writeHostBlock } from './host-block.ts';
import { ioError, leaseError, sleep } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import type { Member, Place } from './member.ts';
import { roomForBallot } from './next-numbers.ts';
import { noteOf } from './note.ts';
import { sameLeader } from './owner-watch.ts';
import { type Area, allSound, type HostBlock, readBlocks } from './paxos-area.ts';
import type { Steps } from './steps.ts';

/** First wait after meeting a larger ballot; doubles up to a second, with jitter. */
const FIRST_BACKOFF_MS = 4;
const MAX_BACKOFF_MS = 1000;
const MAX_TRIES = 200;

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
  const { keepShared, keptNote, noteWish } = turn.wish;
  const keep = keepShared ? member.generation : null;
  const phase1 = announcement(member, area, turn);
  turn.trail.block = phase1;
  turn.trail.proposed ||= proposes(phase1); // those of before count again: RELEASED is gone
  const announced = yield* writeHostBlock(member, place, area.geometry, {
    dblock: phase1,
    sharedGeneration: keep,
    note: keptNote,
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
    note: keepShared ? keptNote : proposesUs(member, phase2) ? noteOf(noteWish, phase2) : null,
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
  // The values are committed; the leader only records it.
  return yield* recordCommitted(member, place, area, {
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

function proposesUs({ hostId, generation }: Member, block: Dblock): boolean {
  return block.inpHostId === BigInt(hostId) && block.inpGeneration === generation;
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
