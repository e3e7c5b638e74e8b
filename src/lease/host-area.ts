import type { ByteString } from '../base/bytes.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { decode } from '../codec/struct.ts';
import { deltaLeaseOffset, type Geometry } from '../format/geometry.ts';
import {
  DELTA_DISK_MAGIC,
  type DeltaLeader,
  deltaLeader,
  leaderGeometry,
} from '../format/leader.ts';
import { leaseError, readSpan } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { PROBE_BYTES } from './read.ts';
import type { Steps } from './steps.ts';
import { verifyDelta } from './verify.ts';

/** The area of a lockspace, as it was read at one moment. */
export interface HostArea {
  readonly geometry: Geometry;
  readonly bytes: Uint8Array;
  /** The largest host id that was ever used in it; 0: none. */
  readonly knownHosts: number;
}

/**
 * Reads a lockspace with all its hosts; no host has to have joined it here. Reads only.
 * @returns null: there is no lockspace; AIO_TIMEOUT, ERRNO
 */
export function* readHostArea(wish: {
  readonly offset: number;
  readonly timeoutMs: number;
}): Steps<Result<HostArea | null, LeaseError>> {
  const place = { disk: 'lockspace', ...wish } as const;
  const probe = yield* readSpan({ ...place, length: PROBE_BYTES }, 'lockspace read');
  if (!probe.ok) return probe;
  const geometry = geometryIn(probe.value.value);
  if (geometry === null) return ok(null);
  const area = yield* readSpan({ ...place, length: geometry.areaBytes }, 'lockspace read');
  if (!area.ok) return area;
  const bytes = area.value.value.slice();
  return ok({ geometry, bytes, knownHosts: knownHostsIn(bytes, geometry) });
}

/** By the first of the records that is one: that of host 1 alone may be damaged. */
function geometryIn(probe: Uint8Array): Geometry | null {
  for (const offset of FIRST_RECORDS) {
    const record = decode(deltaLeader, probe, offset);
    const geometry = record.magic === DELTA_DISK_MAGIC ? leaderGeometry(record) : null;
    if (geometry !== null && offset % geometry.sectorSize === 0) return geometry;
  }
  return null;
}

/** In sectors of 512 bytes; of one of 4096 bytes there is the first. */
const FIRST_RECORDS = [0, 512, 1024] as const;

function knownHostsIn(area: Uint8Array, geometry: Geometry): number {
  for (let hostId = geometry.maxHosts; hostId > 0; hostId--) {
    const host = decode(deltaLeader, area, deltaLeaseOffset(geometry, hostId));
    if (host.ownerId !== 0n || host.ownerGeneration !== 0n || host.timestampS !== 0n) return hostId;
  }
  return 0;
}

/**
 * The record of a host in such an area.
 * @param area null: there is none
 * @returns LEADER_*, ADDLS_INVALID_HOSTID
 */
export function hostIn(
  area: HostArea | null,
  { hostId, lockspaceName }: { readonly hostId: number; readonly lockspaceName: ByteString },
): Result<DeltaLeader, LeaseError> {
  if (area === null) return fail(leaseError('LEADER_MAGIC', 'host lookup', { hostId }));
  const { geometry, bytes } = area;
  if (hostId < 1 || hostId > geometry.maxHosts) {
    return fail(leaseError('ADDLS_INVALID_HOSTID', 'host lookup', { hostId }));
  }
  return verifyDelta(bytes, deltaLeaseOffset(geometry, hostId), { lockspaceName, hostId });
}
