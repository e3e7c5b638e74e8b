import { holderNoteOf, type NoteFacts } from '../format/holder-note.ts';
import type { PaxosLeader } from '../format/leader.ts';
import { type Holder, type Holding, holdersIn } from './holders.ts';
import type { Area, HostBlock } from './paxos-area.ts';

/** A holder, and what the disk says of it beside its name. */
export interface NotedHolder extends Holder {
  /** null: another program wrote the block, or nothing is known of the process. */
  readonly note: NoteFacts | null;
  /**
   * By the clock of its renewals, when it got the lease in this mode: seconds; null: its block
   * does not say so.
   */
  readonly sinceS: bigint | null;
}

/** What an area shows of its holders, with the notes. */
export interface NotedHolding extends Holding {
  readonly holders: readonly NotedHolder[];
}

/**
 * As `holdersIn`, with the notes beside the blocks.
 * @param sectorOf the whole host sector of a holder; null: it was not read
 */
export function notedHoldersIn(
  area: Pick<Area, 'leader' | 'blocks'>,
  sectorOf: (hostId: number) => Uint8Array | null,
): NotedHolding {
  const { leader, blocks } = area;
  const holding = holdersIn(area);
  const holders = holding.holders.map((holder) => {
    const block = blocks.find(({ hostId }) => hostId === holder.hostId);
    const of = { leader, block };
    const sector = sectorOf(holder.hostId);
    const note = sector === null ? null : noteBeside(holder, of, sector);
    return { ...holder, note, sinceS: sinceOf(holder, of) };
  });
  return { ...holding, holders };
}

interface Records {
  readonly leader: PaxosLeader;
  readonly block: HostBlock | undefined;
}

/** Of the hold that there is: one of an earlier hold of that host is none. */
function noteBeside(
  holder: Holder,
  { leader, block }: Records,
  sector: Uint8Array,
): NoteFacts | null {
  const { hostId, generation } = holder;
  if (block === undefined || block.damage !== null) return null;
  const { lver } = block.dblock;
  if (isOwner(holder, leader) && lver < leader.lver) return null;
  return holderNoteOf({ hostId: BigInt(hostId), generation, lver }, sector);
}

/**
 * The time that its ballot proposed: of a shared hold it stays in the block, of an exclusive one it
 * is in the leader too. Such a hold may have begun before, in the other mode.
 */
function sinceOf(holder: Holder, { leader, block }: Records): bigint | null {
  if (isOwner(holder, leader) && leader.timestampS !== 0n) return leader.timestampS;
  if (block === undefined || block.damage !== null) return null;
  const { inpHostId, inpGeneration, inpTimestampS } = block.dblock;
  const isOwn = inpHostId === BigInt(holder.hostId) && inpGeneration === holder.generation;
  return isOwn && inpTimestampS !== 0n ? inpTimestampS : null;
}

/** Whether the leader records it; if not, the next ballot would. */
function isOwner({ hostId, generation, mode }: Holder, leader: PaxosLeader): boolean {
  const isNamed = leader.ownerId === BigInt(hostId) && leader.ownerGeneration === generation;
  return mode === 'exclusive' && isNamed;
}
