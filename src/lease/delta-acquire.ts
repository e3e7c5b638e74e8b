import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { sameBytes } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { wholeSeconds } from '../base/units.ts';
import { decode } from '../codec/struct.ts';
import { deltaLeaseOffset, type Geometry, isAreaOffset } from '../format/geometry.ts';
import {
  DELTA_DISK_MAGIC,
  DELTA_DISK_VERSION,
  type DeltaLeader,
  damageOfDelta,
  deltaLeader,
  encodeDeltaLeader,
  HOST_NAME_BYTES,
  LEADER_BYTES,
  leaderChecksum,
  leaderGeometry,
} from '../format/leader.ts';
import { errnoError, type Facts, ioError, leaseError, readSpan, sleep, type Timed } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { type LeaseTimes, leaseTimes } from './lease-times.ts';
import { nextGeneration } from './next-numbers.ts';
import type { Steps } from './steps.ts';
import { sameMajor, verifyDelta } from './verify.ts';

/**
 * A host lease: which lockspace, where it begins (bytes), and which host by which name.
 * `ioTimeoutS` 1..255.
 */
export interface DeltaPlace {
  readonly lockspaceName: ByteString;
  readonly offset: number;
  readonly hostId: number;
  readonly hostName: ByteString;
  readonly ioTimeoutS: number;
  /** true once removal or shutdown was asked for: the wait ends with ERROR. */
  readonly aborted: () => boolean;
}

/** A delta lease as this host last wrote it. */
export interface DeltaHold {
  readonly leader: DeltaLeader;
  readonly geometry: Geometry;
}

/** Bytes where every layout has a record: of hosts 9 and 17 (512-byte sectors), or 2 and 3. */
const WITNESSES_AT = [4096, 8192] as const;
const SIZES = 'lockspace sizes';

/**
 * Reads the lockspace's sizes from host 1's record and checks that `hostId` fits (spec 10 §5.1).
 *
 * Where that record is damaged, others serve, or one bad sector would keep every host out
 * (spec 10 §17.1 item 9). Damage is a wrong checksum: a sound record of another kind or version is
 * none, and magic 0 is no lockspace at all, or one not yet formatted to its end.
 * @returns LEADER_MAGIC, LEADER_VERSION, LEADER_SECTORSIZE, ADDLS_SIZES, ADDLS_INVALID_HOSTID, or
 *   ERRNO EINVAL at an offset where no area of these sizes can begin.
 */
export function* readLockspaceSizes(
  place: Pick<DeltaPlace, 'offset' | 'hostId' | 'ioTimeoutS' | 'lockspaceName'>,
): Steps<Result<Geometry, LeaseError>> {
  const { ioTimeoutMs: timeoutMs } = leaseTimes(place.ioTimeoutS);
  const span = { disk: 'lockspace', offset: place.offset, length: 4096, timeoutMs } as const;
  const read = yield* readSpan(span, SIZES);
  if (!read.ok) return read;
  const first = decode(deltaLeader, read.value.value);
  const isDamaged = first.checksum !== leaderChecksum(read.value.value);
  const said = sizesOf(first);
  const isTried = isDamaged && first.magic !== 0 && place.hostId !== 1;
  const witnessed = isTried ? yield* witnessedSizes(place) : null;
  const sizes = witnessed === null ? said : ok(witnessed);
  if (!sizes.ok) return sizes;
  const { maxHosts, areaBytes } = sizes.value;
  if (place.hostId > maxHosts) {
    const facts = { hostId: place.hostId, maxHosts };
    return fail(leaseError('ADDLS_INVALID_HOSTID', SIZES, facts));
  }
  // Every host lease looks like a first one: from among them our slot would be another host's.
  if (isAreaOffset(place.offset, sizes.value)) return sizes;
  return fail(errnoError(ERRNO.EINVAL, 'lockspace offset', { offset: place.offset, areaBytes }));
}

