import { assert } from '../base/assert.ts';
import { sameBytes } from '../base/bytes.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { wholeSeconds } from '../base/units.ts';
import { encode } from '../codec/struct.ts';
import { deltaLeaseOffset } from '../format/geometry.ts';
import { setHostBit } from '../format/host-bitmap.ts';
import {
  type DeltaLeader,
  damageOfDelta,
  deltaLeader,
  encodeDeltaLeader,
  LEADER_BYTES,
} from '../format/leader.ts';
import { type DeltaHold, type DeltaPlace, OUR_NAME } from './delta-acquire.ts';
import { ioError, leaseError, readSpan } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import type { Steps } from './steps.ts';
import { verifyDelta } from './verify.ts';

/** What a renewal needs to know: the record as last written, and what it carries to other hosts. */
export interface Renewal {
  readonly hold: DeltaHold;
  /** false while a renewal whose write failed or went unanswered may land, or may have landed. */
  readonly lastWriteLanded: boolean;
  readonly readTimeoutMs: number;
  readonly hostBits: readonly number[];
  readonly event: {
    readonly generation: bigint;
    readonly number: bigint;
    readonly data: bigint;
  } | null;
  /** Shown the area before the write; it may look, not keep. */
  readonly observe: (area: Uint8Array, nowMs: number) => void;
}

/** A renewal that is known to have landed. */
export interface Renewed {
  readonly hold: DeltaHold;
  /** As written: taken before the write, so a slow write can only shorten our claim. */
  readonly timestampS: number;
}

/** A renewal that did not succeed. */
export interface RenewalFailure {
  readonly error: LeaseError;
  /**
   * Where it ended. `read`: our record on disk is still the one we wrote. `check`: another host
   * wrote our record, and the lease is gone at once. `write`: the new record may have landed, or
   * may land later.
   */
  readonly step: 'read' | 'check' | 'write';
}

/**
 * One renewal: reads the whole lockspace area, checks that our record is still ours, writes it with
 * a new timestamp. It is due every 2·t; its write has until 8·t + 60 s, as others wait for it so
 * long.
 * @returns the record written, or where the renewal ended: RENEW_OWNER, RENEW_DIFF or LEADER_* at
 *   the check, AIO_TIMEOUT or ERRNO at the read or the write.
 * @see spec 10 §5.3. C: delta_lease_renew
 */
export function* deltaRenew(
  place: DeltaPlace,
  renewal: Renewal,
): Steps<Result<Renewed, RenewalFailure>> {
  const { geometry } = renewal.hold;
  const times = leaseTimes(place.ioTimeoutS);
  const span = {
    disk: 'lockspace',
    offset: place.offset,
    length: geometry.areaBytes,
    timeoutMs: renewal.readTimeoutMs,
  } as const;
  const read = yield* readSpan(span, 'renewal read');
  if (!read.ok) return fail({ step: 'read', error: read.error });
  const { nowMs, value: area } = read.value;
  renewal.observe(area, nowMs); // also when what follows fails: other hosts were seen

  const at = deltaLeaseOffset(geometry, place.hostId);
  const own = verifyDelta(area, at, place);
  if (!own.ok) return fail({ step: 'check', error: own.error });
  const still = stillOurs(renewal, own.value, area.subarray(at, at + LEADER_BYTES));
  if (!still.ok) return fail({ step: 'check', error: still.error });

  const timestampS = wholeSeconds(nowMs);
  const leader: DeltaLeader = {
    ...own.value,
    timestampS: BigInt(timestampS),
    ioTimeoutS: place.ioTimeoutS & 0xff,
    eventGeneration: renewal.event?.generation ?? 0n,
    eventNumber: renewal.event?.number ?? 0n,
    eventData: renewal.event?.data ?? 0n,
  };
  assert(leader.ownerId === BigInt(place.hostId), 'a host renews its own record');
  assert(leader.timestampS >= renewal.hold.leader.timestampS, 'our clock does not go back');
  assert(leader.timestampS !== 0n, 'a record that is renewed is not free');
  assert(damageOfDelta(leader, place.hostId) === null, 'what we write, others can read');
  const sector = new Uint8Array(geometry.sectorSize);
  for (const hostId of renewal.hostBits) setHostBit(sector, 0, hostId);
  encodeDeltaLeader(leader, sector); // last: its checksum is of what goes out
  const offset = place.offset + at;
  const wrote = yield {
    op: 'write',
    disk: 'lockspace',
    offset,
    bytes: sector,
    timeoutMs: times.renewalWriteMs,
    // An earlier renewal over this one shows us alive at another time: others only wait longer.
    overRefused: true,
  };
  if (wrote.outcome !== 'done') {
    return fail({ step: 'write', error: ioError(wrote, 'renewal write') });
  }
  return ok({ hold: { leader, geometry }, timestampS });
}

function stillOurs(
  renewal: Renewal,
  found: DeltaLeader,
  record: Uint8Array,
): Result<null, LeaseError> {
  const known = renewal.hold.leader;
  const sameOwner =
    found.ownerId === known.ownerId &&
    found.ownerGeneration === known.ownerGeneration &&
    found.hostName === known.hostName;
  const facts = {
    owner: found.ownerId,
    generation: found.ownerGeneration,
    hostName: found.hostName,
  };
  if (!sameOwner) {
    const isOurName = found.hostName === known.hostName && found.ownerId === known.ownerId;
    const why = isOurName ? { ...facts, reason: OUR_NAME } : facts;
    return fail(leaseError('RENEW_OWNER', 'renewal', why));
  }
  if (renewal.lastWriteLanded) {
    const expected = encode(deltaLeader, known);
    encodeDeltaLeader(known, expected);
    if (!sameBytes(expected, record)) return fail(leaseError('RENEW_DIFF', 'renewal', facts));
  }
  return ok(null);
}
