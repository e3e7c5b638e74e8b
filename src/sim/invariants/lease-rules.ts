import { isZero } from '../../base/bytes.ts';
import { decode } from '../../codec/struct.ts';
import {
  DBLOCK_FLAGS,
  type Dblock,
  dblock,
  MODE_FLAGS,
  type ModeBlock,
  modeBlock,
} from '../../format/dblock.ts';
import { MODE_BLOCK_OFFSET } from '../../format/geometry.ts';
import {
  LEADER_BYTES,
  leaderChecksum,
  PAXOS_DISK_MAGIC,
  type PaxosLeader,
  paxosLeader,
} from '../../format/leader.ts';
import { blockOffset, LOCKSPACE, leaderOffset, MAX_HOSTS, resourceName } from '../kernel/layout.ts';
import type { Claim, Claims, Incarnation } from './claims.ts';
import type { HostLeaseRules } from './host-lease-rules.ts';
import type { NoteRules } from './note-rules.ts';
import { Violation } from './violation.ts';

interface Owner {
  readonly id: bigint;
  readonly generation: bigint;
  readonly timestampS: bigint;
}

/** What was ever committed for one resource. */
interface History {
  readonly committed: Map<bigint, Owner>;
  /** Versions whose owner released them on disk. */
  readonly released: Set<bigint>;
  /** Versions that were recorded by another host than their owner. */
  readonly byOthers: Set<bigint>;
  newest: bigint;
  /**
   * A leader write landed late, over a newer one: its host was dead, or another host had a part in
   * that version. Until a ballot has repaired it, only host blocks exclude others (spec 10 §18.8).
   */
  isStale: boolean;
}

/** What may be written into a resource's leader and host blocks. (spec 10 §16) */
export class LeaseRules {
  readonly #claims: Claims;
  readonly #hosts: HostLeaseRules;
  readonly #notes: NoteRules;
  readonly #histories = new Map<number, History>();
  staleLeaders = 0;

  constructor(claims: Claims, hosts: HostLeaseRules, notes: NoteRules) {
    this.#claims = claims;
    this.#hosts = hosts;
    this.#notes = notes;
  }

  hasStaleLeader(resource: number): boolean {
    return this.#history(resource).isStale;
  }

  writeLeader(
    resource: number,
    incarnation: Incarnation,
    sector: Uint8Array,
    device: Uint8Array,
  ): void {
    const before = decode(paxosLeader, device, leaderOffset(resource));
    const after = decode(paxosLeader, sector);
    const history = this.#history(resource);
    const who = `R${resource}: ${incarnation.label}`;
    checkLeaderBytes(sector, after, resource);
    if (
      after.writeId !== BigInt(incarnation.hostId) ||
      after.writeGeneration !== incarnation.generation
    ) {
      throw new Violation(4, `${who} wrote a leader in another's name: ${after.writeId}`);
    }
    this.#checkVersion(history, { before, after, incarnation, who });
    if (after.timestampS === 0n) this.#checkFree(resource, { before, after, incarnation, who });
    else this.#checkCommit(resource, { after, device, who });
  }

