import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { wholeSeconds } from '../base/units.ts';
import { encodeInto, zeroRecord } from '../codec/struct.ts';
import {
  deltaLeaseOffset,
  type Geometry,
  isAreaOffset,
  REQUEST_SECTOR,
} from '../format/geometry.ts';
import {
  alignFlag,
  DELTA_DISK_MAGIC,
  DELTA_DISK_VERSION,
  damageOfDelta,
  damageOfPaxos,
  deltaLeader,
  encodeDeltaLeader,
  encodePaxosLeader,
  PAXOS_DISK_CLEAR,
  PAXOS_DISK_MAGIC,
  PAXOS_DISK_VERSION,
  paxosLeader,
} from '../format/leader.ts';
import { REQ_DISK_MAGIC, REQ_DISK_VERSION, requestRecord } from '../format/request.ts';
import { errnoError, ioError } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import type { Steps } from './steps.ts';

/**
 * A lockspace to be formatted: where (bytes), its name, and the io timeout (seconds, 1..255) that
 * its records say until hosts join.
 */
export interface NewLockspace {
  readonly offset: number;
  readonly name: ByteString;
  readonly geometry: Geometry;
  readonly ioTimeoutS: number;
  readonly writeTimeoutMs: number;
}

/**
 * Formats a lockspace: the whole area with record 1 invalid, then record 1 alone; that last,
 * single-sector write makes the lockspace exist. Destroys what was there.
 * @returns ERRNO EINVAL at no multiple of the area; AIO_TIMEOUT or ERRNO of a write.
 * @see spec 10 §12
 */
export function* initLockspace(wish: NewLockspace): Steps<Result<null, LeaseError>> {
  const { geometry } = wish;
  const placed = placedRight(wish, 'lockspace format');
  if (!placed.ok) return placed;
  const area = new Uint8Array(geometry.areaBytes);
  const record = {
    ...zeroRecord(deltaLeader),
    magic: DELTA_DISK_MAGIC,
    version: DELTA_DISK_VERSION,
    flags: alignFlag(geometry),
    sectorSize: geometry.sectorSize,
    maxHosts: 1n,
    spaceName: wish.name,
    ioTimeoutS: wish.ioTimeoutS,
  };
  assert(damageOfDelta(record, null) === null, 'what we write, others can read');
  for (let hostId = 1; hostId <= geometry.maxHosts; hostId++) {
    const magic = hostId === 1 ? 0 : DELTA_DISK_MAGIC;
    encodeDeltaLeader({ ...record, magic }, area, deltaLeaseOffset(geometry, hostId));
  }
  const timeoutMs = wish.writeTimeoutMs;
  const whole = yield {
    op: 'write',
    disk: 'lockspace',
    offset: wish.offset,
    bytes: area,
    timeoutMs,
  };
  if (whole.outcome !== 'done') return fail(ioError(whole, 'lockspace format'));
  const first = new Uint8Array(geometry.sectorSize);
  encodeDeltaLeader(record, first);
  const last = yield {
    op: 'write',
    disk: 'lockspace',
    offset: wish.offset,
    bytes: first,
    timeoutMs,
  };
  return last.outcome === 'done' ? ok(null) : fail(ioError(last, 'lockspace format'));
}

/** @returns ERRNO EINVAL where an area would lie across two others, and destroy a neighbour's */
export function placedRight(
  { offset, geometry }: { readonly offset: number; readonly geometry: Geometry },
  during: string,
): Result<null, LeaseError> {
  if (isAreaOffset(offset, geometry)) return ok(null);
  return fail(errnoError(ERRNO.EINVAL, during, { offset, areaBytes: geometry.areaBytes }));
}

/** A resource to be formatted: where (bytes) and its names. */
export interface NewResource {
  readonly offset: number;
  readonly lockspaceName: ByteString;
  readonly resourceName: ByteString;
  readonly geometry: Geometry;
  /** 0 or above the geometry's limit = the limit. */
  readonly numHosts: number;
  /** Writes the cleared form: no lease here any more. */
  readonly clear: boolean;
  readonly writeTimeoutMs: number;
  readonly nowMs: number;
}

/**
 * Formats a resource in one write, without reading what is there and at any offset: `direct` does
 * what its user says.
 * @returns AIO_TIMEOUT or ERRNO of the write.
 * @see spec 10 §12
 */
export function* initResource(wish: NewResource): Steps<Result<null, LeaseError>> {
  const { geometry } = wish;
  const area = new Uint8Array(geometry.areaBytes);
  const { maxHosts } = geometry;
  const numHosts = wish.numHosts < 1 || wish.numHosts > maxHosts ? maxHosts : wish.numHosts;
  const leader = {
    ...zeroRecord(paxosLeader),
    magic: wish.clear ? PAXOS_DISK_CLEAR : PAXOS_DISK_MAGIC,
    version: PAXOS_DISK_VERSION,
    flags: alignFlag(geometry),
    sectorSize: geometry.sectorSize,
    numHosts: BigInt(numHosts),
    maxHosts: BigInt(maxHosts),
    spaceName: wish.lockspaceName,
    resourceName: wish.resourceName,
    writeTimestampS: wish.clear ? BigInt(wholeSeconds(wish.nowMs)) : 0n,
  };
  assert(damageOfPaxos(leader) === null, 'what we write, others can read');
  encodePaxosLeader(leader, area);
  const request = { magic: REQ_DISK_MAGIC, version: REQ_DISK_VERSION, lver: 0n, forceMode: 0 };
  encodeInto(requestRecord, request, area, REQUEST_SECTOR * geometry.sectorSize);
  const timeoutMs = wish.writeTimeoutMs;
  const wrote = yield {
    op: 'write',
    disk: 'resource',
    offset: wish.offset,
    bytes: area,
    timeoutMs,
  };
  return wrote.outcome === 'done' ? ok(null) : fail(ioError(wrote, 'resource format'));
}
