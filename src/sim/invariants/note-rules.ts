import { isZero } from '../../base/bytes.ts';
import { decode } from '../../codec/struct.ts';
import {
  DBLOCK_FLAGS,
  dblock,
  dblockChecksum,
  MODE_FLAGS,
  modeBlock,
} from '../../format/dblock.ts';
import { MODE_BLOCK_OFFSET } from '../../format/geometry.ts';
import { HOLDER_NOTE_OFFSET, holderNoteOf, type NoteFacts } from '../../format/holder-note.ts';
import { blockOffset } from '../kernel/layout.ts';
import type { Claim, Incarnation } from './claims.ts';
import { Violation } from './violation.ts';

/**
 * What a host block may hold beside its two records, and that the note of a holder is of the hold
 * that there is (spec 10 §4.7).
 */
export class NoteRules {
  /** By user: the note that its hold began with. */
  readonly #ofClaims = new WeakMap<Claim, NoteFacts>();
  /** By resource and incarnation: the notes of holds that are over or go on. */
  readonly #former = new Map<string, NoteFacts>();

  /** A block as its host writes it: damaged in nothing, and a note in it is about its own hold. */
  checkSector(sector: Uint8Array, incarnation: Incarnation, who: string): void {
    const { hostId, generation } = incarnation;
    const block = decode(dblock, sector);
    const mode = decode(modeBlock, sector, MODE_BLOCK_OFFSET);
    const isGood =
      block.checksum === dblockChecksum(sector) &&
      isZero(sector.subarray(dblock.size, MODE_BLOCK_OFFSET)) &&
      isZero(sector.subarray(MODE_BLOCK_OFFSET + modeBlock.size, HOLDER_NOTE_OFFSET));
    if (!isGood) throw new Violation(10, `${who} wrote a damaged block`);
    if (isZero(sector.subarray(HOLDER_NOTE_OFFSET))) return;
    const hold = { hostId: BigInt(hostId), generation: generation ?? 0n, lver: block.lver };
    if (holderNoteOf(hold, sector) === null) {
      throw new Violation(17, `${who} wrote a note that is about no hold of it`);
    }
    const isShared = (mode.flags & MODE_FLAGS.SHARED) !== 0;
    const isReleased = (block.flags & DBLOCK_FLAGS.RELEASED) !== 0;
    const isProposed = block.inpHostId === hold.hostId && block.inpGeneration === generation;
    if (isShared || (isProposed && !isReleased)) return;
    throw new Violation(17, `${who} wrote a note beside a block that holds nothing`);
  }

  /** A user was granted a lease: the disk names this user, and not one of an earlier hold. */
  granted(claim: Claim, device: Uint8Array): void {
    const note = shownNote(claim, device);
    const before = this.#ofClaims.get(claim);
    if (before !== undefined) {
      this.#converted(claim, before, note);
      return;
    }
    const key = `${claim.resource} ${claim.incarnation.label}`;
    const what = `R${claim.resource}: the hold of ${claim.incarnation.label}`;
    if (note === null) throw new Violation(17, `${what} has no note`);
    if (this.#former.get(key)?.pid === note.pid) {
      throw new Violation(17, `${what} has the note of an earlier one, pid ${note.pid}`);
    }
    this.#former.set(key, note);
    this.#ofClaims.set(claim, note);
  }

  /**
   * The hold goes on, in the other mode: its host has it since before. It may have been taken by
   * another process of that host, beside which this user came to share it (spec 10 §4.7).
   */
  #converted(claim: Claim, before: NoteFacts, note: NoteFacts | null): void {
    if (note !== null && note.sinceUnixS === before.sinceUnixS) this.#ofClaims.set(claim, note);
    else this.#differs(claim, before, note);
  }

  /** At every moment of a hold: whatever was written since, and whoever recovered it. */
  check(claim: Claim, device: Uint8Array): void {
    const expected = this.#ofClaims.get(claim);
    if (expected === undefined || claim.isChanging) return;
    const note = shownNote(claim, device);
    const isSame = note?.pid === expected.pid && note.sinceUnixS === expected.sinceUnixS;
    if (!isSame) this.#differs(claim, expected, note);
  }

  #differs(claim: Claim, expected: NoteFacts, note: NoteFacts | null): never {
    const found = note === null ? 'none' : `that of pid ${note.pid}, since ${note.sinceUnixS}`;
    const what = `R${claim.resource}: ${claim.incarnation.label} of pid ${expected.pid}`;
    throw new Violation(17, `${what} has another note: ${found}`);
  }
}

function shownNote({ incarnation, resource }: Claim, device: Uint8Array): NoteFacts | null {
  const { hostId, generation } = incarnation;
  const at = blockOffset(resource, hostId);
  const { lver } = decode(dblock, device, at);
  return holderNoteOf({ hostId: BigInt(hostId), generation: generation ?? 0n, lver }, device, at);
}
