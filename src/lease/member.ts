import type { ByteString } from '../base/bytes.ts';
import type { Random } from '../base/units.ts';
import type { Geometry } from '../format/geometry.ts';
import type { PaxosLeader } from '../format/leader.ts';
import type { Steps } from './steps.ts';

/** What this host last saw of another one in the lockspace (spec 10 §7). Times: our own clock. */
export interface HostView {
  readonly ownerId: number;
  readonly generation: bigint;
  readonly timestampS: bigint;
  readonly ioTimeoutS: number;
  readonly hostName: ByteString;
  readonly firstCheckMs: number;
  readonly lastCheckMs: number;
  /** When its timestamp last changed; 0 = never seen changing. */
  readonly lastLiveMs: number;
}

/** The host that runs a procedure, as a member of a lockspace. */
export interface Member {
  readonly hostId: number;
  readonly generation: bigint;
  readonly ioTimeoutS: number;
  /** Where the lockspace's delta leases are, on the disk named 'lockspace'. */
  readonly lockspaceOffset: number;
  readonly lockspaceGeometry: Geometry;
  readonly lockspaceName: ByteString;
  /** null before the lockspace was first read. Synchronous: the latest renewal's view. */
  readonly hostView: (hostId: number) => HostView | null;
  /** The largest host id ever seen in use in the lockspace; 0 or absent: not known. */
  readonly knownHosts?: () => number;
  readonly random: Random;
  /** How often a shared request meets a rival's short hold before it gives up. */
  readonly sharedRetries: number;
  /** true once waiting must end: removal, shutdown, or the client gave up. */
  readonly cancelled: () => boolean;
  /** true once no lease write may start any more: expired, overwritten, left. Absent: never. */
  readonly ended?: () => boolean;
  /**
   * Takes what must still be done on the resource after the answer, because a write went
   * unanswered; until it ends nothing else may touch the resource. Absent: it is not done.
   */
  readonly finishLater?: (rest: () => Steps<void>) => void;
}

/** Whether a leader records our hold, of this membership: no other one is ours to free. */
export function namesUs(
  { hostId, generation }: Pick<Member, 'hostId' | 'generation'>,
  leader: PaxosLeader,
): boolean {
  const { ownerId, ownerGeneration, timestampS } = leader;
  return ownerId === BigInt(hostId) && ownerGeneration === generation && timestampS !== 0n;
}

/** A resource area on the disk named 'resource'. */
export interface Place {
  readonly path: ByteString;
  readonly offset: number;
  readonly resourceName: ByteString;
}
