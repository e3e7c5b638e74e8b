import { toSafeNumber } from '../base/units.ts';
import { DBLOCK_FLAGS, type Dblock } from '../format/dblock.ts';
import type { DeltaLeader, PaxosLeader } from '../format/leader.ts';
import { type Area, type HostBlock, isEmpty } from './paxos-area.ts';

// Who owns an area, by its bytes. Acquires decide by these functions, and commands that show a
// lease do too: they find the owner that an acquire would find.

/** How a host has a lease: alone, or beside others. */
export type HoldMode = 'exclusive' | 'shared';

/** A host that an area shows as having the lease, in one of its memberships. */
export interface Holder {
  readonly hostId: number;
  readonly generation: bigint;
  readonly mode: HoldMode;
}

/** What an area shows of its holders. */
export interface Holding {
  readonly holders: readonly Holder[];
  /**
   * Host blocks that keep every host from the lease, until they are repaired (spec 10 §17.1, 7).
   */
  readonly damaged: readonly HostBlock[];
  /** Leader and blocks are not of one version: the next acquire records the blocks' (§18.8). */
  readonly isLeaderBehind: boolean;
}

type Bytes = Pick<Area, 'leader' | 'blocks'>;

/** What the area shows, whether or not those hosts live: `standingOf` and time decide that. */
export function holdersIn(area: Bytes): Holding {
  const owner = ownerIn(area);
  const sharers = sharersIn(area.blocks)
    .filter(({ hostId }) => hostId !== owner?.hostId)
    .map(({ hostId, sharedGeneration: generation }) => ({
      hostId,
      generation,
      mode: 'shared' as const,
    }));
  return {
    holders: owner === null ? sharers : [owner, ...sharers],
    damaged: area.blocks.filter(({ damage }) => damage !== null),
    isLeaderBehind: isLeaderBehind(area),
  };
}

/** The recorded owner; where that one is gone, the host whose win an acquire would record first. */
function ownerIn(area: Bytes): Holder | null {
  const { leader, blocks } = area;
  const block = (hostId: number) => blocks.find((one) => one.hostId === hostId);
  if (leader.timestampS !== 0n && !isLeaderBehind(area)) {
    const hostId = toSafeNumber(leader.ownerId, 'ownerId');
    if (!hasGone(leader, block(hostId))) {
      return { hostId, generation: leader.ownerGeneration, mode: 'exclusive' };
    }
  }
  const version = nextVersion(area);
  const values = adoptable(blocks, version);
  if (values === null) return null;
  const hostId = toSafeNumber(values.inpHostId, 'inpHostId');
  const recorded = { lver: version, ownerId: values.inpHostId, writeId: 0n }; // by another host
  if (hasGone(recorded, block(hostId))) return null;
  return { hostId, generation: values.inpGeneration, mode: 'exclusive' };
}

/** Blocks that say their host shares the resource; generation 0 is no membership. */
export function sharersIn(blocks: readonly HostBlock[]): HostBlock[] {
  return blocks.filter(({ shared, sharedGeneration }) => shared && sharedGeneration !== 0n);
}

/**
 * Whether the recorded owner says in its own block that it has released the lease. That counts
 * where another host wrote the leader for it; one that wrote the leader itself frees it (spec 10
 * §8.3 d, §9.3).
 */
export function hasGone(
  leader: Pick<PaxosLeader, 'lver' | 'ownerId' | 'writeId'>,
  ownerBlock: HostBlock | undefined,
): boolean {
  if (leader.writeId === leader.ownerId) return false;
  if (ownerBlock === undefined || ownerBlock.damage !== null) return false;
  const { dblock } = ownerBlock;
  if (dblock.lver > leader.lver) return true; // it has gone on itself (§18.8)
  const isReleased = (dblock.flags & DBLOCK_FLAGS.RELEASED) !== 0;
  // The flag of an older version says nothing about this one: a write that timed out long ago may
  // have landed now. C's daemon retracts with an otherwise empty block, which counts too.
  return isReleased && (dblock.lver === leader.lver || isEmpty(dblock));
}

/** What became of a membership: `replaced` = that host id has been taken anew since. */
export type Standing = 'member' | 'left' | 'replaced';

/** By the host's record as it is now; only a `member` can still use a lease. */
export function standingOf(host: DeltaLeader, of: Omit<Holder, 'mode'>): Standing {
  if (host.timestampS === 0n) return 'left';
  const isOther = host.ownerId !== BigInt(of.hostId) || host.ownerGeneration > of.generation;
  return isOther ? 'replaced' : 'member';
}

/**
 * The version a ballot is about: the next one; or, where a leader written late for another host
 * lies behind the blocks, the one they are at. A block of version v proves that v - 1 was over: its
 * writer had found so. Without this no host could ever pass those blocks (spec 10 §18.8).
 */
export function nextVersion({ leader, blocks }: Bytes): bigint {
  return blocks.reduce(
    (version, { dblock: { lver }, damage }) => (damage === null && lver > version ? lver : version),
    leader.lver + 1n,
  );
}

/** The leader lies behind the blocks: no owner of its version can still hold it. */
export function isLeaderBehind(area: Bytes): boolean {
  return nextVersion(area) > area.leader.lver + 1n;
}

/** The values of a version that a ballot must go on with; null = none were proposed. */
export function adoptable(blocks: readonly HostBlock[], version: bigint): Dblock | null {
  let best: Dblock | null = null;
  for (const { dblock, damage } of blocks) {
    if (damage !== null || dblock.lver !== version || !proposes(dblock)) continue;
    if (best === null || dblock.bal > best.bal) best = dblock;
  }
  return best;
}

/** Only damage looks like values without a ballot or a time; an owner has both. */
export function proposes(block: Dblock): boolean {
  return block.inpHostId !== 0n && block.bal !== 0n && block.inpTimestampS !== 0n;
}
