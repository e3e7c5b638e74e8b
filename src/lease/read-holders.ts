import type { ByteString } from '../base/bytes.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { decode } from '../codec/struct.ts';
import { type Geometry, hostBlockSector } from '../format/geometry.ts';
import {
  DELTA_DISK_MAGIC,
  PAXOS_DISK_CLEAR,
  PAXOS_DISK_MAGIC,
  paxosLeader,
} from '../format/leader.ts';
import { readHostArea } from './host-area.ts';
import { readSpan } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { type NotedHolding, notedHoldersIn } from './noted-holders.ts';
import { scanBlocks } from './paxos-area.ts';
import { PROBE_BYTES, resourceIn } from './read.ts';
import type { Steps } from './steps.ts';

/** A lease as an acquire reads its area. */
export interface LeaseState extends NotedHolding {
  readonly lockspaceName: ByteString;
  readonly resourceName: ByteString;
  readonly geometry: Geometry;
  readonly lver: bigint;
}

/** What stands at the lease's place instead of a lease. */
export type NoLease =
  | { readonly kind: 'nothing' | 'cleared' | 'lockspace' }
  /** Every acquire is refused with this. */
  | { readonly kind: 'damaged'; readonly error: LeaseError }
  /** The device did not answer the read. */
  | { readonly kind: 'unread'; readonly error: LeaseError };

/** Where the lease and its lockspace lie: byte offsets, and the time for each read. */
export interface HoldersWish {
  readonly offset: number;
  readonly spaceOffset: number;
  readonly timeoutMs: number;
}

/**
 * Which hosts hold a lease, and what keeps all hosts from it, by the two areas alone: neither has
 * to be of a lockspace that is joined here. Reads only.
 * @returns the lease as an acquire reads it, or what stands in its place.
 * @see spec 10 §6, §13
 */
export function* readHolders(wish: HoldersWish): Steps<Result<LeaseState, NoLease>> {
  const { spaceOffset, offset, timeoutMs } = wish;
  const hosts = yield* readHostArea({ offset: spaceOffset, timeoutMs });
  if (!hosts.ok) return unread(hosts.error);
  return yield* readHoldersAmong({
    offset,
    timeoutMs,
    knownHosts: hosts.value?.knownHosts ?? 0,
  });
}

/**
 * The same, of a lockspace that was read before.
 * @param wish.knownHosts the largest host id that was ever used in it: the block of such a host
 *   counts whatever the lease says
 */
export function* readHoldersAmong(wish: {
  readonly offset: number;
  readonly timeoutMs: number;
  readonly knownHosts: number;
}): Steps<Result<LeaseState, NoLease>> {
  const { offset, timeoutMs, knownHosts } = wish;
  const place = { disk: 'resource', offset, timeoutMs } as const;
  const probe = yield* readSpan({ ...place, length: PROBE_BYTES }, 'holders read');
  if (!probe.ok) return unread(probe.error);
  const found = leaseIn(probe.value.value);
  if (!found.ok) return found;
  const { areaBytes } = found.value.geometry;
  const area = yield* readSpan({ ...place, length: areaBytes }, 'holders read');
  if (!area.ok) return unread(area.error);
  return holdingIn(area.value.value, knownHosts);
}

/** The device did not answer. */
export function unread(error: LeaseError): Result<never, NoLease> {
  return fail({ kind: 'unread', error });
}

/** The leader of the area, if there is a lease; its names are as found. */
export function leaseIn(bytes: Uint8Array) {
  const { magic } = decode(paxosLeader, bytes);
  if (magic === PAXOS_DISK_CLEAR) return fail<NoLease>({ kind: 'cleared' });
  if (magic === DELTA_DISK_MAGIC) return fail<NoLease>({ kind: 'lockspace' });
  if (magic !== PAXOS_DISK_MAGIC) return fail<NoLease>({ kind: 'nothing' });
  const found = resourceIn(bytes, { lockspaceName: '', resourceName: '' });
  return found.ok ? found : fail<NoLease>({ kind: 'damaged', error: found.error });
}

/** @param knownHosts the largest host id in use in the lockspace: its block counts in any case */
function holdingIn(area: Uint8Array, knownHosts: number): Result<LeaseState, NoLease> {
  const found = leaseIn(area);
  if (!found.ok) return found;
  const { leader, geometry } = found.value;
  const count = Math.min(geometry.maxHosts, Math.max(Number(leader.numHosts), knownHosts));
  const blocks = scanBlocks(area, geometry, count);
  const { lver, spaceName: lockspaceName, resourceName } = leader;
  const sectorOf = (hostId: number) => area.subarray(hostBlockSector(hostId) * geometry.sectorSize);
  const holding = notedHoldersIn({ leader, blocks }, sectorOf);
  return ok({ lockspaceName, resourceName, geometry, lver, ...holding });
}
