import { assert } from '../base/assert.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { wholeSeconds } from '../base/units.ts';
import { encodeInto } from '../codec/struct.ts';
import {
  DBLOCK_FLAGS,
  type Dblock,
  encodeDblock,
  MODE_FLAGS,
  modeBlock,
} from '../format/dblock.ts';
import { type Geometry, hostBlockSector, MODE_BLOCK_OFFSET } from '../format/geometry.ts';
import { encodePaxosLeader, LEADER_FLAGS, type PaxosLeader } from '../format/leader.ts';
import { ioError, leaseError, sleep } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import { readLeader, sameLeader } from './owner-watch.ts';
import { type Area, type HostBlock, readBlocks } from './paxos-area.ts';
import type { Reply, Steps } from './steps.ts';
import type { Member, Place } from './world.ts';

export interface BallotWish {
  readonly shared: boolean;
  /** Converting: every block written keeps our shared hold in the same sector (spec 10 §9.4). */
  readonly keepShared: boolean;
  readonly newNumHosts: number | null;
}

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

/** What a failed ballot leaves behind for the retraction (spec 10 §8.4). */
export interface BallotFailure {
  readonly error: LeaseError;
  /** The block last written, when our values may still be committed by another host. */
  readonly mayCommit: Dblock | null;
  readonly leaderAttempted: PaxosLeader | null;
}

/** First wait after meeting a larger ballot; doubles up to a second, with jitter. */
const FIRST_BACKOFF_MS = 4;
const MAX_BACKOFF_MS = 1000;
const MAX_TRIES = 200;

/** @see spec 10 §8.4; Gafni and Lamport, Disk Paxos. C: run_ballot */
export function* runBallot(
  member: Member,
  place: Place,
  area: Area,
  wish: BallotWish,
): Steps<Result<BallotEnd, BallotFailure>> {
  let mbal = nextBallot(area, member.hostId, largestMbal(area.blocks));
  let backoffMs = FIRST_BACKOFF_MS;
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    if (attempt > 0) {
      const moved = yield* leaderMoved(member, place, area);
      if (!moved.ok) return fail(harmless(moved.error));
      if (moved.value !== null) return ok(moved.value);
    }
    const turn = yield* oneBallot(member, place, area, { mbal, wish });
    if (!turn.ok) return turn;
    if (turn.value.kind !== 'outrun') return ok(turn.value);
    yield* sleep(backoffMs * (0.5 + member.random()));
    backoffMs = Math.min(MAX_BACKOFF_MS, backoffMs * 2);
    mbal = nextBallot(area, member.hostId, maxOf(mbal, turn.value.largestMbal));
  }
  return fail(harmless(leaseError('DBLOCK_MBAL', 'ballot', { tries: MAX_TRIES })));
}

function harmless(error: LeaseError): BallotFailure {
  return { error, mayCommit: null, leaderAttempted: null };
}

/** Before a second try: has somebody committed this version meanwhile? */
function* leaderMoved(
  member: Member,
  place: Place,
  area: Area,
): Steps<Result<BallotEnd | null, LeaseError>> {
  const read = yield* readLeader(member, place, area);
  if (!read.ok) return read;
  const { leader } = read.value;
  if (leader.lver === area.leader.lver + 1n) {
    const error = leaseError('ACQUIRE_OWNED', 'ballot', {
      owner: leader.ownerId,
      lver: leader.lver,
    });
    // Own values committed by another host would be a win in C; our last block was overwritten by
    // no one, but proving the win needs that block: giving up and starting over is always safe.
    const ours =
      leader.ownerId === BigInt(member.hostId) && leader.ownerGeneration === member.generation;
    return ok(ours ? { kind: 'restart' } : { kind: 'lost', error, leader });
  }
  return ok(sameLeader(leader, area.leader) ? null : { kind: 'restart' });
}

type Turn = BallotEnd | { readonly kind: 'outrun'; readonly largestMbal: bigint };

