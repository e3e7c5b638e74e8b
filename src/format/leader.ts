import { assert } from '../base/assert.ts';
import { MIB } from '../base/units.ts';
import { crc32c } from '../codec/crc32c.ts';
import {
  bytestring,
  type Damage,
  damageOf,
  encodeInto,
  type RecordOf,
  rangeOf,
  struct,
  u16,
  u32,
  u64,
} from '../codec/struct.ts';
import { GEOMETRY_4K_8M, GEOMETRY_512_1M, type Geometry, geometryOf } from './geometry.ts';
import { MAX_GENERATION, MAX_HOST_ID, MAX_LVER, MAX_TIMESTAMP_S } from './limits.ts';

/** First word of a host lease (spec 10 §1). */
export const DELTA_DISK_MAGIC = 0x12212010;
/** First word of a resource's leader record (spec 10 §1). */
export const PAXOS_DISK_MAGIC = 0x06152010;
/** A resource area whose lease was cleared or deleted. */
export const PAXOS_DISK_CLEAR = 0x11282016;
/** Version of the host leases that we write; another major one (high half) is refused. */
export const DELTA_DISK_VERSION = 0x00030004;
/** Version of the leader records that we write; another major one (high half) is refused. */
export const PAXOS_DISK_VERSION = 0x00060004;

/** Length of both kinds of leader record in bytes; a writer zeroes the rest of the sector. */
export const LEADER_BYTES = 200;
/** Length of a name on disk in bytes; a full field has no terminator. */
export const NAME_BYTES = 48;
/** Longest host name that can ever match on disk: the 48th byte is a NUL (spec 10 §5.2). */
export const HOST_NAME_BYTES = 47;

/** Flags of a leader record: its area size, and SHORT_HOLD (spec 10 §9.1). */
export const LEADER_FLAGS = {
  SHORT_HOLD: 0x1, // the committed owner means to hold only while it writes its mode block
  ALIGN_1M: 0x10,
  ALIGN_2M: 0x20,
  ALIGN_4M: 0x40,
  ALIGN_8M: 0x80,
} as const;

/** A host id where one may stand, or a number of hosts; 0 = none. */
const HOST_IDS = { most: BigInt(MAX_HOST_ID) } as const;

/**
 * One membership of a host in a lockspace: its host lease (spec 10 §4.1). C: struct leader_record
 */
export const deltaLeader = struct('deltaLeader', LEADER_BYTES, {
  magic: u32(0),
  version: u32(4),
  flags: u32(8),
  sectorSize: u32(12),
  numHosts: u64(16, HOST_IDS), // 0
  maxHosts: u64(24, HOST_IDS), // 1
  ownerId: u64(32, HOST_IDS), // host id; 0 = never used
  ownerGeneration: u64(40, { most: MAX_GENERATION }), // counts the acquisitions of this host id
  lver: u64(48, { most: MAX_LVER }), // 0
  spaceName: bytestring(56, NAME_BYTES),
  hostName: bytestring(104, NAME_BYTES),
  timestampS: u64(152, { most: MAX_TIMESTAMP_S }), // at the last renewal; 0 = free
  unused1: u64(160),
  checksum: u32(168),
  unused2: u16(172),
  ioTimeoutS: u16(174), // owner's io timeout, low 8 bits used; not protected
  eventGeneration: u64(176), // host event: target generation
  eventNumber: u64(184), // host event: number; 0 = none
  eventData: u64(192),
});
/** A host lease as read or to be written; `u64` fields are bigint. */
export type DeltaLeader = RecordOf<typeof deltaLeader>;

/** The committed owner of a resource (spec 10 §4.1). C: struct leader_record */
export const paxosLeader = struct('paxosLeader', LEADER_BYTES, {
  magic: u32(0),
  version: u32(4),
  flags: u32(8),
  sectorSize: u32(12),
  numHosts: u64(16, { least: 1n, ...HOST_IDS }), // host blocks taking part
  maxHosts: u64(24, { least: 1n, ...HOST_IDS }), // step between ballot numbers of one host
  ownerId: u64(32, HOST_IDS),
  ownerGeneration: u64(40, { most: MAX_GENERATION }),
  lver: u64(48, { most: MAX_LVER }), // lease version: one more at each committed ballot
  spaceName: bytestring(56, NAME_BYTES),
  resourceName: bytestring(104, NAME_BYTES),
  timestampS: u64(152, { most: MAX_TIMESTAMP_S }), // inp3 of the committed block; 0 = free
  unused1: u64(160),
  checksum: u32(168),
  unused2: u16(172),
  ioTimeoutS: u16(174), // 0
  writeId: u64(176, HOST_IDS), // host id of the writer of this record; not protected
  writeGeneration: u64(184, { most: MAX_GENERATION }),
  writeTimestampS: u64(192, { most: MAX_TIMESTAMP_S }),
});
/** A leader record of a resource as read or to be written; `u64` fields are bigint. */
export type PaxosLeader = RecordOf<typeof paxosLeader>;

