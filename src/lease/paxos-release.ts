import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { wholeSeconds } from '../base/units.ts';
import { type Geometry, hasLvb, LVB_SECTOR } from '../format/geometry.ts';
import {
  damageOfPaxos,
  encodePaxosLeader,
  LEADER_FLAGS,
  type PaxosLeader,
} from '../format/leader.ts';
import { hostBlock, released, writeHostBlock } from './host-block.ts';
import { ioError, keepTrying, leaseError, settle, sleep } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import { type Member, namesUs, type Place } from './member.ts';
import { readLeader, sameLeader } from './owner-watch.ts';
import type { PaxosHold } from './paxos-hold.ts';
import type { Reply, Steps } from './steps.ts';

/**
 * Releases a hold. The order is the safety: value block, own block RELEASED, leader free.
 *
 * A write that goes unanswered is repeated after t, then each 2·t (spec 10 §9.3), until it is done
 * or our membership ends. A write that has landed is not repeated: once the leader may be free, the
 * value block may be another host's.
 * @returns RELEASE_LVER or RELEASE_OWNER when the leader is no longer the one we committed (then
 *   nothing is written to it); RELEASE_OWNER also when the lease is free but keeps its old name, as
 *   another host had recorded our win; AIO_TIMEOUT when our membership ended first, ERRNO for I/O:
 *   then it is tried again after the answer.
 * @see spec 10 §9.2, §9.3, §18. C: paxos_lease_release
 */
export function* paxosRelease(
  member: Member,
  hold: PaxosHold,
  wish: { readonly lvb: Uint8Array | null; readonly rename: ByteString | null },
): Steps<Result<null, LeaseError>> {
  assert(hold.shared || namesUs(member, hold.leader), 'an exclusive hold was granted to us');
  const { ioTimeoutMs, renewalIntervalMs } = leaseTimes(member.ioTimeoutS);
  const progress: Progress = {
    lvb: hold.shared ? null : wish.lvb,
    lvbLanded: false,
    leaderSent: false,
  };
  const from = { progress, rename: wish.rename };
  for (let attempt = 0; ; attempt++) {
    const turn = yield* releaseTurn(member, hold, from);
    if (!turn.ok && turn.error.code === 'ERRNO') {
      member.finishLater?.(() => keepReleasing(member, hold, from));
    }
    if (turn.ok || turn.error.code !== 'AIO_TIMEOUT' || member.ended?.() === true) return turn;
    yield* sleep(attempt === 0 ? ioTimeoutMs : renewalIntervalMs);
  }
}

/**
 * The device refused, and our client has that answer. It forgets the lease, so what the disk still
 * says we hold would never be released, as long as this host lives.
 */
function keepReleasing(member: Member, hold: PaxosHold, from: Releasing): Steps<void> {
  return keepTrying(member, function* () {
    const turn = yield* releaseTurn(member, hold, from);
    const mayCome = !turn.ok && ['AIO_TIMEOUT', 'ERRNO'].includes(turn.error.code);
    return mayCome ? 'again' : 'done';
  });
}

function releaseTurn(
  member: Member,
  hold: PaxosHold,
  from: Releasing,
): Steps<Result<null, LeaseError>> {
  return hold.shared ? releaseShared(member, hold) : releaseOnce(member, hold, from);
}

interface Releasing {
  readonly progress: Progress;
  readonly rename: ByteString | null;
}

interface Progress {
  /** Still to be written; null = nothing. */
  lvb: Uint8Array | null;
  /** false while one that we sent, here or in a conversion that failed, may still land. */
  lvbLanded: boolean;
  /** A free leader was sent, and not answered well. */
  leaderSent: boolean;
}

function* releaseShared(member: Member, hold: PaxosHold): Steps<Result<null, LeaseError>> {
  const wrote = yield* writeHostBlock(member, hold, hold.geometry, {
    dblock: released(hold.dblock),
    sharedGeneration: null,
  });
  return wrote.outcome === 'done' ? ok(null) : fail(ioError(wrote, 'shared release'));
}

