import { assert } from '../../base/assert.ts';
import { ERRNO } from '../../base/errno.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { toSafeNumber, wholeSeconds } from '../../base/units.ts';
import { DBLOCK_FLAGS, type Dblock } from '../../format/dblock.ts';
import { hostBlockSector } from '../../format/geometry.ts';
import { encodePaxosLeader, LEADER_FLAGS, type PaxosLeader } from '../../format/leader.ts';
import { nextBallot } from '../ballot.ts';
import { released, writeHostBlock } from '../host-block.ts';
import { errnoError, ioError, leaseError, readSpan, sleep } from '../io.ts';
import type { LeaseErrorCode } from '../lease-error.ts';
import { leaseTimes } from '../lease-times.ts';
import type { Member, Place } from '../member.ts';
import { readHostLease, readLeader, sameLeader } from '../owner-watch.ts';
import type { AcquireWish, Refusal } from '../paxos-acquire.ts';
import { type Area, blockAt, type HostBlock, readArea, readBlocks } from '../paxos-area.ts';
import type { PaxosHold } from '../paxos-hold.ts';
import { sharerIsLive, sharerSeemsLive } from '../sharer.ts';
import type { Reply, Steps } from '../steps.ts';

// A host that runs the original, as spec 10 §8 and §9 describe what it does on disk, its weaknesses
// included: for tests of what our hosts meet in a mixed lockspace. Reading and encoding are ours.

/** The peer did what spec 10 §17.1 says the original may do wrong: nothing after it counts. */
export class OriginalDefect extends Error {}

interface Run {
  readonly member: Member;
  readonly place: Place;
  readonly wish: Pick<AcquireWish, 'shared' | 'ownerNowait'>;
  /** Converting: each block of the ballot keeps the mode block (§9.4). */
  readonly keepShared: boolean;
  /** Own block as last written. */
  block: Dblock | null;
  /** Own values may be committed by another host from here on. */
  proposed: boolean;
  leader: PaxosLeader | null;
}

interface Won {
  readonly hold: PaxosHold;
  readonly sharers: readonly HostBlock[];
}

type Ballot =
  | { readonly kind: 'won'; readonly leader: PaxosLeader; readonly sharers: readonly HostBlock[] }
  | { readonly kind: 'restart' }
  | { readonly kind: 'outrun'; readonly sharers: readonly HostBlock[] };

const MAX_ROUNDS = 60;
const SHARED_RETRIES = 8;

/** @see spec 10 §8.2 to §9.1 */
export function* originalAcquire(
  member: Member,
  place: Place,
  wish: AcquireWish,
): Steps<Result<PaxosHold, Refusal>> {
  for (let attempt = 0; ; attempt++) {
    const run = newRun(member, place, wish, false);
    const won = yield* contest(run);
    if (won.ok) {
      if (wish.shared) return yield* becomeShared(run, won.value.hold);
      return yield* clearSharers(run, won.value);
    }
    const flags = won.error.leader?.flags ?? 0;
    const isShort = wish.shared && (flags & LEADER_FLAGS.SHORT_HOLD) !== 0;
    if (!isShort || attempt >= SHARED_RETRIES || member.cancelled()) return won;
    yield* sleep(1000 * member.random());
  }
}

function newRun(
  member: Member,
  place: Place,
  wish: Pick<AcquireWish, 'shared' | 'ownerNowait'>,
  keepShared: boolean,
): Run {
  return { member, place, wish, keepShared, block: null, proposed: false, leader: null };
}