/** The fields behind the checksum are not protected. The two tables lie over the same offsets. */
const PROTECTED = rangeOf(deltaLeader, 'magic', 'checksum');
assert(
  rangeOf(paxosLeader, 'magic', 'checksum').end === PROTECTED.end,
  'both kinds of leader have their checksum at the same place',
);

/**
 * What of a host lease with a sound checksum cannot be. Only `hostId` has its record there: by one
 * that names another host, all would think `hostId` gone and take what it holds.
 * @param hostId null: the place is not known
 */
export function damageOfDelta(leader: DeltaLeader, hostId: number | null): Damage | null {
  const { ownerId, timestampS } = leader;
  const damage = damageOf(deltaLeader, leader);
  if (damage !== null) return damage;
  const isIts = hostId === null || ownerId === BigInt(hostId);
  if (isIts || (ownerId === 0n && timestampS === 0n)) return null;
  return { field: 'ownerId', found: ownerId, wanted: `${hostId}` };
}

/**
 * What of a resource's leader with a sound checksum cannot be. `maxHosts` is the step between ballot
 * numbers: hosts that go by another one than their area's could meet in a number.
 */
export function damageOfPaxos(leader: PaxosLeader): Damage | null {
  const { numHosts, maxHosts, ownerId, timestampS } = leader;
  const damage = damageOf(paxosLeader, leader);
  if (damage !== null) return damage;
  const most = BigInt(leaderGeometry(leader)?.maxHosts ?? MAX_HOST_ID);
  if (maxHosts !== most) return { field: 'maxHosts', found: maxHosts, wanted: `${most}` };
  if (numHosts > most) return { field: 'numHosts', found: numHosts, wanted: `1..${most}` };
  const least = timestampS === 0n ? 0n : 1n; // a lease that is held has an owner
  if (ownerId >= least && ownerId <= most) return null;
  return { field: 'ownerId', found: ownerId, wanted: `${least}..${most}` };
}

/** The checksum that a leader sector should carry, over the fields before it. */
export function leaderChecksum(bytes: Uint8Array, offset = 0): number {
  return crc32c(bytes, offset + PROTECTED.start, offset + PROTECTED.end);
}

/**
 * Encodes into the first 200 bytes at `offset`, with a fresh checksum in place of the record's.
 * The rest of the sector is the caller's, and must be there before: the bitmap is part of it.
 */
export function encodeDeltaLeader(record: DeltaLeader, bytes: Uint8Array, offset = 0): void {
  encodeInto(deltaLeader, record, bytes, offset);
  sealLeader(bytes, offset);
}

/** Encodes into the first 200 bytes at `offset`, with a fresh checksum in place of the record's. */
export function encodePaxosLeader(record: PaxosLeader, bytes: Uint8Array, offset = 0): void {
  encodeInto(paxosLeader, record, bytes, offset);
  sealLeader(bytes, offset);
}

function sealLeader(bytes: Uint8Array, offset: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  deltaLeader.fields.checksum.set(view, offset, leaderChecksum(bytes, offset));
}

const ALIGN_FLAGS: ReadonlyMap<number, number> = new Map([
  [MIB, LEADER_FLAGS.ALIGN_1M],
  [2 * MIB, LEADER_FLAGS.ALIGN_2M],
  [4 * MIB, LEADER_FLAGS.ALIGN_4M],
  [8 * MIB, LEADER_FLAGS.ALIGN_8M],
]);

/** The flag of a leader that says the size of its area; 0 for a size that no area has. */
export function alignFlag(geometry: Geometry): number {
  return ALIGN_FLAGS.get(geometry.areaBytes) ?? 0;
}

/** The geometry a leader record declares; older formats carry no align bit. null = illegal pair. */
export function leaderGeometry(leader: {
  readonly flags: number;
  readonly sectorSize: number;
}): Geometry | null {
  for (const [areaBytes, flag] of ALIGN_FLAGS) {
    if (leader.flags & flag) return geometryOf(leader.sectorSize, areaBytes);
  }
  if (leader.sectorSize === 512) return GEOMETRY_512_1M;
  return leader.sectorSize === 4096 ? GEOMETRY_4K_8M : null;
}