function* oneBallot(
  member: Member,
  place: Place,
  area: Area,
  turn: { readonly mbal: bigint; readonly wish: BallotWish },
): Steps<Result<Turn, BallotFailure>> {
  const lver = area.leader.lver + 1n;
  const keep = turn.wish.keepShared ? member.generation : null;
  const phase1: Dblock = {
    mbal: turn.mbal,
    bal: 0n,
    inpHostId: 0n,
    inpGeneration: 0n,
    inpTimestampS: 0n,
    lver,
    checksum: 0,
    flags: 0,
  };
  const announced = yield* writeHostBlock(member, place, area.geometry, {
    dblock: phase1,
    sharedGeneration: keep,
  });
  if (announced.outcome !== 'done') return fail(harmless(ioError(announced, 'phase 1 write')));
  const seen = yield* readBlocks(member, place, area);
  if (!seen.ok) return fail(harmless(seen.error));
  const first = scanPhase(seen.value.blocks, phase1);
  if (!first.ok) return fail(harmless(first.error));
  if (first.value.outrunBy !== null)
    return ok({ kind: 'outrun', largestMbal: first.value.outrunBy });

  const phase2 = choose(phase1, first.value.proposed, member, seen.value.nowMs);
  const proposedWrite = yield* writeHostBlock(member, place, area.geometry, {
    dblock: phase2,
    sharedGeneration: keep,
  });
  const undo = { mayCommit: phase2, leaderAttempted: null };
  if (proposedWrite.outcome !== 'done')
    return fail({ ...undo, error: ioError(proposedWrite, 'phase 2 write') });
  const again = yield* readBlocks(member, place, area);
  if (!again.ok) return fail({ ...undo, error: again.error });
  const second = scanPhase(again.value.blocks, phase2);
  if (!second.ok) return fail({ ...undo, error: second.error });
  if (second.value.outrunBy !== null)
    return ok({ kind: 'outrun', largestMbal: second.value.outrunBy });
  return yield* commit(member, place, area, {
    wish: turn.wish,
    dblock: phase2,
    sharers: first.value.sharers,
    nowMs: again.value.nowMs,
  });
}

interface Phase {
  readonly proposed: Dblock | null;
  /** The largest ballot or version that passed us; null = none. */
  readonly outrunBy: bigint | null;
  readonly sharers: readonly HostBlock[];
}