function* releaseOnce(
  member: Member,
  hold: PaxosHold,
  from: Releasing,
): Steps<Result<null, LeaseError>> {
  const { geometry, leader } = hold;
  const { progress, rename } = from;
  if (progress.lvb !== null) {
    const value = yield* writeLvb(member, hold, progress.lvb);
    if (value.outcome === 'unknown') return fail(ioError(value, 'value block write'));
    progress.lvb = null;
    progress.lvbLanded = value.outcome === 'done';
  }
  // Landing after the leader is free, it could overwrite the next holder's. Refused, it is lost but
  // no obstacle, as in the original: the lock must not be held on for a lost value.
  if (!progress.lvbLanded && !(yield* lvbSettled(member, hold))) {
    return fail(leaseError('AIO_TIMEOUT', 'value block write'));
  }
  if (!progress.leaderSent) {
    const atOnce = yield* releaseAtOnce(member, hold, rename);
    if (atOnce.ok) {
      if (atOnce.value === 'done') return ok(null);
      progress.leaderSent = atOnce.value === 'sent';
    } else {
      progress.leaderSent = true;
      return yield* refusedAtOnce(member, hold, { rename, error: atOnce.error });
    }
  }
  if (progress.leaderSent) {
    // Read before it ended, the leader would still look held by us.
    const at = { offset: hold.offset, length: geometry.sectorSize };
    const ended = yield* settle(member, at);
    if (!ended) return fail(leaseError('AIO_TIMEOUT', 'leader release'));
  }
  const marked = yield* releaseShared(member, hold); // the same bytes: RELEASED, no mode block
  const freed = yield* freeLeader(member, hold, { geometry, leader, rename });
  // Another host recorded our win: then our own block is the release, and must have landed.
  if (freed.ok && freed.value === 'notWriter') return notRenamed(marked, rename);
  const hasLanded = !freed.ok && progress.leaderSent && MOVED_ON.has(freed.error.error.code);
  if (freed.ok || hasLanded) {
    if (!marked.ok) member.finishLater?.(() => keepMarking(member, hold));
    return ok(null);
  }
  if (freed.error.isSent) progress.leaderSent = true;
  return fail(freed.error.error);
}

/**
 * The usual case in two steps instead of three: the leader is read, then our block RELEASED and the
 * leader free are written at the same time. Whichever of the two lands alone, it is what the
 * three steps may leave behind too (spec 10 §18).
 * @returns `sent`: written, but not both answered; `unsent`: the leader is to be read; ERRNO
 *   when one of the two was refused
 */
function* releaseAtOnce(
  member: Member,
  hold: PaxosHold,
  rename: ByteString | null,
): Steps<Result<'done' | 'sent' | 'unsent', LeaseError>> {
  const { geometry, leader } = hold;
  const free = yield* freedLeader(member, hold, { geometry, leader, rename });
  if (!free.ok || free.value === 'notWriter') return ok('unsent');
  const { ioTimeoutMs: timeoutMs } = leaseTimes(member.ioTimeoutS);
  const block = { dblock: released(hold.dblock), sharedGeneration: null };
  const wrote = yield {
    op: 'write',
    disk: 'resource',
    timeoutMs,
    writeToo: { offset: hold.offset, bytes: free.value },
    ...hostBlock(member, hold, geometry, block),
  };
  if (wrote.outcome === 'failed') return fail(ioError(wrote, LEADER_RELEASE));
  return ok(wrote.outcome === 'done' ? 'done' : 'sent');
}

/** The lease is free, and has its old name still: who asked for another one must know. */
function notRenamed(
  marked: Result<null, LeaseError>,
  rename: ByteString | null,
): Result<null, LeaseError> {
  if (!marked.ok || rename === null) return marked;
  return fail(leaseError('RELEASE_OWNER', 'renaming at the release'));
}

/** One of the two was refused. If it was not the leader, the lease is free all the same. */
function* refusedAtOnce(
  member: Member,
  hold: PaxosHold,
  from: { readonly rename: ByteString | null; readonly error: LeaseError },
): Steps<Result<null, LeaseError>> {
  const { geometry, leader } = hold;
  const still = yield* freedLeader(member, hold, { geometry, leader, rename: from.rename });
  if (still.ok || !MOVED_ON.has(still.error.code)) return fail(from.error);
  member.finishLater?.(() => keepMarking(member, hold));
  return ok(null);
}

