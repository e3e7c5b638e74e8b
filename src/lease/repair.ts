import { fail, ok, type Result } from '../base/result.ts';
import { SECOND_MS } from '../base/units.ts';
import { type Geometry, hostBlockSector } from '../format/geometry.ts';
import { type DeltaHold, type DeltaPlace, deltaAcquire } from './delta-acquire.ts';
import { deltaRelease } from './delta-release.ts';
import { holdersIn } from './holders.ts';
import { ioError, leaseError, readSpan, sleep } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import { blockAt, scanBlocks } from './paxos-area.ts';
import { type ResourceFound, type ResourceWish, readResource } from './read.ts';
import type { Steps } from './steps.ts';

/** The hosts whose blocks in an area are damaged. */
export interface DamagedBlocks {
  readonly hosts: readonly number[];
}

/**
 * Whose blocks in a resource area are damaged: each of them stops every acquire. Only reads.
 * @returns LEADER_*, AIO_TIMEOUT, ERRNO.
 */
export function* findDamagedBlocks(wish: ResourceWish): Steps<Result<DamagedBlocks, LeaseError>> {
  const head = yield* readResource(wish);
  if (!head.ok) return head;
  const { geometry, leader } = head.value;
  const { offset, timeoutMs } = wish;
  const span = { disk: 'resource', offset, length: geometry.areaBytes, timeoutMs } as const;
  const read = yield* readSpan(span, 'host block read');
  if (!read.ok) return read;
  // All of them: behind the number that is recorded, a block counts once its host was ever there.
  const blocks = scanBlocks(read.value.value, geometry, geometry.maxHosts);
  return ok({ hosts: holdersIn({ leader, blocks }).damaged.map(({ hostId }) => hostId) });
}

/** Which block is to be emptied, and as whom. */
export interface Repair {
  /** The host id whose block is damaged, taken under a host name that no host ever had. */
  readonly host: DeltaPlace;
  readonly lockspaceGeometry: Geometry;
  readonly resource: ResourceWish;
}

/** `sound`: there was nothing to do. */
export type Repaired = 'sound' | 'cleared';

/**
 * Empties the damaged block of a host that is surely gone, which the original offers only by a
 * format of the whole lease (spec 10 §17.1 item 7).
 *
 *   take its host id -> its block, still damaged, zeroed -> release the host id
 *
 * Taking the host id is the proof: it waits until its owner stood still for 8·t + 60 s, and while
 * we have it that host cannot return. So the block is written by its one rightful writer, and what
 * its former memberships held is over as after any join.
 * @returns HOSTID_BUSY while the host lives; ERROR when too much time went by for a safe write
 */
export function* repairBlock(repair: Repair): Steps<Result<Repaired, LeaseError>> {
  const { host, lockspaceGeometry, resource } = repair;
  const before = yield* readBlock(repair);
  if (!before.ok) return before;
  if (before.value.isSound) return ok('sound');
  const joined = yield* deltaAcquire(host, lockspaceGeometry);
  if (!joined.ok) return joined;
  const again = yield* readBlock(repair);
  // No renewal extends this claim: past this time our host id, and with it its block and record,
  // may soon be another host's.
  const times = leaseTimes(host.ioTimeoutS);
  const endMs = Number(joined.value.leader.timestampS) * SECOND_MS + times.renewalWarnMs;
  if (again.ok && again.value.nowMs >= endMs) return fail(leaseError('ERROR', 'repair, too late'));
  if (!again.ok || again.value.isSound) {
    yield* releaseInTime(host, joined.value, endMs);
    return again.ok ? ok('sound') : again;
  }
  const { offset, length } = again.value;
  const bytes = new Uint8Array(length);
  const timeoutMs = resource.timeoutMs;
  const wrote = yield { op: 'write', disk: 'resource', offset, bytes, timeoutMs };
  // It may land later: then no host may have the host id before 8·t + 60 s are over.
  if (wrote.outcome !== 'done') return fail(ioError(wrote, 'repair'));
  const left = yield* releaseInTime(host, joined.value, endMs);
  return left.ok ? ok('cleared') : left;
}

/** In time only: written over the next owner's record it would free all that one holds. */
function* releaseInTime(
  host: DeltaPlace,
  hold: DeltaHold,
  endMs: number,
): Steps<Result<null, LeaseError>> {
  const nowMs = yield* sleep(0);
  if (nowMs >= endMs) return fail(leaseError('ERROR', 'host id release, too late'));
  return yield* deltaRelease(host, hold);
}

interface BlockRead {
  readonly nowMs: number;
  readonly offset: number;
  readonly length: number;
  readonly isSound: boolean;
}

/** The leader is checked each time: what lies there must still be this resource. */
function* readBlock({ host, resource }: Repair): Steps<Result<BlockRead, LeaseError>> {
  const head: Result<ResourceFound, LeaseError> = yield* readResource(resource);
  if (!head.ok) return head;
  const { geometry } = head.value;
  if (host.hostId > geometry.maxHosts) {
    const facts = { maxHosts: geometry.maxHosts, hostId: host.hostId };
    return fail(leaseError('LEADER_NUMHOSTS', 'repair', facts));
  }
  const offset = resource.offset + hostBlockSector(host.hostId) * geometry.sectorSize;
  const length = geometry.sectorSize;
  const { timeoutMs } = resource;
  const read = yield* readSpan({ disk: 'resource', offset, length, timeoutMs }, 'host block read');
  if (!read.ok) return read;
  const isSound = blockAt(read.value.value, host.hostId, geometry).damage === null;
  return ok({ nowMs: read.value.nowMs, offset, length, isSound });
}