function sizesOf(first: DeltaLeader): Result<Geometry, LeaseError> {
  const { magic, version, sectorSize, flags } = first;
  if (magic !== DELTA_DISK_MAGIC) return fail(leaseError('LEADER_MAGIC', SIZES, { found: magic }));
  if (!sameMajor(version, DELTA_DISK_VERSION)) {
    return fail(leaseError('LEADER_VERSION', SIZES, { found: version }));
  }
  if (sectorSize !== 512 && sectorSize !== 4096) {
    return fail(leaseError('LEADER_SECTORSIZE', SIZES, { found: sectorSize }));
  }
  const geometry = leaderGeometry(first);
  return geometry === null ? fail(leaseError('ADDLS_SIZES', SIZES, { flags })) : ok(geometry);
}

/** What two other records and our own agree on, all sound; null where they do not. */
function* witnessedSizes(
  place: Pick<DeltaPlace, 'offset' | 'hostId' | 'ioTimeoutS' | 'lockspaceName'>,
): Steps<Geometry | null> {
  const first = yield* soundSizes(place, WITNESSES_AT[0]);
  if (first === null || place.hostId > first.maxHosts) return null;
  for (const at of [WITNESSES_AT[1], deltaLeaseOffset(first, place.hostId)]) {
    const also = yield* soundSizes(place, at);
    if (also?.sectorSize !== first.sectorSize || also.areaBytes !== first.areaBytes) return null;
  }
  return first;
}

/** The sizes a record gives that passes every check of a host lease of this lockspace. */
function* soundSizes(
  place: Pick<DeltaPlace, 'offset' | 'ioTimeoutS' | 'lockspaceName'>,
  at: number,
): Steps<Geometry | null> {
  const { ioTimeoutMs: timeoutMs } = leaseTimes(place.ioTimeoutS);
  // In whole pages, as the size of a sector is not known yet.
  const page = Math.floor(at / 4096) * 4096;
  const span = { disk: 'lockspace', offset: place.offset + page, length: 4096, timeoutMs } as const;
  const read = yield* readSpan(span, SIZES);
  if (!read.ok) return null;
  const leader = verifyDelta(read.value.value, at - page, { ...place, hostId: null });
  return leader.ok ? leaderGeometry(leader.value) : null;
}

/**
 * Takes `hostId` in a lockspace, waiting until an earlier owner is surely gone: its record must
 * stand still for 8·t + 60 s by the *previous* owner's io timeout.
 *
 *   T+0 read   T+8·ot+60 read again, unchanged   write   +2·ot read back, unchanged -> ours
 *
 * A free record skips the first wait. One with our own host name is of a former membership
 * of ours, and watched for a renewal interval only: if it moves, a clone of this host lives.
 * @returns the record written (its generation is the old one + 1), or HOSTID_BUSY, ERROR when
 *   aborted, LEADER_*, AIO_TIMEOUT. A write that was not seen to land is given up, never repeated:
 *   the caller must not retry before it has read the record again.
 * @see spec 10 §5.2. C: delta_lease_acquire
 */
export function* deltaAcquire(
  place: DeltaPlace,
  geometry: Geometry,
): Steps<Result<DeltaHold, LeaseError>> {
  // All hosts without a name would be one.
  assert(place.hostName !== '', 'a host has a name');
  const { ioTimeoutMs } = leaseTimes(place.ioTimeoutS);
  const first = yield* readOwn(place, geometry, ioTimeoutMs);
  if (!first.ok) return first;
  let seen = first.value;
  const before = leaseTimes(seen.leader.ioTimeoutS & 0xff || place.ioTimeoutS);

  // The whole name: a longer one never matches, or two hosts could both believe the slot theirs.
  if (seen.leader.timestampS !== 0n) {
    const isOwnName = seen.leader.hostName === place.hostName;
    const waitMs = isOwnName ? before.ownNameWatchMs : before.hostDeadMs;
    const waited = yield* waitUnlessAborted(place, waitMs);
    if (!waited.ok) return waited;
    const again = yield* readOwn(place, geometry, ioTimeoutMs);
    if (!again.ok) return again;
    if (!sameBytes(seen.record, again.value.record) && again.value.leader.timestampS !== 0n) {
      const facts = ownerFacts(again.value.leader, place.hostName);
      return fail(leaseError('HOSTID_BUSY', 'host id wait', facts));
    }
    seen = again.value;
  }
  return yield* claim(place, geometry, { seen, before });
}

/**
 * Claims the host id and settles. Where the previous owner's io timeout was so long that our claim
 * would end before, it is made anew meanwhile, each time after having been read back.
 */
