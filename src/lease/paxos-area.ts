import { assert } from '../base/assert.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { toSafeNumber } from '../base/units.ts';
import { type Damage, damageOf, decode } from '../codec/struct.ts';
import {
  type Dblock,
  damageOfBlock,
  dblock,
  dblockChecksum,
  MODE_FLAGS,
  modeBlock,
} from '../format/dblock.ts';
import { type Geometry, hostBlockSector, MODE_BLOCK_OFFSET } from '../format/geometry.ts';
import { holderNoteOf, type NoteFacts } from '../format/holder-note.ts';
import { leaderGeometry, type PaxosLeader, paxosLeader } from '../format/leader.ts';
import { MAX_HOST_ID } from '../format/limits.ts';
import { readSpan } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import type { Member, Place } from './member.ts';
import type { Steps } from './steps.ts';
import { damaged, verifyPaxos } from './verify.ts';

/** One host block that is not empty. */
export interface HostBlock {
  readonly hostId: number;
  readonly dblock: Dblock;
  /** A wrong checksum, or numbers that cannot be; null = the block is sound. */
  readonly damage: Damage | null;
  readonly shared: boolean;
  /** 0 where it is not shared. */
  readonly sharedGeneration: bigint;
}

/** A resource area as read at one moment: leader, and every host block that is not empty. */
export interface Area {
  readonly nowMs: number;
  readonly leader: PaxosLeader;
  readonly geometry: Geometry;
  readonly blocks: readonly HostBlock[];
  /** Beside the block of the host that read, if this membership wrote it; it decides nothing. */
  readonly ownNote: NoteFacts | null;
}

/**
 * What the sizes of an area are thought to be before it is read; a wrong guess costs one more read.
 */
export interface AreaGuess {
  readonly geometry: Geometry;
  readonly numHosts: number;
  /**
   * Only up to the last host ever seen in the lockspace: the reads inside the ballot take in every
   * block, and one that was overlooked here can only send us back (decision 0012).
   */
  readonly known?: boolean;
}

/**
 * The first read of a ballot: leader and host blocks, in one read.
 * @returns LEADER_* as verified, DBLOCK_CHECKSUM when any block is damaged (spec 10 §8.2),
 *   AIO_TIMEOUT, ERRNO.
 */
export function* readArea(
  member: Member,
  place: Place,
  guess: AreaGuess,
): Steps<Result<Area, LeaseError>> {
  const read = yield* readAreaAsIs(member, place, guess);
  if (!read.ok) return read;
  const sound = allSound(read.value.blocks, 'paxos area read');
  return sound.ok ? read : sound;
}

/**
 * As `readArea`, with blocks that are damaged.
 * @returns LEADER_* as verified, AIO_TIMEOUT, ERRNO
 */
export function* readAreaAsIs(
  member: Member,
  place: Place,
  guess: AreaGuess,
): Steps<Result<Area, LeaseError>> {
  const known = guess.known === true ? (member.knownHosts?.() ?? 0) : 0;
  const limit = known === 0 ? Number.POSITIVE_INFINITY : Math.max(known, member.hostId);
  const length = bytesFor(guess.geometry, Math.min(guess.numHosts, limit));
  const read = yield* readSpan(
    {
      disk: 'resource',
      offset: place.offset,
      length,
      timeoutMs: leaseTimes(member.ioTimeoutS).ioTimeoutMs,
    },
    'paxos area read',
  );
  if (!read.ok) return read;
  const { nowMs, value: bytes } = read.value;
  const leader = verifyPaxos(bytes, 0, {
    lockspaceName: member.lockspaceName,
    resourceName: place.resourceName,
    hostId: member.hostId,
  });
  if (!leader.ok) return leader;
  const geometry = leaderGeometry(leader.value);
  assert(geometry !== null, 'a sound leader has sizes');
  const part = takingPart(member, geometry, toSafeNumber(leader.value.numHosts, 'numHosts'));
  const wanted = Math.min(part, limit);
  if (geometry.sectorSize !== guess.geometry.sectorSize || bytesFor(geometry, wanted) > length) {
    return yield* readAreaAsIs(member, place, { ...guess, geometry, numHosts: part });
  }
  const blocks = scanBlocks(bytes, geometry, wanted);
  const ownNote = ownNoteIn(bytes, geometry, { member, blocks });
  return ok({ nowMs, leader: leader.value, geometry, blocks, ownNote });
}

function ownNoteIn(
  bytes: Uint8Array,
  { sectorSize }: Geometry,
  of: { readonly member: Member; readonly blocks: readonly HostBlock[] },
): NoteFacts | null {
  const { hostId, generation } = of.member;
  const own = of.blocks.find((block) => block.hostId === hostId);
  if (own === undefined) return null;
  const hold = { hostId: BigInt(hostId), generation, lver: own.dblock.lver };
  return holderNoteOf(hold, bytes, hostBlockSector(hostId) * sectorSize);
}

/** @returns DBLOCK_CHECKSUM for the first damaged block (spec 10 §4.6) */
export function allSound(blocks: readonly HostBlock[], during: string): Result<null, LeaseError> {
  for (const { damage, hostId } of blocks) {
    if (damage === null) continue;
    const error = damaged('DBLOCK_CHECKSUM', during, damage);
    return fail({ ...error, facts: { host: hostId, ...error.facts } });
  }
  return ok(null);
}

/**
 * The read inside of a ballot: host blocks, and the leader as it stands by then, unverified.
 * @returns AIO_TIMEOUT or ERRNO; damage is left to the caller.
 */