function* contest(run: Run): Steps<Result<Won, Refusal>> {
  const { member, place } = run;
  let refusal = refused('ERROR');
  for (let restart = 0; restart < MAX_ROUNDS && !member.cancelled(); restart++) {
    const guess = {
      geometry: member.lockspaceGeometry,
      numHosts: member.lockspaceGeometry.maxHosts,
    };
    const read = yield* readArea(member, place, guess);
    if (!read.ok) {
      refusal = { error: read.error, leader: null };
      break;
    }
    const area = read.value;
    const owner = yield* ownerGone(run, area);
    if (!owner.ok) {
      refusal = owner.error;
      break;
    }
    if (!owner.value) continue;
    const end = yield* ballot(run, area);
    if (!end.ok) {
      refusal = end.error;
      break;
    }
    if (end.value.kind !== 'won') continue;
    assert(run.block !== null, 'a ballot writes a block');
    const { leader, sharers } = end.value;
    return ok({ hold: holdOf(run, area, leader), sharers });
  }
  yield* retract(run);
  return fail(refusal);
}

function holdOf(run: Run, area: Area, leader: PaxosLeader): PaxosHold {
  assert(run.block !== null, 'a ballot writes a block');
  const { path, offset, resourceName } = run.place;
  const { lockspaceName } = run.member;
  const { geometry } = area;
  const at = { path, offset, lockspaceName, resourceName, geometry };
  return { ...at, shared: false, leader, dblock: run.block, note: null };
}

/** @see spec 10 §8.2, §8.3; false = read everything again */
function* ownerGone(run: Run, area: Area): Steps<Result<boolean, Refusal>> {
  const { member, place } = run;
  const { leader, geometry } = area;
  if (leader.timestampS === 0n) return ok(true);
  const isOwn = leader.ownerId === BigInt(member.hostId);
  if (isOwn && leader.ownerGeneration <= member.generation) return ok(true);
  const ownerId = toSafeNumber(leader.ownerId, 'ownerId');
  const view = member.hostView(ownerId);
  const isKnown =
    view !== null && view.lastLiveMs !== 0 && view.generation === leader.ownerGeneration;
  let lastS = isKnown ? view.timestampS : 0n;
  const startMs = isKnown ? view.lastLiveMs : area.nowMs;
  for (;;) {
    const lease = yield* readHostLease(member, leader.ownerId);
    if (!lease.ok) return fail({ error: lease.error, leader: null });
    const { leader: owner, nowMs } = lease.value;
    if (owner.timestampS === 0n || owner.ownerGeneration > leader.ownerGeneration) return ok(true);
    const renewed = view !== null && view.lastLiveMs !== 0 && view.lastLiveMs === view.lastCheckMs;
    if (lastS === 0n) lastS = owner.timestampS;
    else if (lastS !== owner.timestampS || renewed) {
      if (leader.writeId !== leader.ownerId) {
        const block = yield* readBlockOf(run, area, ownerId);
        if (!block.ok) return block;
        if ((block.value.dblock.flags & DBLOCK_FLAGS.RELEASED) !== 0) return ok(true);
      }
      return fail(refused('ACQUIRE_IDLIVE', leader));
    } else {
      if (nowMs - startMs > leaseTimes(owner.ioTimeoutS || member.ioTimeoutS).hostDeadMs) {
        return ok(true);
      }
      if (run.wish.ownerNowait) return fail(refused('ACQUIRE_OWNED_RETRY', leader));
    }
    yield* sleep(1000);
    if (member.cancelled()) return fail(refused('ERROR'));
    const again = yield* readLeader(member, place, { geometry });
    if (!again.ok) return fail({ error: again.error, leader: null });
    if (!sameLeader(again.value.leader, leader)) return ok(false);
  }
}

function* readBlockOf(run: Run, area: Area, hostId: number): Steps<Result<HostBlock, Refusal>> {
  const { sectorSize: length } = area.geometry;
  const offset = run.place.offset + hostBlockSector(hostId) * length;
  const { ioTimeoutMs: timeoutMs } = leaseTimes(run.member.ioTimeoutS);
  const read = yield* readSpan({ disk: 'resource', offset, length, timeoutMs }, 'host block');
  if (!read.ok) return fail({ error: read.error, leader: null });
  return ok(blockAt(read.value.value, hostId));
}