/** Both phases share one scan (spec 10 §8.4 step 3). A damaged block is refused in both. */
function scanPhase(blocks: readonly HostBlock[], own: Dblock): Result<Phase, LeaseError> {
  let proposed: Dblock | null = null;
  let outrunBy: bigint | null = null;
  for (const { dblock: block, checksumGood, hostId } of blocks) {
    if (!checksumGood) return fail(leaseError('DBLOCK_CHECKSUM', 'ballot', { host: hostId }));
    if (block.lver < own.lver) continue; // debris of an earlier lease version
    if (block.lver > own.lver || block.mbal > own.mbal) {
      outrunBy = maxOf(outrunBy ?? 0n, block.lver > own.lver ? own.mbal : block.mbal);
      continue;
    }
    if (block.inpHostId === 0n || block.bal === 0n) continue;
    if (proposed === null || block.bal > proposed.bal) proposed = block;
  }
  return ok({ proposed, outrunBy, sharers: blocks.filter((block) => block.shared) });
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

/** The values are committed the moment the second read shows no rival; the leader only records it. */
function* commit(
  member: Member,
  place: Place,
  area: Area,
  won: { wish: BallotWish; dblock: Dblock; sharers: readonly HostBlock[]; nowMs: number },
): Steps<Result<BallotEnd, BallotFailure>> {
  const { dblock } = won;
  const byHostId = dblock.inpHostId === BigInt(member.hostId);
  const ours = byHostId && dblock.inpGeneration === member.generation;
  let nowMs = won.nowMs;
  if (!byHostId) {
    // A late write of ours could put an older version over a newer leader (spec 10 §17.1 item 4):
    // leave the owner a moment to write it, and look before writing.
    nowMs = yield* sleep(10 + 20 * member.random());
    const moved = yield* leaderMoved(member, place, area);
    if (!moved.ok) return fail(harmless(moved.error));
    if (moved.value !== null) return ok(moved.value);
    const tooLate = nowMs - won.nowMs > leaseTimes(member.ioTimeoutS).ioTimeoutMs / 4;
    if (tooLate) return ok({ kind: 'restart' });
  }
  const leader = committedLeader(member, area.leader, { ...won, nowMs });
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
  if (wrote.outcome !== 'done') {
    return fail({
      error: ioError(wrote, 'leader write'),
      mayCommit: dblock,
      leaderAttempted: leader,
    });
  }
  if (ours) return ok({ kind: 'won', leader, dblock, sharers: won.sharers });
  // Our own former life's proposal won: never a success (spec 10 §17.1 item 1). The leader now
  // shows our id with an older generation, so the next ballot may start at once.
  if (byHostId) return ok({ kind: 'restart' });
  const error = leaseError('ACQUIRE_OTHER', 'ballot', { owner: leader.ownerId, lver: leader.lver });
  return ok({ kind: 'lost', error, leader });
}

function committedLeader(
  member: Member,
  before: PaxosLeader,
  won: { readonly wish: BallotWish; readonly dblock: Dblock; readonly nowMs: number },
): PaxosLeader {
  const { dblock, wish } = won;
  assert(dblock.inpTimestampS !== 0n, 'a committed owner has a timestamp');
  const own = dblock.inpHostId === BigInt(member.hostId);
  const flags = wish.shared
    ? before.flags | LEADER_FLAGS.SHORT_HOLD
    : before.flags & ~LEADER_FLAGS.SHORT_HOLD;
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
    numHosts: own && wish.newNumHosts !== null ? BigInt(wish.newNumHosts) : before.numHosts,
    unused1: 0n,
    unused2: 0,
  };
}

/** Writes our whole host sector: ballot block and mode block always together (spec 10 §4.3). */
export function* writeHostBlock(
  member: Member,
  place: Place,
  geometry: Geometry,
  block: { readonly dblock: Dblock; readonly sharedGeneration: bigint | null },
): Steps<Reply> {
  const { dblock } = block;
  assert(dblock.bal <= dblock.mbal, 'a ballot reached phase 2 only after it was announced');
  assert(dblock.inpHostId === 0n || dblock.bal !== 0n, 'values carry the ballot that adopted them');
  const sector = new Uint8Array(geometry.sectorSize);
  encodeDblock(dblock, sector);
  if (block.sharedGeneration !== null) {
    const mode = { flags: MODE_FLAGS.SHARED, generation: block.sharedGeneration };
    encodeInto(modeBlock, mode, sector, MODE_BLOCK_OFFSET);
  }
  const offset = place.offset + hostBlockSector(member.hostId) * geometry.sectorSize;
  const timeoutMs = leaseTimes(member.ioTimeoutS).ioTimeoutMs;
  return yield { op: 'write', disk: 'resource', offset, bytes: sector, timeoutMs };
}

export function released(block: Dblock): Dblock {
  return { ...block, flags: block.flags | DBLOCK_FLAGS.RELEASED };
}

/** Ballot numbers of different hosts never meet: mbal mod maxHosts names the host. */
export function nextBallot(area: Pick<Area, 'leader'>, hostId: number, largest: bigint): bigint {
  if (largest === 0n) return BigInt(hostId);
  const step = area.leader.maxHosts;
  return largest - (largest % step) + step + BigInt(hostId);
}

function largestMbal(blocks: readonly HostBlock[]): bigint {
  return blocks.reduce((largest, { dblock }) => maxOf(largest, dblock.mbal), 0n);
}

function maxOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