  #checkVersion(
    history: History,
    at: { before: PaxosLeader; after: PaxosLeader; incarnation: Incarnation; who: string },
  ): void {
    const { before, after, incarnation, who } = at;
    const step = after.lver - before.lver;
    if (after.ownerId !== BigInt(incarnation.hostId)) history.byOthers.add(after.lver);
    const isLate =
      incarnation.isOver || incarnation.isExpired() || history.byOthers.has(after.lver);
    if (step < 0n && isLate) {
      if (!history.isStale) this.staleLeaders++;
      history.isStale = true; // allowed: exclusion must hold nevertheless
      return;
    }
    const isRepair = history.isStale && history.committed.has(after.lver - 1n);
    if (isRepair && after.lver >= history.newest) history.isStale = false;
    if (step < 0n || (step > 1n && !isRepair)) {
      throw new Violation(2, `${who} wrote lver ${after.lver} over ${before.lver}`);
    }
  }

  /** Only the owner frees a lease, and only when no user on its host works by it any more. */
  #checkFree(
    resource: number,
    at: { before: PaxosLeader; after: PaxosLeader; incarnation: Incarnation; who: string },
  ): void {
    const { after, incarnation, who } = at;
    if (after.ownerId !== BigInt(incarnation.hostId)) {
      throw new Violation(4, `${who} freed the lease of host ${after.ownerId}`);
    }
    const claim = this.#claims.find(incarnation, resource);
    if (claim !== null && claim.mode === 'exclusive' && !claim.isChanging) {
      throw new Violation(6, `${who} freed lver ${after.lver} while a user works by it`);
    }
    this.#history(resource).released.add(after.lver);
  }

  #checkCommit(
    resource: number,
    at: { after: PaxosLeader; device: Uint8Array; who: string },
  ): void {
    const { after, device, who } = at;
    const history = this.#history(resource);
    const owner: Owner = {
      id: after.ownerId,
      generation: after.ownerGeneration,
      timestampS: after.timestampS,
    };
    const known = history.committed.get(after.lver);
    if (known !== undefined) {
      if (!sameOwner(known, owner)) {
        const what = `${text(owner)} for lver ${after.lver}, committed was ${text(known)}`;
        throw new Violation(2, `${who} wrote ${what}`);
      }
      return;
    }
    history.committed.set(after.lver, owner);
    if (after.lver > history.newest) history.newest = after.lver;
    const block = blockIn(device, blockOffset(resource, Number(after.ownerId)));
    // Another host recorded it only after its owner had released it.
    if (block.dblock.lver === after.lver && isReleased(block)) history.released.add(after.lver);
    const earlier = history.committed.get(after.lver - 1n);
    if (earlier === undefined || history.released.has(after.lver - 1n)) return;
    // A host may go over its own lease, of this or an earlier incarnation.
    if (earlier.id === owner.id) return;
    if (this.#hosts.mayLoseLeases(Number(earlier.id), earlier.generation, device)) return;
    const what = `lver ${after.lver} for ${text(owner)} over the living ${text(earlier)}`;
    throw new Violation(7, `${who} committed ${what}`);
  }

  writeBlock(
    resource: number,
    hostId: number,
    incarnation: Incarnation,
    bytes: { readonly sector: Uint8Array; readonly device: Uint8Array },
  ): void {
    const { sector, device } = bytes;
    const before = blockIn(device, blockOffset(resource, hostId));
    const after = blockIn(sector, 0);
    const who = `R${resource}: ${incarnation.label}`;
    if (incarnation.hostId !== hostId) {
      const isClearing = isZero(sector);
      if (!isClearing) throw new Violation(4, `${who} wrote the block of host ${hostId}`);
      const isGone = this.#hosts.mayLoseLeases(hostId, before.mode.generation, device);
      if (isShared(before) && !isGone) {
        throw new Violation(4, `${who} cleared the block of host ${hostId}, which lives`);
      }
      return;
    }
    this.#notes.checkSector(sector, incarnation, who);
    this.#checkBallot({ before: before.dblock, after: after.dblock, incarnation, who });
    const history = this.#history(resource);
    const earlier = history.committed.get(after.dblock.lver - 1n);
    // An owner that begins the next version releases its own: checkHolders sees users that had it.
    if (earlier?.id === BigInt(hostId)) history.released.add(after.dblock.lver - 1n);
    if (isReleased(after)) this.#noteReleased(history, incarnation, after.dblock);
  }

  #checkBallot(at: { before: Dblock; after: Dblock; incarnation: Incarnation; who: string }): void {
    const { before, after, incarnation, who } = at;
    const broken = (what: string) => new Violation(3, `${who}: ${what}`);
    if (after.mbal % BigInt(MAX_HOSTS) !== BigInt(incarnation.hostId)) {
      throw broken(`ballot ${after.mbal} is not a number of host ${incarnation.hostId}`);
    }
    if (after.bal > after.mbal) throw broken(`bal ${after.bal} above mbal ${after.mbal}`);
    if (after.inpHostId !== 0n && after.bal === 0n) throw broken('values without a ballot');
    if (after.lver < before.lver) {
      throw broken(`own block from lver ${before.lver} back to ${after.lver}`);
    }
    if (after.lver !== before.lver) return;
    if (after.mbal < before.mbal) throw broken(`mbal from ${before.mbal} back to ${after.mbal}`);
    const keepsValues =
      before.inpHostId === 0n ||
      (after.inpHostId === before.inpHostId &&
        after.inpGeneration === before.inpGeneration &&
        after.inpTimestampS === before.inpTimestampS);
    // In phase 1 the values are those of an earlier ballot, to be replaced by newer ones found.
    const isProposed = before.bal === before.mbal;
    if (after.mbal === before.mbal && isProposed && !keepsValues) {
      throw broken(`ballot ${after.mbal} changed or dropped the values it proposed`);
    }
  }

  #noteReleased(history: History, incarnation: Incarnation, block: Dblock): void {
    const owner = history.committed.get(block.lver);
    // Not recorded yet: a host that records it for its owner will find it released.
    const id = owner?.id ?? block.inpHostId;
    if (id === BigInt(incarnation.hostId)) history.released.add(block.lver);
  }

  writeValue(resource: number, incarnation: Incarnation): void {
    const other = this.#claims.of(resource).find((claim) => claim.incarnation !== incarnation);
    if (other === undefined || incarnation.isOver) return;
    throw new Violation(
      1,
      `R${resource}: ${incarnation.label} wrote the value of ${other.incarnation.label}`,
    );
  }

  /** A release that was answered "done" is one that other hosts can see. */
  checkReleased(claim: Claim, device: Uint8Array): void {
    const { resource, incarnation, hold } = claim;
    const leader = decode(paxosLeader, device, leaderOffset(resource));
    const block = blockIn(device, blockOffset(resource, incarnation.hostId));
    const isRecorded = leader.lver === hold.lver && this.#leaderNames(claim, leader);
    const isSeen = !isRecorded || (leader.writeId !== leader.ownerId && isReleased(block));
    // After an exclusive hold, the mark of a failed step down in the block may be cleared later.
    const isShown = hold.shared && showsShared(claim, block);
    if ((isSeen || this.hasStaleLeader(resource)) && !isShown) return;
    throw new Violation(
      6,
      `R${resource}: ${incarnation.label} released it, and the disk does not say so`,
    );
  }

  /** Items 5 and 6: at every moment the disk shows each holder and its mode. */
  checkHolders(resource: number, device: Uint8Array): void {
    const claims = this.#claims.of(resource);
    if (claims.length === 0) return;
    const leader = decode(paxosLeader, device, leaderOffset(resource));
    for (const claim of claims) {
      this.#notes.check(claim, device);
      const block = blockIn(device, blockOffset(resource, claim.incarnation.hostId));
      const shows = { leader: this.#leaderNames(claim, leader), shared: showsShared(claim, block) };
      const what = `R${resource}: ${claim.incarnation.label} holds it ${claim.mode}`;
      if (claim.isChanging) {
        if (!shows.leader && !shows.shared) throw new Violation(5, `${what}, unseen on disk`);
      } else if (claim.mode === 'shared') {
        // A step up that failed: the leader excludes others until it is rolled back.
        const isKept = shows.leader && !isReleased(block);
        if (!shows.shared && !isKept) throw new Violation(5, `${what}, without a mode block`);
      } else {
        if (!shows.leader) throw new Violation(6, `${what}, but the leader does not name it`);
        // A step down that ended unanswered with the membership: its users are being killed.
        const isDying = claim.incarnation.isOver || claim.incarnation.isExpired();
        if (isReleased(block) && !isDying)
          throw new Violation(6, `${what}, but its block says released`);
      }
    }
  }

  #leaderNames(claim: Claim, leader: PaxosLeader): boolean {
    if (this.#history(claim.resource).isStale) return true;
    return (
      leader.ownerId === BigInt(claim.incarnation.hostId) &&
      leader.ownerGeneration === claim.incarnation.generation &&
      leader.timestampS !== 0n
    );
  }

  #history(resource: number): History {
    const known = this.#histories.get(resource);
    if (known !== undefined) return known;
    const history: History = {
      committed: new Map(),
      released: new Set(),
      byOthers: new Set(),
      newest: 0n,
      isStale: false,
    };
    this.#histories.set(resource, history);
    return history;
  }
}

