import { assert } from '../base/assert.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { deltaLeaseOffset } from '../format/geometry.ts';
import { damageOfDelta, encodeDeltaLeader } from '../format/leader.ts';
import type { DeltaHold, DeltaPlace } from './delta-acquire.ts';
import { ioError } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import type { Steps } from './steps.ts';

/**
 * Frees the host id: only after every user of the lockspace is gone, because other hosts may take
 * all its leases at once.
 * @returns AIO_TIMEOUT or ERRNO: then the record may be free or not, now or later, and other hosts
 *   wait as for a dead one. @see spec 10 §5.5. C: delta_lease_release
 */
export function* deltaRelease(
  place: Pick<DeltaPlace, 'offset' | 'hostId' | 'ioTimeoutS'>,
  hold: DeltaHold,
): Steps<Result<null, LeaseError>> {
  const free = { ...hold.leader, timestampS: 0n };
  assert(free.ownerId === BigInt(place.hostId), 'a host frees its own record');
  assert(damageOfDelta(free, place.hostId) === null, 'what we write, others can read');
  const sector = new Uint8Array(hold.geometry.sectorSize);
  encodeDeltaLeader(free, sector);
  const wrote = yield {
    op: 'write',
    disk: 'lockspace',
    offset: place.offset + deltaLeaseOffset(hold.geometry, place.hostId),
    bytes: sector,
    timeoutMs: leaseTimes(place.ioTimeoutS).ioTimeoutMs,
  };
  return wrote.outcome === 'done' ? ok(null) : fail(ioError(wrote, 'host id release'));
}