/** @see spec 10 §8.4 */
function* ballot(run: Run, area: Area): Steps<Result<Ballot, Refusal>> {
  const { member, place } = run;
  const lver = area.leader.lver + 1n;
  let largest = 0n;
  for (const { dblock } of area.blocks) if (dblock.mbal > largest) largest = dblock.mbal;
  let mbal = nextBallot(area, member.hostId, largest);
  let sharers: readonly HostBlock[] = [];
  for (let round = 0; round < MAX_ROUNDS && !member.cancelled(); round++) {
    if (round > 0) {
      const read = yield* readLeader(member, place, area);
      if (!read.ok) return fail({ error: read.error, leader: null });
      const { leader } = read.value;
      if (leader.lver === lver) {
        if (!isOurs(member, leader)) return fail(refused('ACQUIRE_OWNED', leader));
        // §17.1 item 16: what it writes next into its block comes from uninitialised memory.
        if (run.block !== null && run.block.inpHostId !== leader.ownerId) {
          throw new OriginalDefect('17.1 item 16');
        }
        return ok({ kind: 'won', leader, sharers });
      }
      if (!sameLeader(leader, area.leader)) return ok({ kind: 'restart' });
    }
    const turn = yield* oneBallot(run, area, { mbal, lver });
    if (!turn.ok || turn.value.kind !== 'outrun') return turn;
    ({ sharers } = turn.value);
    yield* sleep(1000 * member.random());
    mbal += area.leader.maxHosts;
  }
  return fail(refused('ERROR'));
}

function* oneBallot(
  run: Run,
  area: Area,
  at: { readonly mbal: bigint; readonly lver: bigint },
): Steps<Result<Ballot, Refusal>> {
  const { member, place } = run;
  const none = { bal: 0n, inpHostId: 0n, inpGeneration: 0n, inpTimestampS: 0n };
  const announced = yield* writeBlock(run, area, { ...at, ...none, checksum: 0, flags: 0 });
  if (announced.outcome !== 'done') return failed(announced);
  const seen = yield* readBlocks(member, place, area);
  if (!seen.ok) return fail({ error: seen.error, leader: null });
  const sharers = seen.value.blocks.filter(({ shared }) => shared);
  const first = scan(seen.value.blocks, at);
  if (first === 'outrun') return ok({ kind: 'outrun', sharers });
  const own = {
    inpHostId: BigInt(member.hostId),
    inpGeneration: member.generation,
    inpTimestampS: BigInt(wholeSeconds(seen.value.nowMs)),
  };
  const { inpHostId, inpGeneration, inpTimestampS } = first ?? own;
  const chosen = { ...at, bal: at.mbal, inpHostId, inpGeneration, inpTimestampS };
  run.proposed = true;
  const proposed = yield* writeBlock(run, area, { ...chosen, checksum: 0, flags: 0 });
  if (proposed.outcome !== 'done') return failed(proposed);
  const again = yield* readBlocks(member, place, area);
  if (!again.ok) return fail({ error: again.error, leader: null });
  if (scan(again.value.blocks, at) === 'outrun') return ok({ kind: 'outrun', sharers });
  return yield* commit(run, area, { ...chosen, nowMs: again.value.nowMs, sharers });
}

/** The values to adopt, if any; a damaged block counts as absent (§17.1 item 7). */
function scan(
  blocks: readonly HostBlock[],
  at: { readonly mbal: bigint; readonly lver: bigint },
): Dblock | 'outrun' | null {
  let best: Dblock | null = null;
  for (const { dblock: block, damage } of blocks) {
    if (damage !== null || block.lver < at.lver) continue;
    if (block.lver > at.lver || block.mbal > at.mbal) return 'outrun';
    if (block.inpHostId === 0n || block.bal === 0n) continue;
    if (best === null || block.bal > best.bal) best = block;
  }
  return best;
}

