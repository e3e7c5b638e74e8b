import { isZero } from '../../base/bytes.ts';
import { decode } from '../../codec/struct.ts';
import {
  BITMAP_BYTES,
  BITMAP_OFFSET,
  deltaLeaseOffset,
  GEOMETRY_512_1M,
} from '../../format/geometry.ts';
import {
  DELTA_DISK_MAGIC,
  DELTA_DISK_VERSION,
  type DeltaLeader,
  deltaLeader,
  LEADER_BYTES,
  leaderChecksum,
} from '../../format/leader.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import type { SimClock } from '../kernel/clock.ts';
import { LOCKSPACE, SECTOR_BYTES } from '../kernel/layout.ts';
import type { Incarnation } from './claims.ts';
import { Violation } from './violation.ts';

/** Clocks of hosts may run this much faster than the world's. */
const CLOCK_TOLERANCE = 0.999;

/** What may be written into a host's delta lease, and which incarnations may lose their leases. */
export class HostLeaseRules {
  readonly #clock: SimClock;
  /** World time at which a host's record last changed. */
  readonly #movedMs = new Map<number, number>();
  readonly #ended = new Set<string>();
  readonly #joined = new Map<number, Incarnation>();

  constructor(clock: SimClock) {
    this.#clock = clock;
  }

  /** Released, replaced by a later incarnation, or silent for long enough: others may take its leases. */
  mayLoseLeases(hostId: number, generation: bigint, device: Uint8Array): boolean {
    this.#noteSilence(hostId, recordOf(device, hostId));
    return this.#ended.has(`${hostId}.${generation}`);
  }

  /** An incarnation has joined: no other may still use its host id. (item 7) */
  joined(incarnation: Incarnation, isLive: (other: Incarnation) => boolean): void {
    const other = this.#joined.get(incarnation.hostId);
    if (other !== undefined && other !== incarnation && isLive(other)) {
      throw new Violation(
        7,
        `${incarnation.label} got host id ${incarnation.hostId}, which ${other.label} uses`,
      );
    }
    this.#joined.set(incarnation.hostId, incarnation);
  }

  /** A membership goes on in another lease process: the record on the disk is its own. (item 8) */
  resumed(incarnation: Incarnation, generation: bigint, device: Uint8Array | undefined): void {
    const record = device === undefined ? null : recordOf(device, incarnation.hostId);
    const isOwn = generation === incarnation.generation && record?.ownerGeneration === generation;
    if (isOwn && record.timestampS !== 0n) return;
    const found = `generation ${record?.ownerGeneration}, timestamp ${record?.timestampS}`;
    throw new Violation(8, `${incarnation.label} is resumed as ${generation} over ${found}`);
  }

  write(hostId: number, incarnation: Incarnation, sector: Uint8Array, device: Uint8Array): void {
    const before = recordOf(device, hostId);
    const after = decode(deltaLeader, sector);
    if (incarnation.hostId !== hostId) {
      throw new Violation(4, `${incarnation.label} wrote the host lease of ${hostId}`);
    }
    checkBytes(sector, after, `host lease ${hostId}`);
    this.#noteSilence(hostId, before);
    const step = after.ownerGeneration - before.ownerGeneration;
    const { generation } = incarnation;
    // Once it has joined, whichever of its lease processes writes.
    const isItsOwn = generation === null || after.ownerGeneration === generation;
    if (step < 0n || step > 1n || !isItsOwn) {
      const what = `generation ${after.ownerGeneration} over ${before.ownerGeneration}`;
      throw new Violation(8, `host lease ${hostId}: ${incarnation.label} wrote ${what}`);
    }
    if (step === 1n || after.timestampS === 0n) {
      this.#ended.add(`${hostId}.${before.ownerGeneration}`);
    }
    // A late write that repeats the record is no sign of life: no host can see it.
    if (step === 0n && after.timestampS === before.timestampS) return;
    this.#movedMs.set(hostId, this.#clock.nowMs());
  }

  #noteSilence(hostId: number, record: DeltaLeader): void {
    const silentMs = this.#clock.nowMs() - (this.#movedMs.get(hostId) ?? 0);
    const { hostDeadMs } = leaseTimes(record.ioTimeoutS);
    if (silentMs >= hostDeadMs * CLOCK_TOLERANCE) {
      this.#ended.add(`${hostId}.${record.ownerGeneration}`);
    }
  }
}

function recordOf(device: Uint8Array, hostId: number): DeltaLeader {
  return decode(deltaLeader, device, deltaLeaseOffset(GEOMETRY_512_1M, hostId));
}

/** Item 10: a record that is written can be read, and unused bytes are zero. */
function checkBytes(sector: Uint8Array, record: DeltaLeader, what: string): void {
  const isGood =
    record.magic === DELTA_DISK_MAGIC &&
    record.version === DELTA_DISK_VERSION &&
    record.spaceName === LOCKSPACE &&
    record.checksum === leaderChecksum(sector) &&
    sector.length === SECTOR_BYTES &&
    isZero(sector.subarray(LEADER_BYTES, BITMAP_OFFSET)) &&
    isZero(sector.subarray(BITMAP_OFFSET + BITMAP_BYTES));
  if (!isGood) throw new Violation(10, `${what} was written damaged`);
}
