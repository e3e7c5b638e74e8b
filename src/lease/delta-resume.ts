import { fail, ok, type Result } from '../base/result.ts';
import { SECOND_MS } from '../base/units.ts';
import type { Geometry } from '../format/geometry.ts';
import { HOST_NAME_BYTES } from '../format/leader.ts';
import { type DeltaHold, type DeltaPlace, readOwn } from './delta-acquire.ts';
import { leaseError } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes, REFUSED_LANDS_MS } from './lease-times.ts';
import type { Steps } from './steps.ts';

/** The membership that an earlier process of this host left on the disk. */
export interface Unfinished {
  readonly generation: bigint;
  /** Of a renewal that is known to have landed; the last one may be later. */
  readonly timestampS: number;
}

/**
 * Finds that membership still standing, so that it can be renewed on with its own generation: to
 * other hosts nothing has happened. Nothing is written. The caller has seen the process that wrote
 * the record end, and with it every write it had sent.
 *
 *   T+0 its last renewal ... resumed here at any time before T+8·t ... T+8·t too late
 *
 * @returns RENEW_OWNER where the record is another host's or of a later membership, RENEW_DIFF
 *   where that membership cannot have written it, HOSTID_BUSY when its time is over; LEADER_*,
 *   AIO_TIMEOUT.
 * @see docs/decisions/0015
 */
export function* deltaResume(
  place: DeltaPlace,
  geometry: Geometry,
  left: Unfinished,
): Steps<Result<DeltaHold, LeaseError>> {
  const { ioTimeoutMs, renewalFailMs } = leaseTimes(place.ioTimeoutS);
  const read = yield* readOwn(place, geometry, ioTimeoutMs);
  if (!read.ok) return read;
  const { nowMs, leader } = read.value;
  const facts = {
    owner: leader.ownerId,
    generation: leader.ownerGeneration,
    hostName: leader.hostName,
    timestampS: leader.timestampS,
  };
  const isThatMembership =
    leader.ownerId === BigInt(place.hostId) &&
    leader.ownerGeneration === left.generation &&
    place.hostName !== '' &&
    leader.hostName === place.hostName.slice(0, HOST_NAME_BYTES);
  if (!isThatMembership) return fail(leaseError('RENEW_OWNER', 'resume', facts));
  const writtenMs = Number(leader.timestampS) * SECOND_MS;
  // 0: free. After now: by a clock that is not ours. Before the last one known: only a
  // renewal that was refused, and landed late over a newer one.
  const earliestS = Math.max(1, left.timestampS - REFUSED_LANDS_MS / SECOND_MS);
  const isItsOwn =
    leader.timestampS >= BigInt(Math.ceil(earliestS)) &&
    writtenMs <= nowMs &&
    leader.ioTimeoutS === (place.ioTimeoutS & 0xff);
  if (!isItsOwn) return fail(leaseError('RENEW_DIFF', 'resume', facts));
  if (nowMs - writtenMs >= renewalFailMs) return fail(leaseError('HOSTID_BUSY', 'resume', facts));
  return ok({ leader, geometry });
}