interface Block {
  readonly dblock: Dblock;
  readonly mode: ModeBlock;
}

function blockIn(bytes: Uint8Array, offset: number): Block {
  return {
    dblock: decode(dblock, bytes, offset),
    mode: decode(modeBlock, bytes, offset + MODE_BLOCK_OFFSET),
  };
}

function isReleased({ dblock }: Block): boolean {
  return (dblock.flags & DBLOCK_FLAGS.RELEASED) !== 0;
}

function isShared({ mode }: Block): boolean {
  return (mode.flags & MODE_FLAGS.SHARED) !== 0;
}

function showsShared(claim: Claim, block: Block): boolean {
  return isShared(block) && block.mode.generation === claim.incarnation.generation;
}

function sameOwner(a: Owner, b: Owner): boolean {
  return a.id === b.id && a.generation === b.generation && a.timestampS === b.timestampS;
}

function text(owner: Owner): string {
  return `host ${owner.id} generation ${owner.generation} timestamp ${owner.timestampS}`;
}

/** Item 10 */
function checkLeaderBytes(sector: Uint8Array, leader: PaxosLeader, resource: number): void {
  const isGood =
    leader.magic === PAXOS_DISK_MAGIC &&
    leader.spaceName === LOCKSPACE &&
    leader.resourceName === resourceName(resource) &&
    leader.checksum === leaderChecksum(sector) &&
    isZero(sector.subarray(LEADER_BYTES));
  if (!isGood) throw new Violation(10, `the leader of R${resource} was written damaged`);
}
