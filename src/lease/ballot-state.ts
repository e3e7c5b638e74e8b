import type { Dblock } from '../format/dblock.ts';
import type { NoteFacts } from '../format/holder-note.ts';
import type { PaxosLeader } from '../format/leader.ts';
import { isLeaderBehind, nextVersion } from './holders.ts';
import type { LeaseError } from './lease-error.ts';
import type { NoteWish } from './note.ts';
import type { Area, HostBlock } from './paxos-area.ts';

/**
 * What a ballot is held for. `newNumHosts`: how many host blocks take part from then on,
 * 1..maxHosts; null = as before.
 */
export interface BallotWish {
  readonly shared: boolean;
  /** Converting: every block written keeps our shared hold in the same sector (spec 10 §9.4). */
  readonly keepShared: boolean;
  readonly newNumHosts: number | null;
  /** Who will have it; null: that is not written down. */
  readonly noteWish: NoteWish | null;
  /** Of the shared hold that is kept: it stays in our block. */
  readonly keptNote: NoteFacts | null;
}

/** How the ballots about one version ended. */
export type BallotEnd =
  | {
      readonly kind: 'won';
      readonly leader: PaxosLeader;
      readonly dblock: Dblock;
      readonly sharers: readonly HostBlock[];
    }
  /** The leader moved on before anything of ours could count: read everything again. */
  | { readonly kind: 'restart' }
  /** Another host's values were committed. */
  | { readonly kind: 'lost'; readonly error: LeaseError; readonly leader: PaxosLeader };

/**
 * What the ballots of one acquire have put, or tried to put, on disk. Once values were proposed,
 * another host may commit them at any later time, so a failure has to take them back (§8.4).
 */
export interface Trail {
  /** Our host block as last sent; null = none yet. */
  block: Dblock | null;
  /** Values of the version being decided have been sent. */
  proposed: boolean;
  /** The version our block had values of before this acquire; 0 = it had none. */
  former: bigint;
  /** A leader naming us that was sent, and is no hold: without an answer, or a record made anew. */
  leader: PaxosLeader | null;
}

/** The trail of an acquire that has sent nothing yet. */
export function emptyTrail(): Trail {
  return { block: null, proposed: false, former: 0n, leader: null };
}

/**
 * Whether the version of this ballot may have been granted already. Other hosts may have found
 * since that it was over, and go on to the next one: it is recorded, and not granted to any host,
 * not even to the one whose version it is (spec 10 §18.8).
 */
export function mayBeDecided(area: Area, trail: Trail): boolean {
  return isLeaderBehind(area) || trail.former === nextVersion(area);
}