/** Writes the leader without reading it again, for the host that won (§17.1 item 4). */
function* commit(
  run: Run,
  area: Area,
  won: Pick<Dblock, 'inpHostId' | 'inpGeneration' | 'inpTimestampS' | 'lver'> & {
    readonly nowMs: number;
    readonly sharers: readonly HostBlock[];
  },
): Steps<Result<Ballot, Refusal>> {
  const { member } = run;
  const isOwn = won.inpHostId === BigInt(member.hostId);
  const { flags: before } = area.leader;
  const { SHORT_HOLD } = LEADER_FLAGS;
  const leader: PaxosLeader = {
    ...area.leader,
    lver: won.lver,
    ownerId: won.inpHostId,
    ownerGeneration: won.inpGeneration,
    timestampS: won.inpTimestampS,
    writeId: BigInt(member.hostId),
    writeGeneration: member.generation,
    writeTimestampS: BigInt(wholeSeconds(won.nowMs)),
    flags: !isOwn ? before : run.wish.shared ? before | SHORT_HOLD : before & ~SHORT_HOLD,
  };
  if (isOwn) run.leader = leader;
  const wrote = yield* writeLeader(run, area, leader);
  if (wrote.outcome !== 'done') return failed(wrote);
  if (!isOwn) return fail(refused('ACQUIRE_OTHER', leader));
  if (won.inpGeneration !== member.generation) throw new OriginalDefect('17.1 item 1');
  return ok({ kind: 'won', leader, sharers: won.sharers });
}

function* writeLeader(run: Run, area: Pick<Area, 'geometry'>, leader: PaxosLeader): Steps<Reply> {
  const bytes = new Uint8Array(area.geometry.sectorSize);
  encodePaxosLeader(leader, bytes);
  const { ioTimeoutMs: timeoutMs } = leaseTimes(run.member.ioTimeoutS);
  return yield { op: 'write', disk: 'resource', offset: run.place.offset, bytes, timeoutMs };
}

function* writeBlock(run: Run, area: Pick<Area, 'geometry'>, block: Dblock): Steps<Reply> {
  run.block = block;
  const sharedGeneration = run.keepShared ? run.member.generation : null;
  const what = { dblock: block, sharedGeneration };
  return yield* writeHostBlock(run.member, run.place, area.geometry, what);
}

/** After a failure: an all-zero block with RELEASED, then the leader; not the former in a convert. */
function* retract(run: Run): Steps<void> {
  const { block, leader, member, place } = run;
  if (!run.proposed || block === null) return;
  const geometry = member.lockspaceGeometry;
  const offset = place.offset + hostBlockSector(member.hostId) * geometry.sectorSize;
  const bytes = new Uint8Array(geometry.sectorSize);
  new DataView(bytes.buffer).setUint32(52, DBLOCK_FLAGS.RELEASED, true);
  const { ioTimeoutMs: timeoutMs } = leaseTimes(member.ioTimeoutS);
  for (let attempt = 0; attempt < MAX_ROUNDS && !run.keepShared; attempt++) {
    const wrote = yield { op: 'write', disk: 'resource', offset, bytes, timeoutMs };
    if (wrote.outcome !== 'unknown') break;
    yield* sleep(2 * timeoutMs);
  }
  if (leader !== null) yield* freeLeader(run, { geometry, leader });
}

