import { assert } from '../base/assert.ts';
import { encodeInto } from '../codec/struct.ts';
import {
  DBLOCK_FLAGS,
  type Dblock,
  damageOfBlock,
  encodeDblock,
  MODE_FLAGS,
  modeBlock,
} from '../format/dblock.ts';
import { type Geometry, hostBlockSector, MODE_BLOCK_OFFSET } from '../format/geometry.ts';
import { encodeHolderNote, type NoteFacts } from '../format/holder-note.ts';
import { leaseTimes } from './lease-times.ts';
import type { Member, Place } from './member.ts';
import type { Reply, Steps } from './steps.ts';

/** Writes our whole host sector: ballot block and mode block always together (spec 10 §4.3). */
export function* writeHostBlock(
  member: Member,
  place: Place,
  geometry: Geometry,
  block: BlockToWrite,
): Steps<Reply> {
  const { offset, bytes } = hostBlock(member, place, geometry, block);
  const timeoutMs = leaseTimes(member.ioTimeoutS).ioTimeoutMs;
  return yield { op: 'write', disk: 'resource', offset, bytes, timeoutMs };
}

/** What our host sector is to hold. */
export interface BlockToWrite {
  readonly dblock: Dblock;
  /** null: without a mode block. */
  readonly sharedGeneration: bigint | null;
  /** Who has the hold that this block shows, or will have it; absent: without a note. */
  readonly note?: NoteFacts | null;
}

/** Our host sector as it is to be written, and where; to be sent together with another sector. */
export function hostBlock(
  member: Member,
  place: Place,
  geometry: Geometry,
  block: BlockToWrite,
): { readonly offset: number; readonly bytes: Uint8Array } {
  const { dblock, sharedGeneration, note = null } = block;
  const { hostId, generation } = member;
  assert(hostId >= 1 && hostId <= geometry.maxHosts, 'our block lies among the host blocks');
  assert(isBallotOf(hostId, dblock.mbal, geometry), 'our block has a ballot number of ours');
  assert(
    sharedGeneration === null || sharedGeneration === generation,
    'a shared hold is one of our membership as it is',
  );
  assert(damageOfBlock(dblock, geometry) === null, 'what we write, others can read');
  assert(dblock.inpHostId === 0n || dblock.bal !== 0n, 'values carry the ballot that adopted them');
  assert(note === null || mayHold(member, block), 'a note is about a hold of this membership');
  const bytes = new Uint8Array(geometry.sectorSize);
  encodeDblock(dblock, bytes);
  if (sharedGeneration !== null) {
    const mode = { flags: MODE_FLAGS.SHARED, generation: sharedGeneration };
    encodeInto(modeBlock, mode, bytes, MODE_BLOCK_OFFSET);
  }
  if (note !== null) {
    const hold = { hostId: BigInt(hostId), generation, lver: dblock.lver };
    encodeHolderNote(note, hold, bytes);
  }
  const offset = place.offset + hostBlockSector(hostId) * geometry.sectorSize;
  return { offset, bytes };
}

/** Whether a block shows a hold of ours, or proposes one: no other block carries a note. */
function mayHold({ hostId, generation }: Member, { dblock, sharedGeneration }: BlockToWrite) {
  if (sharedGeneration !== null) return true;
  const { inpHostId, inpGeneration, flags } = dblock;
  const isOurs = inpHostId === BigInt(hostId) && inpGeneration === generation;
  return isOurs && (flags & DBLOCK_FLAGS.RELEASED) === 0;
}

/**
 * The block with RELEASED: its host holds nothing of that version any more, and its values remain
 * for ballots that still need them (spec 10 §8.4).
 */
export function released(block: Dblock): Dblock {
  return { ...block, flags: block.flags | DBLOCK_FLAGS.RELEASED };
}

/** Whether a ballot number is one of that host. */
export function isBallotOf(hostId: number, mbal: bigint, { maxHosts }: Geometry): boolean {
  return mbal > 0n && mbal % BigInt(maxHosts) === BigInt(hostId % maxHosts);
}