/** The leader is free, but a conversion that failed may have left SHARED in our block. */
function keepMarking(member: Member, hold: PaxosHold): Steps<void> {
  return keepTrying(member, function* () {
    const marked = yield* releaseShared(member, hold);
    return marked.ok ? 'done' : 'again';
  });
}

const LEADER_RELEASE = 'leader release';
/** What a leader looks like after a free record of ours landed late: free, renamed, or retaken. */
const MOVED_ON: ReadonlySet<string> = new Set(['RELEASE_OWNER', 'RELEASE_LVER', 'LEADER_RESOURCE']);

/**
 * Waits up to t for value blocks that we sent earlier; false while one may still land: no other
 * host may get past us before.
 */
export function* lvbSettled(member: Member, hold: PaxosHold): Steps<boolean> {
  const { sectorSize } = hold.geometry;
  const at = { offset: hold.offset + LVB_SECTOR * sectorSize, length: sectorSize };
  return yield* settle(member, at);
}

/**
 * Writes the value block, one sector: `lvb` cut to it, or with zeros behind. Only the exclusive
 * holder may, before its leader is free.
 */
export function* writeLvb(member: Member, hold: PaxosHold, lvb: Uint8Array): Steps<Reply> {
  assert(hasLvb(hold.geometry), 'the value block lies inside the area'); // or a neighbour is hit
  const bytes = new Uint8Array(hold.geometry.sectorSize);
  bytes.set(lvb.subarray(0, bytes.length));
  const offset = hold.offset + LVB_SECTOR * hold.geometry.sectorSize;
  const timeoutMs = leaseTimes(member.ioTimeoutS).ioTimeoutMs;
  return yield { op: 'write', disk: 'resource', offset, bytes, timeoutMs };
}

interface ToFree {
  readonly geometry: Geometry;
  /** As we committed it. */
  readonly leader: PaxosLeader;
  readonly rename: ByteString | null;
}

/** Why a leader was not freed. */
export interface NotFreed {
  readonly error: LeaseError;
  /** A free leader was sent and not answered well: it may have landed, or land later. */
  readonly isSent: boolean;
}

/**
 * Writes the leader free, only if it is byte for byte the one we committed and wrote, and names us:
 * a ballot may have recorded another host's win, which is not ours to end.
 * @returns `notWriter` when another host wrote it: our block's RELEASED is the release then.
 */
export function* freeLeader(
  member: Member,
  place: Place,
  from: ToFree,
): Steps<Result<'freed' | 'notWriter', NotFreed>> {
  const free = yield* freedLeader(member, place, from);
  if (!free.ok) return fail({ error: free.error, isSent: false });
  if (free.value === 'notWriter') return ok('notWriter');
  const { ioTimeoutMs: timeoutMs } = leaseTimes(member.ioTimeoutS);
  const at = { disk: 'resource', offset: place.offset, timeoutMs } as const;
  const wrote = yield { op: 'write', bytes: free.value, ...at };
  if (wrote.outcome === 'done') return ok('freed');
  return fail({ error: ioError(wrote, LEADER_RELEASE), isSent: true });
}

/** Reads the leader, and if it is ours to free, gives the sector that does so. */
function* freedLeader(
  member: Member,
  place: Place,
  from: ToFree,
): Steps<Result<Uint8Array | 'notWriter', LeaseError>> {
  const read = yield* readLeader(member, place, from);
  if (!read.ok) return read;
  const { leader, nowMs } = read.value;
  if (leader.writeId !== BigInt(member.hostId)) return ok('notWriter');
  const facts = { lver: leader.lver, owner: leader.ownerId, generation: leader.ownerGeneration };
  if (leader.lver !== from.leader.lver) return fail(leaseError('RELEASE_LVER', 'release', facts));
  const isOurs =
    leader.ownerId === BigInt(member.hostId) && leader.ownerGeneration === member.generation;
  if (!isOurs || !sameLeader({ ...leader, checksum: 0 }, { ...from.leader, checksum: 0 })) {
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
  assert(damageOfPaxos(free) === null, 'what we write, others can read');
  const bytes = new Uint8Array(from.geometry.sectorSize);
  encodePaxosLeader(free, bytes);
  return ok(bytes);
}
