import { fail, ok, type Result } from '../base/result.ts';
import { decode, encodeInto } from '../codec/struct.ts';
import type { Geometry } from '../format/geometry.ts';
import { REQUEST_SECTOR } from '../format/geometry.ts';
import {
  REQ_DISK_MAGIC,
  REQ_DISK_VERSION,
  type RequestRecord,
  requestRecord,
} from '../format/request.ts';
import { ioError, leaseError, readSpan } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import { readLeader } from './owner-watch.ts';
import type { Steps } from './steps.ts';
import { sameMajor } from './verify.ts';
import type { Member, Place } from './world.ts';

export interface RequestWish {
  /** 0 with `forceMode` 0 clears the record. */
  readonly lver: bigint;
  readonly forceMode: number;
  readonly nextLver: boolean;
  readonly geometry: Geometry;
}

/** The owner who should be told by our next renewals; 0 = none. */
export interface Requested {
  readonly ownerId: number;
  readonly ownerGeneration: bigint;
}

/**
 * Asks the owner of a resource to let go, in sector 1 of its area.
 * @returns REQUEST_OLD (the lease already has that version), REQUEST_LVER (a newer request is
 *   there), REQUEST_MAGIC, REQUEST_VERSION, LEADER_*. @see spec 10 §10.1
 */
export function* writeRequest(
  member: Member,
  place: Place,
  wish: RequestWish,
): Steps<Result<Requested, LeaseError>> {
  const clearing = wish.lver === 0n && wish.forceMode === 0;
  let lver = wish.lver;
  let owner: Requested = { ownerId: 0, ownerGeneration: 0n };
  if (!clearing) {
    const read = yield* readLeader(member, place, wish);
    if (!read.ok) return read;
    const { leader } = read.value;
    if (leader.timestampS === 0n) return ok(owner);
    if (wish.nextLver && lver === 0n) lver = leader.lver + 1n;
    if (leader.lver >= lver) {
      return fail(leaseError('REQUEST_OLD', 'request', { found: leader.lver, wanted: lver }));
    }
    owner = {
      ownerId: Number(leader.ownerId),
      ownerGeneration: leader.ownerGeneration,
    };
  }
  const standing = yield* readRequest(member, place, wish.geometry);
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
  encodeInto(requestRecord, record, bytes);
  const offset = place.offset + REQUEST_SECTOR * wish.geometry.sectorSize;
  const timeoutMs = leaseTimes(member.ioTimeoutS).ioTimeoutMs;
  const wrote = yield { op: 'write', disk: 'resource', offset, bytes, timeoutMs };
  return wrote.outcome === 'done' ? ok(owner) : fail(ioError(wrote, 'request write'));
}

export function* readRequest(
  member: Pick<Member, 'ioTimeoutS'>,
  place: Pick<Place, 'offset'>,
  geometry: Geometry,
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
  return ok(record);
}