export function* readBlocks(
  member: Member,
  place: Place,
  area: Area,
): Steps<Result<Pick<Area, 'nowMs' | 'blocks' | 'leader'>, LeaseError>> {
  const recorded = toSafeNumber(area.leader.numHosts, 'numHosts');
  const numHosts = takingPart(member, area.geometry, recorded);
  const length = bytesFor(area.geometry, numHosts);
  const timeoutMs = leaseTimes(member.ioTimeoutS).ioTimeoutMs;
  const span = { disk: 'resource', offset: place.offset, length, timeoutMs } as const;
  const read = yield* readSpan(span, 'host block read');
  if (!read.ok) return read;
  return ok({
    nowMs: read.value.nowMs,
    leader: decode(paxosLeader, read.value.value),
    blocks: scanBlocks(read.value.value, area.geometry, numHosts),
  });
}

/**
 * A leader written late, by a host that had read it before blocks were added, says fewer than take
 * part: blocks of hosts that the lockspace ever had are read all the same (spec 10 §18.9).
 */
function takingPart(member: Member, geometry: Geometry, recorded: number): number {
  return Math.min(geometry.maxHosts, Math.max(recorded, member.knownHosts?.() ?? 0));
}

/** Leader, request and `numHosts` host blocks, in whole 4096-byte pages. */
function bytesFor(geometry: Geometry, numHosts: number): number {
  const bytes = (numHosts + 2) * geometry.sectorSize;
  return Math.min(geometry.areaBytes, Math.ceil(bytes / 4096) * 4096);
}

/**
 * The host blocks 1..numHosts of an area that are not empty, by their words first, as almost every
 * one is. mbal, bal, inp, lver, checksum and flags all 0 is an empty block; RELEASED alone is how
 * the original takes values back.
 */
export function scanBlocks(bytes: Uint8Array, geometry: Geometry, numHosts: number): HostBlock[] {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  const wordsPerSector = geometry.sectorSize >>> 2;
  // Local constants: of those of a module a bundle makes variables, which 2000 blocks read anew.
  const { mbal, bal, inp, lver, checksum, flags, mode } = WORDS;
  const blocks: HostBlock[] = [];
  let at = hostBlockSector(1) * wordsPerSector;
  for (let hostId = 1; hostId <= numHosts; hostId++, at += wordsPerSector) {
    const used =
      (words[at + mbal] ?? 0) |
      (words[at + mbal + 1] ?? 0) |
      (words[at + bal] ?? 0) |
      (words[at + bal + 1] ?? 0) |
      (words[at + inp] ?? 0) |
      (words[at + inp + 1] ?? 0) |
      (words[at + lver] ?? 0) |
      (words[at + lver + 1] ?? 0) |
      (words[at + checksum] ?? 0) |
      (words[at + flags] ?? 0);
    const hasMode = (words[at + mode] ?? 0) !== 0;
    if (used === 0 && !hasMode) continue;
    blocks.push(decodeBlock(bytes, geometry, { hostId, offset: at * 4, hasMode }));
  }
  return blocks;
}

/** Where fields begin in a host sector, in words; u64 fields are two words each. */
const WORDS = {
  mbal: dblock.fields.mbal.offset >>> 2,
  bal: dblock.fields.bal.offset >>> 2,
  inp: dblock.fields.inpHostId.offset >>> 2,
  lver: dblock.fields.lver.offset >>> 2,
  checksum: dblock.fields.checksum.offset >>> 2,
  flags: dblock.fields.flags.offset >>> 2,
  mode: MODE_BLOCK_OFFSET >>> 2,
} as const;

/** One host's block from its sector alone. Without a geometry, any host id may stand in it. */
export function blockAt(
  sector: Uint8Array,
  hostId: number,
  geometry: Pick<Geometry, 'maxHosts'> = { maxHosts: MAX_HOST_ID },
): HostBlock {
  return decodeBlock(sector, geometry, { hostId, offset: 0, hasMode: true });
}

/** All that a checksum would protect is zero: valid without one (spec 10 §2). */
export function isEmpty({ mbal, bal, inpHostId, lver, checksum }: Dblock): boolean {
  return mbal === 0n && bal === 0n && inpHostId === 0n && lver === 0n && checksum === 0;
}

function decodeBlock(
  bytes: Uint8Array,
  geometry: Pick<Geometry, 'maxHosts'>,
  at: { hostId: number; offset: number; hasMode: boolean },
): HostBlock {
  const { hostId } = at;
  const block = decode(dblock, bytes, at.offset);
  const damage = damageIn(block, dblockChecksum(bytes, at.offset), geometry);
  const none = { hostId, dblock: block, damage, shared: false, sharedGeneration: 0n };
  if (!at.hasMode) return none;
  const mode = decode(modeBlock, bytes, at.offset + MODE_BLOCK_OFFSET);
  if (mode.flags === 0) return none; // what follows is a pad then, and may hold anything
  return {
    hostId,
    dblock: block,
    damage: damage ?? damageOf(modeBlock, mode),
    shared: (mode.flags & MODE_FLAGS.SHARED) !== 0,
    sharedGeneration: mode.generation,
  };
}

function damageIn(
  block: Dblock,
  checksum: number,
  geometry: Pick<Geometry, 'maxHosts'>,
): Damage | null {
  // Its other fields count for nothing, but an empty RELEASED block gives a win up.
  if (isEmpty(block)) return damageOf(dblock, { ...block, inpGeneration: 0n, inpTimestampS: 0n });
  if (block.checksum === checksum) return damageOfBlock(block, geometry);
  return { field: 'checksum', found: block.checksum, wanted: `${checksum}` };
}
