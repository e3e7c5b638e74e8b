import type { ByteString } from '../../../base/bytes.ts';
import { ERRNO } from '../../../base/errno.ts';
import { ok } from '../../../base/result.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import {
  addLockspace,
  removeLockspace,
  setConfig,
  status,
} from '../../../wire/sanlock/daemon-calls.ts';
import { CONFIG_COMMANDS, RES_FLAGS } from '../../../wire/sanlock/socket.ts';
import { type AdoptedLock, both, type HeldMode, type JoinOutcome, OK } from '../manager.ts';
import { type ManagerSteps, sleep } from '../steps.ts';
import { ask, type SanlockResult } from './ask.ts';
import { areaAt, lvArgsFor, NO_LV_NAMES, resourceAt } from './layout.ts';
import { acquireLease, releaseLease, withMode } from './lease-lock.ts';
import { removeSpace } from './leave.ts';
import type { JoinAttempt, OpenSpace } from './open-space.ts';
import { areaOutcome, codeOf, isAnswered, isCorrupt } from './results.ts';
import { ownerNow } from './rival.ts';
import { leasesIn, type StatusLease } from './status.ts';

/** Joining a VG's lockspace, with the locks of an earlier lvmlockd (spec 31 §3). */

const JOIN_POLL_MS = 500;

export function* joinSpace(
  space: OpenSpace,
  adopt: boolean,
  attempt: JoinAttempt,
): ManagerSteps<JoinOutcome> {
  const { site, times } = space;
  attempt.isAdding = true;
  const added = yield* addWhenIdle(space, attempt);
  attempt.isAdding = false;
  if (attempt.isCancelled && codeOf(added) !== -ERRNO.EEXIST) {
    // sanlock answered before it heard of the removal.
    if (added.ok) yield* removeSpace(space, true);
    return { ...both(LD_RESULT.CANCELED), ...NOTHING };
  }
  const wasThere = codeOf(added) === -ERRNO.EEXIST && adopt;
  // sanlock keeps leases of an earlier one: only an administrator can say that they are unused.
  if (codeOf(added) === -ERRNO.EBUSY) return { ...both(LD_RESULT.BUSY), ...NOTHING };
  if (codeOf(added) === SANLOCK_CODES.HOSTID_BUSY) {
    const rival = yield* ownerNow(space);
    return { ...both(LD_RESULT.EHOSTID), ...NOTHING, ...(rival === null ? {} : { rival }) };
  }
  // This host's own record is damaged: no other host can write it for us.
  if (isCorrupt(added)) return { ...both(LD_RESULT.ELOCKREPAIR), ...NOTHING };
  if (!added.ok && !wasThere) return { ...areaOutcome(added), ...NOTHING };
  const { USED_BY_ORPHANS } = CONFIG_COMMANDS;
  const used = yield* ask(setConfig(site.spaceName, USED_BY_ORPHANS), times.quickMs);
  if (!used.ok) {
    if (!wasThere) yield* removeSpace(space, true);
    return { ...areaOutcome(used), ...NOTHING };
  }
  return wasThere ? yield* adoptOrphans(space) : { ...OK, ...NOTHING };
}

const NOTHING = { adopted: [], notAdopted: [] } as const;

function* addWhenIdle(space: OpenSpace, attempt: JoinAttempt): ManagerSteps<SanlockResult<number>> {
  const { times } = space;
  let added = yield* add(space);
  // An earlier lvmlockd was joining or leaving when it ended: sanlock finishes that first.
  for (let waitedMs = 0; isUnderWay(added) && waitedMs < times.joinMs; waitedMs += JOIN_POLL_MS) {
    yield* sleep(JOIN_POLL_MS);
    if (attempt.isCancelled) return added;
    added = yield* add(space);
  }
  return added;
}

/**
 * Has sanlock give up a join under way: it answers the join with an error. `onlyUnused`: leases that
 * it keeps of an earlier lvmlockd stay. A device that hangs keeps it from that, and it is not
 * waited for: what it joins later is removed then.
 */
export function* cancelJoin(
  { site, hostId, times }: OpenSpace,
  attempt: JoinAttempt,
): ManagerSteps<void> {
  if (!attempt.isAdding) return;
  const area = areaAt(site, hostId);
  yield* ask(removeLockspace(area, { async: true, onlyUnused: true }), times.quickMs);
}

function add({ site, hostId, times }: OpenSpace): ManagerSteps<SanlockResult<number>> {
  const { ioTimeoutS, joinMs } = times;
  return ask(addLockspace(areaAt(site, hostId), { ioTimeoutS }), joinMs);
}

function isUnderWay(added: SanlockResult<number>): boolean {
  const code = codeOf(added);
  return code === -ERRNO.EINPROGRESS || code === -ERRNO.EAGAIN;
}

/**
 * The leases that sanlock has in this lockspace, once it knows which of them are orphans: a sanlock
 * that was started again asks the disk about each, and of a lvmlockd that has just been killed a
 * request may be under way, which its other leases wait for.
 */
function* leasesLeft(space: OpenSpace): ManagerSteps<SanlockResult<readonly StatusLease[]>> {
  const { site, times } = space;
  for (let waitedMs = 0; ; waitedMs += JOIN_POLL_MS) {
    const found = yield* ask(status(), times.quickMs);
    if (!found.ok) return found;
    const leases = leasesIn(found.value).filter(
      ({ resource }) => resource.lockspaceName === site.spaceName,
    );
    const isDecided = !leases.some(({ list }) => UNDECIDED.has(list));
    if (isDecided || waitedMs >= times.sessionMs) return ok(leases);
    yield* sleep(JOIN_POLL_MS);
  }
}

/** Lists of leases that are a process's, or may become orphans. */
const UNDECIDED: ReadonlySet<ByteString> = new Set(['add', 'held']);

/**
 * Takes over the leases that a crashed lvmlockd held. GL and VG locks ended with its commands, and
 * so did the renaming of a free slot.
 */
function* adoptOrphans(space: OpenSpace): ManagerSteps<JoinOutcome> {
  const { site } = space;
  const found = yield* leasesLeft(space);
  if (!found.ok) return { ...areaOutcome(found), ...NOTHING };
  const adopted: AdoptedLock[] = [];
  const notAdopted: ByteString[] = [];
  for (const { list, resource } of found.value) {
    if (list !== 'orphan') {
      const isLvs = UNDECIDED.has(list) && !NO_LV_NAMES.has(resource.name);
      if (isLvs) notAdopted.push(resource.name);
      continue;
    }
    const disk = resource.disks[0];
    if (disk === undefined) continue;
    const mode: HeldMode = (resource.flags & RES_FLAGS.SHARED) !== 0 ? 'sh' : 'ex';
    const wanted = withMode(resourceAt(site, resource.name, Number(disk.offset)), mode);
    const answer = yield* acquireLease(space, wanted, 'orphan');
    // Without an answer nothing is known of the others either: the adoption is done again.
    if (!answer.ok && !isAnswered(answer)) return { ...areaOutcome(answer), ...NOTHING };
    if (NO_LV_NAMES.has(resource.name)) {
      if (answer.ok) yield* releaseLease(space, wanted);
      continue;
    }
    const lvLockArgs = lvArgsFor(Number(disk.offset));
    if (answer.ok)
      adopted.push({ resource: { scope: 'lv', name: resource.name, lvLockArgs }, mode });
    else notAdopted.push(resource.name);
  }
  return { ...OK, adopted, notAdopted };
}
