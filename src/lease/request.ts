import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { toSafeNumber } from '../base/units.ts';
import { damageOf, decode, encodeInto, isPossible } from '../codec/struct.ts';
import { type Geometry, isLeaseOffset, REQUEST_SECTOR } from '../format/geometry.ts';
import {
  REQ_DISK_MAGIC,
  REQ_DISK_VERSION,
  type RequestRecord,
  requestRecord,
} from '../format/request.ts';
import { errnoError, ioError, leaseError, readSpan } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import type { Member, Place } from './member.ts';
import { readLeader } from './owner-watch.ts';
import type { Steps } from './steps.ts';
import { damaged, sameMajor } from './verify.ts';

/**
 * What is asked of the holder: that lease version `lver` can be had. `forceMode` says how its user
 * is stopped: 1 kills it, 2 asks it first (spec 10 §10.2). `nextLver`: with `lver` 0, the version
 * after the present one.
 */
export interface RequestWish {
  /** 0 with `forceMode` 0 clears the record. */
  readonly lver: bigint;
  readonly forceMode: number;
  readonly nextLver: boolean;
  readonly geometry: Geometry;
}

/** The owner whom our next renewals are to call by its bit; 0 = none. */
export interface Requested {
  readonly ownerId: number;
  readonly ownerGeneration: bigint;
}

/**
 * Asks the holder of a resource to release it, by a record in sector 1 of its area. No lease
 * protects that sector: the last writer wins, as in C.
 * @returns whom to call; nothing is written for a free lease. REQUEST_OLD (the lease has that
 *   version already), REQUEST_LVER (a newer request is there), REQUEST_MAGIC, REQUEST_VERSION,
 *   LEADER_*, ERRNO EINVAL (no lease has that version).
 * @see spec 10 §10.1
 */
export function* writeRequest(
  member: Member,
  place: Place,
  wish: RequestWish,
): Steps<Result<Requested, LeaseError>> {
  const clearing = wish.lver === 0n && wish.forceMode === 0;
  if (!isPossible(requestRecord.fields.lver, wish.lver)) {
    return fail(errnoError(ERRNO.EINVAL, 'request', { wanted: wish.lver }));
  }
  if (!isLeaseOffset(place.offset)) {
    return fail(errnoError(ERRNO.EINVAL, 'request, offset', { offset: place.offset }));
  }
  let lver = wish.lver;
  let owner: Requested = { ownerId: 0, ownerGeneration: 0n };
  if (!clearing) {
    const read = yield* readLeader(member, place, wish);
    if (!read.ok) return read;
    const { leader } = read.value;
    if (leader.timestampS === 0n) return ok(owner);
    // Its bit goes into our host lease: a host that this lockspace cannot have has none there.
    if (leader.ownerId > BigInt(member.lockspaceGeometry.maxHosts)) {
      return fail(leaseError('LEADER_NUMHOSTS', 'request', { owner: leader.ownerId }));
    }
    if (wish.nextLver && lver === 0n) lver = leader.lver + 1n;
    if (!isPossible(requestRecord.fields.lver, lver)) {
      return fail(leaseError('LEADER_CHECKSUM', 'request, no next version', { lver }));
    }
    if (leader.lver >= lver) {
      return fail(leaseError('REQUEST_OLD', 'request', { found: leader.lver, wanted: lver }));
    }
    owner = {
      ownerId: toSafeNumber(leader.ownerId, 'ownerId'),
      ownerGeneration: leader.ownerGeneration,
    };
  }
  const standing = yield* readRequest(member, place, wish.geometry, { clearing });
  if (!standing.ok) return standing;
  if (!clearing && standing.value.lver > lver) {
    return fail(
      leaseError('REQUEST_LVER', 'request', { found: standing.value.lver, wanted: lver }),
    );
  }
  const bytes = new Uint8Array(wish.geometry.sectorSize);
  const record = {
    magic: REQ_DISK_MAGIC,
    version: REQ_DISK_VERSION,
    lver,
    forceMode: wish.forceMode,
  };
  assert(damageOf(requestRecord, record) === null, 'what we write, others can read');
  encodeInto(requestRecord, record, bytes);
  const offset = place.offset + REQUEST_SECTOR * wish.geometry.sectorSize;
  const timeoutMs = leaseTimes(member.ioTimeoutS).ioTimeoutMs;
  const wrote = yield { op: 'write', disk: 'resource', offset, bytes, timeoutMs };
  return wrote.outcome === 'done' ? ok(owner) : fail(ioError(wrote, 'request write'));
}

/**
 * Reads the request record of an area.
 * @param clearing it is read to be replaced: a damaged one is no obstacle
 * @returns REQUEST_MAGIC, also for a version that cannot be; REQUEST_VERSION; AIO_TIMEOUT, ERRNO.
 */
export function* readRequest(
  member: Pick<Member, 'ioTimeoutS'>,
  place: Pick<Place, 'offset'>,
  geometry: Geometry,
  { clearing }: { readonly clearing: boolean } = { clearing: false },
): Steps<Result<RequestRecord, LeaseError>> {
  const read = yield* readSpan(
    {
      disk: 'resource',
      offset: place.offset + REQUEST_SECTOR * geometry.sectorSize,
      length: geometry.sectorSize,
      timeoutMs: leaseTimes(member.ioTimeoutS).ioTimeoutMs,
    },
    'request read',
  );
  if (!read.ok) return read;
  const record = decode(requestRecord, read.value.value);
  if (record.magic !== REQ_DISK_MAGIC) {
    return fail(leaseError('REQUEST_MAGIC', 'request read', { found: record.magic }));
  }
  if (!sameMajor(record.version, REQ_DISK_VERSION)) {
    return fail(leaseError('REQUEST_VERSION', 'request read', { found: record.version }));
  }
  const damage = damageOf(requestRecord, record);
  if (damage === null || clearing) return ok(record);
  return fail(damaged('REQUEST_MAGIC', 'request read', damage));
}