/** Step 2 of an exclusive release (§9.3), repeated in the background where it times out. */
function* freeLeader(
  run: Run,
  from: Pick<PaxosHold, 'geometry' | 'leader'>,
): Steps<Result<null, Refusal>> {
  const { member, place } = run;
  for (;;) {
    const read = yield* readLeader(member, place, from);
    if (!read.ok) return fail({ error: read.error, leader: null });
    const { leader, nowMs } = read.value;
    if (leader.writeId !== BigInt(member.hostId)) return ok(null);
    if (leader.lver !== from.leader.lver) return fail(refused('RELEASE_LVER'));
    const isSame = sameLeader({ ...leader, checksum: 0 }, { ...from.leader, checksum: 0 });
    if (!isOurs(member, leader) || !isSame) return fail(refused('RELEASE_OWNER'));
    const wrote = yield* writeLeader(run, from, {
      ...leader,
      timestampS: 0n,
      flags: leader.flags & ~LEADER_FLAGS.SHORT_HOLD,
      writeGeneration: member.generation,
      writeTimestampS: BigInt(wholeSeconds(nowMs)),
    });
    if (wrote.outcome === 'done') return ok(null);
    if (wrote.outcome === 'failed' || member.ended?.() === true) return failed(wrote);
    yield* sleep(leaseTimes(member.ioTimeoutS).renewalIntervalMs);
  }
}

/** @see spec 10 §9.1 */
function* becomeShared(run: Run, hold: PaxosHold): Steps<Result<PaxosHold, Refusal>> {
  const { member, place } = run;
  const dblock = released(hold.dblock);
  const shared = { dblock, sharedGeneration: member.generation };
  const wrote = yield* writeHostBlock(member, place, hold.geometry, shared);
  const freed = wrote.outcome === 'done' ? yield* freeLeader(run, hold) : failed(wrote);
  if (freed.ok) return ok({ ...hold, shared: true, dblock });
  yield* writeHostBlock(member, place, hold.geometry, { dblock, sharedGeneration: null });
  yield* freeLeader(run, hold);
  return freed;
}

/** @see spec 10 §8.6, §9.5 */
function* clearSharers(run: Run, won: Won): Steps<Result<PaxosHold, Refusal>> {
  const live = yield* liveSharers(run, won);
  if (live.ok && live.value === 0) return ok(won.hold);
  yield* originalRelease(run.member, won.hold, null);
  return live.ok ? fail(busy()) : live;
}

function* liveSharers(run: Run, won: Won): Steps<Result<number, Refusal>> {
  const { member, place } = run;
  let live = 0;
  for (const { hostId } of won.sharers) {
    if (hostId === member.hostId) continue;
    const read = yield* readBlockOf(
      run,
      { ...won.hold, nowMs: 0, blocks: [], ownNote: null },
      hostId,
    );
    if (!read.ok) return read;
    const block = read.value;
    if (!block.shared || block.sharedGeneration === 0n) continue;
    const { nowMs } = yield { op: 'sleep', forMs: 0 };
    if (sharerSeemsLive(member, block, nowMs)) {
      live++;
      continue;
    }
    const lives = yield* sharerIsLive(member, block, nowMs);
    if (!lives.ok || lives.value) throw new OriginalDefect('18.7 a live sharer cleared');
    const { sectorSize } = won.hold.geometry;
    const offset = place.offset + hostBlockSector(hostId) * sectorSize;
    const { ioTimeoutMs: timeoutMs } = leaseTimes(member.ioTimeoutS);
    const bytes = new Uint8Array(sectorSize);
    const wrote = yield { op: 'write', disk: 'resource', offset, bytes, timeoutMs };
    // It releases the lease all the same: the zeros may meet the next membership of that host.
    if (wrote.outcome === 'unknown') throw new OriginalDefect('17.1 item 22');
    if (wrote.outcome !== 'done') return failed(wrote);
  }
  return ok(live);
}

/** @see spec 10 §9.2, §9.3 */
export function* originalRelease(
  member: Member,
  hold: PaxosHold,
  lvb: Uint8Array | null,
): Steps<Result<null, Refusal>> {
  const run = newRun(member, hold, { shared: hold.shared, ownerNowait: true }, false);
  if (!hold.shared && lvb !== null) yield* writeValue(run, hold, lvb);
  const block = { dblock: released(hold.dblock), sharedGeneration: null };
  const { ioTimeoutMs } = leaseTimes(member.ioTimeoutS);
  for (;;) {
    const wrote = yield* writeHostBlock(member, hold, hold.geometry, block);
    if (!hold.shared) return yield* freeLeader(run, hold);
    if (wrote.outcome === 'done') return ok(null);
    if (wrote.outcome === 'failed' || member.ended?.() === true) return failed(wrote);
    yield* sleep(2 * ioTimeoutMs);
  }
}

