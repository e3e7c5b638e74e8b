import { ERRNO } from '../../../base/errno.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import { readResource, writeResource } from '../../../wire/sanlock/area-calls.ts';
import { status } from '../../../wire/sanlock/daemon-calls.ts';
import type { Resource } from '../../../wire/sanlock/types.ts';
import { both, OK, type Outcome } from '../manager.ts';
import { type ManagerSteps, readSectors } from '../steps.ts';
import { ask, type SanlockResult } from './ask.ts';
import { otherHosts } from './hosts.ts';
import { type LeaseSite, UNUSED_NAME } from './layout.ts';
import type { OpenSpace } from './open-space.ts';
import { takeSlot } from './rename.ts';
import { areaOutcome, codeOf, isCorrupt, isOtherName } from './results.ts';
import { leasesIn } from './status.ts';
import type { SanlockTimes } from './times.ts';

/** Leases whose records are damaged (spec 31 §2): recognised, and written anew on request. */

const CHUNK_BYTES = 128 * 1024;

/**
 * An area without a leader is free only if it was never written: lvm zeroes what it adds to the
 * device. sanlock answers both that and a damaged leader with LEADER_MAGIC, so the bytes tell.
 * false: something is there, or it could not be read.
 */
export function* isNeverWritten(
  { path, sizes }: LeaseSite,
  offset: number,
  times: SanlockTimes,
): ManagerSteps<boolean> {
  for (let at = 0; at < sizes.alignBytes; at += CHUNK_BYTES) {
    const place = { path, offset: offset + at, length: CHUNK_BYTES };
    const bytes = yield* readSectors(place, times.diskMs);
    if (bytes === null || bytes.some((byte) => byte !== 0)) return false;
  }
  return true;
}

/** What became of an acquire that a damaged lease refused. */
export interface Repair extends Outcome {
  /** `done`: the lease is sound and free, and may be acquired. */
  readonly repair: 'needed' | 'done' | 'refused';
}

/**
 * Makes a lease acquirable that `answer` says is not; null: nothing is wrong with the lease.
 * `wished`: the request allows it to be written.
 *
 * A damaged lease does not say who holds it. So it is written only while no other host lives in the
 * lockspace, and this host's sanlock has no lease there. A slot that the LV's own name was never
 * written to, or that was freed under it, is taken as a free slot is.
 */
export function* repairLease(
  space: OpenSpace,
  lease: Resource,
  answer: SanlockResult<unknown>,
  wished: boolean,
): ManagerSteps<Repair | null> {
  const isFreed = isOtherName(answer) && (yield* hasName(space, lease, UNUSED_NAME));
  if (!isFreed && !isCorrupt(answer)) return null;
  if (!wished) return { ...both(LD_RESULT.ELOCKREPAIR), repair: 'needed' };
  const { session, times } = space;
  if (isFreed) {
    const free = { ...lease, name: UNUSED_NAME };
    const { taken, ...took } = yield* takeSlot(
      { session, lease: free, newName: lease.name },
      times,
    );
    const isDone = took.result === 0 && !taken;
    return isDone ? { ...OK, repair: 'done' } : { ...took, repair: 'refused' };
  }
  if (yield* mayBeHeld(space, lease)) {
    return { ...both(LD_RESULT.ELOCKREPAIR), repair: 'refused' };
  }
  const wrote = yield* ask(writeResource(lease), times.diskMs);
  return wrote.ok ? { ...OK, repair: 'done' } : { ...areaOutcome(wrote), repair: 'refused' };
}

function* hasName({ times }: OpenSpace, lease: Resource, name: string): ManagerSteps<boolean> {
  const read = yield* ask(readResource({ ...lease, name: '' }), times.diskMs);
  return read.ok && read.value.name === name;
}

/** Whatever is not known counts as held. */
export function* mayBeHeld(space: OpenSpace, lease: Resource): ManagerSteps<boolean> {
  const { site, hostId, times } = space;
  const others = yield* otherHosts(site, hostId, times);
  if (others.result !== 0) return true;
  const seen = yield* ask(status(), times.quickMs);
  if (!seen.ok) return codeOf(seen) !== -ERRNO.ENOENT;
  const offset = lease.disks[0]?.offset;
  return leasesIn(seen.value).some(
    ({ resource }) =>
      resource.lockspaceName === site.spaceName &&
      (resource.name === lease.name || resource.disks[0]?.offset === offset),
  );
}