function* claim(
  place: DeltaPlace,
  geometry: Geometry,
  from: { readonly seen: OwnRecord; readonly before: LeaseTimes },
): Steps<Result<DeltaHold, LeaseError>> {
  const { ioTimeoutMs, renewalIntervalMs, renewalWarnMs } = leaseTimes(place.ioTimeoutS);
  const settleMs = from.before.joinSettleMs;
  // Half of what a rival waits that read the same record: sent within it, and answered within it.
  const claimTimeoutMs = Math.min(ioTimeoutMs, settleMs / 2);
  const claimMs = settleMs > renewalWarnMs ? renewalIntervalMs : settleMs;
  let { seen } = from;
  const generation = nextGeneration(seen.leader);
  if (!generation.ok) return generation;
  let leader: DeltaLeader = {
    ...seen.leader,
    ioTimeoutS: place.ioTimeoutS & 0xff,
    ownerId: BigInt(place.hostId),
    ownerGeneration: generation.value,
    hostName: place.hostName.slice(0, HOST_NAME_BYTES),
  };
  for (let leftMs = settleMs; leftMs > 0; leftMs -= claimMs) {
    leader = { ...leader, timestampS: BigInt(Math.max(1, wholeSeconds(seen.nowMs))) }; // 0: free
    const sector = new Uint8Array(geometry.sectorSize);
    assert(damageOfDelta(leader, place.hostId) === null, 'what we write, others can read');
    encodeDeltaLeader(leader, sector);
    const offset = place.offset + deltaLeaseOffset(geometry, place.hostId);
    const write = { op: 'write', disk: 'lockspace', offset, bytes: sector } as const;
    const wrote = yield { ...write, timeoutMs: claimTimeoutMs };
    if (wrote.outcome !== 'done') return fail(ioError(wrote, 'host id write'));

    const waited = yield* waitUnlessAborted(place, Math.min(leftMs, claimMs));
    if (!waited.ok) return waited;
    const back = yield* readOwn(place, geometry, ioTimeoutMs);
    if (!back.ok) return back;
    if (!sameBytes(back.value.record, sector.subarray(0, LEADER_BYTES))) {
      const facts = ownerFacts(back.value.leader, place.hostName);
      return fail(leaseError('HOSTID_BUSY', 'host id read back', facts));
    }
    seen = back.value;
  }
  return ok({ leader: seen.leader, geometry });
}

/** This host's record as read. */
export interface OwnRecord {
  readonly nowMs: number;
  readonly leader: DeltaLeader;
  /** A copy of all 200 bytes, for comparison. */
  readonly record: Uint8Array;
}

/** This host's record, checked; its numbers mean nothing yet. */
export function* readOwn(
  place: DeltaPlace,
  geometry: Geometry,
  timeoutMs: number,
): Steps<Result<OwnRecord, LeaseError>> {
  const offset = place.offset + deltaLeaseOffset(geometry, place.hostId);
  const span = { disk: 'lockspace', offset, length: geometry.sectorSize, timeoutMs } as const;
  const read: Result<Timed<Uint8Array>, LeaseError> = yield* readSpan(span, 'host id read');
  if (!read.ok) return read;
  const leader = verifyDelta(read.value.value, 0, place);
  if (!leader.ok) return leader;
  const record = read.value.value.slice(0, LEADER_BYTES);
  return ok({ nowMs: read.value.nowMs, leader: leader.value, record });
}

/** Sleeps in steps of a second, so that a removal need not wait for the end. */
function* waitUnlessAborted(place: DeltaPlace, forMs: number): Steps<Result<null, LeaseError>> {
  for (let leftMs = forMs; leftMs > 0; leftMs -= 1000) {
    if (place.aborted()) return fail(leaseError('ERROR', 'host id wait, aborted'));
    yield* sleep(Math.min(leftMs, 1000));
  }
  return ok(null);
}

function ownerFacts(leader: DeltaLeader, ourName: ByteString): Facts {
  const facts = {
    owner: leader.ownerId,
    hostName: leader.hostName,
    timestampS: leader.timestampS,
  };
  return leader.hostName === ourName ? { ...facts, reason: OUR_NAME } : facts;
}

/** Two hosts of one name and one id; an administrator has to give one of them another name. */
export const OUR_NAME = 'another living host has our host name and host id';