/** @see spec 10 §11: an index lease is released by step 2 of §9.3 alone (§17.1 item 5) */
export function originalIndexRelease(
  member: Member,
  hold: PaxosHold,
): Steps<Result<null, Refusal>> {
  return freeLeader(newRun(member, hold, { shared: false, ownerNowait: true }, false), hold);
}

function* writeValue(run: Run, hold: PaxosHold, lvb: Uint8Array): Steps<void> {
  const { sectorSize } = hold.geometry;
  const bytes = new Uint8Array(sectorSize);
  bytes.set(lvb.subarray(0, sectorSize));
  const offset = run.place.offset + 2002 * sectorSize;
  const { ioTimeoutMs: timeoutMs } = leaseTimes(run.member.ioTimeoutS);
  const wrote = yield { op: 'write', disk: 'resource', offset, bytes, timeoutMs };
  // Only logged: it may land over the next holder's value.
  if (wrote.outcome === 'unknown') throw new OriginalDefect('17.1 item 18');
}

/** @see spec 10 §9.4 */
export function* originalToShared(
  member: Member,
  hold: PaxosHold,
  lvb: Uint8Array | null,
): Steps<Result<PaxosHold, Refusal>> {
  const run = newRun(member, hold, { shared: true, ownerNowait: true }, false);
  if (lvb !== null) yield* writeValue(run, hold, lvb);
  const dblock = released(hold.dblock);
  const shared = { dblock, sharedGeneration: member.generation };
  const wrote = yield* writeHostBlock(member, hold, hold.geometry, shared);
  // RELEASED may be, or come, on disk under an exclusive hold (spec 10 §18.4).
  if (wrote.outcome === 'unknown') throw new OriginalDefect('18.4 ex to sh');
  if (wrote.outcome === 'failed') return failed(wrote);
  yield* freeLeader(run, hold);
  return ok({ ...hold, shared: true, dblock });
}

/** @see spec 10 §9.4 */
export function* originalToExclusive(
  member: Member,
  hold: PaxosHold,
): Steps<Result<PaxosHold, Refusal>> {
  const run = newRun(member, hold, { shared: false, ownerNowait: true }, true);
  const last = () => (run.block === null ? {} : { dblock: run.block });
  const won = yield* contest(run);
  if (!won.ok) return fail({ ...won.error, ...last() });
  const live = yield* liveSharers(run, won.value);
  const { dblock, geometry } = won.value.hold;
  if (live.ok && live.value === 0) {
    const block = { dblock, sharedGeneration: null };
    const wrote = yield* writeHostBlock(member, hold, geometry, block);
    if (wrote.outcome === 'done') return ok(won.value.hold);
    // The mode block may be gone, or go, under a hold that remains shared (spec 10 §18.4).
    if (wrote.outcome === 'unknown') throw new OriginalDefect('18.4 sh to ex');
  }
  yield* freeLeader(run, won.value.hold);
  return fail({ ...(live.ok ? busy() : live.error), dblock });
}

function isOurs(member: Member, leader: PaxosLeader): boolean {
  const { ownerId, ownerGeneration } = leader;
  return ownerId === BigInt(member.hostId) && ownerGeneration === member.generation;
}

function refused(code: LeaseErrorCode, leader: PaxosLeader | null = null): Refusal {
  return { error: leaseError(code, 'original'), leader };
}

function busy(): Refusal {
  return { error: errnoError(ERRNO.EAGAIN, 'original'), leader: null };
}

function failed(reply: Reply): Result<never, Refusal> {
  return fail({ error: ioError(reply, 'original'), leader: null });
}
