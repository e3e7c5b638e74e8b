import { fail, ok, type Result } from '../base/result.ts';
import { toSafeNumber } from '../base/units.ts';
import { type Geometry, hostBlockSector } from '../format/geometry.ts';
import type { PaxosLeader } from '../format/leader.ts';
import { holdersIn } from './holders.ts';
import { readSpan } from './io.ts';
import { scanBlocks } from './paxos-area.ts';
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
  if (isSmall) return holding(leader, geometry, scanBlocks(bytes, geometry, knownHosts));
  const owner = toSafeNumber(leader.ownerId, 'ownerId');
  if (leader.timestampS !== 0n && owner >= 1 && owner <= geometry.maxHosts) {
    const at = offset + hostBlockSector(owner) * sectorSize;
    const block = yield* readSpan({ ...place, offset: at, length: sectorSize }, DURING);
    if (!block.ok) return unread(block.error);
    return holding(leader, geometry, blockOf(block.value.value, geometry, owner));
  }
  const whole = yield* readSpan({ ...place, offset, length: wholeBytes }, DURING);
  if (!whole.ok) return unread(whole.error);
  const again = leaseIn(whole.value.value);
  if (!again.ok) return again;
  const blocks = scanBlocks(whole.value.value, geometry, knownHosts);
  return holding(again.value.leader, geometry, blocks);
}

const DURING = 'holders read in brief';

/** The block of one host, as if it stood in its place. */
function blockOf(sector: Uint8Array, geometry: Geometry, hostId: number) {
  const [block] = scanBlocks(withTwoSectorsBefore(sector), geometry, 1);
  return block === undefined ? [] : [{ ...block, hostId }];
}

function withTwoSectorsBefore(sector: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(3 * sector.length);
  bytes.set(sector, hostBlockSector(1) * sector.length);
  return bytes;
}

function holding(
  leader: PaxosLeader,
  geometry: Geometry,
  blocks: ReturnType<typeof scanBlocks>,
): Result<LeaseState, NoLease> {
  const { lver, spaceName: lockspaceName, resourceName } = leader;
  return ok({ lockspaceName, resourceName, geometry, lver, ...holdersIn({ leader, blocks }) });
}
