import { fail, ok, type Result } from '../base/result.ts';
import { toSafeNumber } from '../base/units.ts';
import { type Geometry, hostBlockSector } from '../format/geometry.ts';
import type { PaxosLeader } from '../format/leader.ts';
import { readSpan } from './io.ts';
import { notedHoldersIn } from './noted-holders.ts';
import { type HostBlock, scanBlocks } from './paxos-area.ts';
import { type LeaseState, leaseIn, type NoLease, unread } from './read-holders.ts';
import type { Steps } from './steps.ts';

/** Where a lease of a lockspace that is known here lies. */
export interface BriefWish {
  /** Bytes from the start of the device. */
  readonly offset: number;
  /** 512 or 4096, as the lockspace has it. */
  readonly sectorSize: number;
  /** The largest host id that was ever used in the lockspace: no block behind it was written. */
  readonly knownHosts: number;
  readonly timeoutMs: number;
}

/** Leader and host blocks are read at once up to so many bytes. */
const SMALL_BYTES = 64 * 1024;

/**
 * Which hosts hold a lease, for lists of many: reads the leader and the blocks of hosts that were
 * ever in the lockspace, and no whole area. In a lockspace of many hosts only the owner's block
 * is read of a lease that has an owner: sharers that it finds while it takes the lease shared are
 * left out. Reads only.
 * @see spec 10 §6
 */
export function* readBriefHolders(wish: BriefWish): Steps<Result<LeaseState, NoLease>> {
  const { offset, sectorSize, knownHosts, timeoutMs } = wish;
  const place = { disk: 'resource', timeoutMs } as const;
  const wholeBytes = hostBlockSector(knownHosts + 1) * sectorSize;
  const isSmall = wholeBytes <= SMALL_BYTES;
  const firstBytes = isSmall ? wholeBytes : sectorSize;
  const first = yield* readSpan({ ...place, offset, length: firstBytes }, DURING);
  if (!first.ok) return unread(first.error);
  const bytes = first.value.value.slice(); // another read may follow
  const found = leaseIn(bytes);
  if (!found.ok) return found;
  const { leader, geometry } = found.value;
  if (geometry.sectorSize !== sectorSize) return fail({ kind: 'nothing' });
  if (isSmall) return holdingIn(bytes, { leader, geometry, knownHosts });
  const owner = toSafeNumber(leader.ownerId, 'ownerId');
  if (leader.timestampS !== 0n && owner >= 1 && owner <= geometry.maxHosts) {
    const at = offset + hostBlockSector(owner) * sectorSize;
    const block = yield* readSpan({ ...place, offset: at, length: sectorSize }, DURING);
    if (!block.ok) return unread(block.error);
    return holdingOfOwner(block.value.value, { leader, geometry, owner });
  }
  // The lease may have room for fewer hosts than its lockspace, and another lease behind it.
  const hosts = Math.min(knownHosts, geometry.maxHosts);
  const length = hostBlockSector(hosts + 1) * sectorSize;
  const whole = yield* readSpan({ ...place, offset, length }, DURING);
  if (!whole.ok) return unread(whole.error);
  const again = leaseIn(whole.value.value);
  if (!again.ok) return again;
  const { leader: now } = again.value;
  return holdingIn(whole.value.value, { leader: now, geometry, knownHosts: hosts });
}

const DURING = 'holders read in brief';

interface Found {
  readonly leader: PaxosLeader;
  readonly geometry: Geometry;
}

function holdingIn(
  bytes: Uint8Array,
  of: Found & { readonly knownHosts: number },
): Result<LeaseState, NoLease> {
  const { geometry, knownHosts } = of;
  const sectorOf = (hostId: number) => {
    const at = hostBlockSector(hostId) * geometry.sectorSize;
    return at + geometry.sectorSize <= bytes.length ? bytes.subarray(at) : null;
  };
  return holding(of, scanBlocks(bytes, geometry, knownHosts), sectorOf);
}

/** By the sector of the owner alone, as if it were the first host's. */
function holdingOfOwner(
  sector: Uint8Array,
  of: Found & { readonly owner: number },
): Result<LeaseState, NoLease> {
  const { geometry, owner } = of;
  const bytes = new Uint8Array(hostBlockSector(2) * geometry.sectorSize);
  bytes.set(sector, hostBlockSector(1) * geometry.sectorSize);
  const blocks = scanBlocks(bytes, geometry, 1).map((block) => ({ ...block, hostId: owner }));
  return holding(of, blocks, (hostId) => (hostId === owner ? sector : null));
}

function holding(
  { leader, geometry }: Found,
  blocks: readonly HostBlock[],
  sectorOf: (hostId: number) => Uint8Array | null,
): Result<LeaseState, NoLease> {
  const { lver, spaceName: lockspaceName, resourceName } = leader;
  const found = notedHoldersIn({ leader, blocks }, sectorOf);
  return ok({ lockspaceName, resourceName, geometry, lver, ...found });
}
