import { ERRNO } from '../../../base/errno.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import type { Adopt } from '../../../wire/lvmlockd/requests.ts';
import { acquire, convert, release } from '../../../wire/sanlock/lease-calls.ts';
import { RES_FLAGS } from '../../../wire/sanlock/socket.ts';
import type { Resource } from '../../../wire/sanlock/types.ts';
import {
  both,
  type HeldLock,
  type HeldMode,
  type LockOutcome,
  OK,
  type Outcome,
  type ResourceRef,
} from '../manager.ts';
import type { ManagerSteps } from '../steps.ts';
import { ask, type SanlockResult } from './ask.ts';
import { readGlName } from './gl-slot.ts';
import {
  GL_DISABLED_NAME,
  type LeaseSite,
  offsetOfArgs,
  REMOVED_NAME,
  resourceOf,
  SLOT_FIRST_LV,
} from './layout.ts';
import type { OpenSpace } from './open-space.ts';
import { repairLease } from './repair-lease.ts';
import {
  adoptResult,
  codeOf,
  convertOutcome,
  isOtherName,
  lockOutcome,
  releaseOutcome,
} from './results.ts';

/**
 * Locks of lvm as leases of sanlock (spec 31 §4). Their value blocks are neither read nor written:
 * no client uses the versions in them, and each would cost a call more (decision 0021).
 */

/** `checkGl`: check first whether this VG's global lock is still enabled. */
export function* lockLease(
  space: OpenSpace,
  ref: ResourceRef,
  how: {
    readonly mode: HeldMode;
    readonly checkGl: boolean;
    readonly repair: boolean;
    readonly adopt: Adopt;
  },
): ManagerSteps<LockOutcome> {
  const { site, times } = space;
  const { mode, checkGl, adopt } = how;
  const resource = resourceOf(site, ref);
  if (resource === null) return refused(LD_RESULT.REFUSED);
  const glName = checkGl ? yield* readGlName(site, times) : null;
  const glEnabled = glName === GL_DISABLED_NAME ? false : null;
  if (ref.scope === 'gl' && glEnabled === false) return refused(LD_RESULT.ENOLS, false);
  const wanted = withMode(resource, mode);
  const only = adopt === 'only';
  const answer = yield* only ? acquireLease(space, wanted, 'kept') : acquireOwn(space, wanted);
  if (answer.ok) return { ...OK, retry: false, version: 0, glEnabled };
  if (ref.scope === 'gl' && isOtherName(answer)) {
    const now = yield* readGlName(site, times);
    if (now === GL_DISABLED_NAME) return refused(LD_RESULT.ENOLS, false);
  }
  const asked = { scope: ref.scope, mode };
  const unadopted = adoptResult(answer, adopt);
  if (unadopted !== null) return refused(unadopted, glEnabled);
  const mayRepair = how.repair && isOwnPlace(site, ref);
  const mended = yield* repairLease(space, resource, answer, mayRepair);
  if (mended === null) return { ...lockOutcome(answer, asked), glEnabled };
  const { repair } = mended;
  if (repair !== 'done') return { ...refused(mended.result, glEnabled), ...mended };
  const again = yield* acquireOwn(space, wanted);
  return { ...lockOutcome(again, asked), glEnabled, repair };
}

/** Lock args of an LV may say anything. */
function isOwnPlace(site: LeaseSite, { scope, lvLockArgs }: ResourceRef): boolean {
  if (scope !== 'lv') return true;
  const offset = offsetOfArgs(lvLockArgs) ?? 0;
  const { alignBytes } = site.sizes;
  return offset >= SLOT_FIRST_LV * alignBytes && offset % alignBytes === 0;
}

/** A lease that a call without answer left with us, or an orphan of ours, is taken over. */
function* acquireOwn(space: OpenSpace, resource: Resource): ManagerSteps<SanlockResult<number>> {
  const answer = yield* acquireLease(space, resource);
  if (codeOf(answer) === -ERRNO.EEXIST) {
    yield* releaseLease(space, resource);
    return yield* acquireLease(space, resource);
  }
  if (codeOf(answer) !== -ERRNO.EUCLEAN) return answer;
  return yield* acquireLease(space, resource, 'orphan');
}

/**
 * An owner that is silent is never waited for: lvm repeats its request. `orphan`: an orphan of this
 * mode is taken over. `kept`: nothing but what sanlock keeps for this process, or for none.
 */
export function acquireLease(
  space: OpenSpace,
  resource: Resource,
  from: 'disk' | 'orphan' | 'kept' = 'disk',
): ManagerSteps<SanlockResult<number>> {
  const orphan = from === 'orphan';
  const orphanOnly = from === 'kept';
  const call = acquire([resource], {
    orphan,
    orphanOnly,
    ownerNowait: true,
    ownerName: 'lvmlockd',
  });
  return ask(call, space.times.diskMs, space.session);
}

export function* convertLease(
  space: OpenSpace,
  held: HeldLock,
  mode: HeldMode,
): ManagerSteps<Outcome> {
  const resource = resourceOf(space.site, held.resource);
  if (resource === null) return both(LD_RESULT.REFUSED);
  const call = convert(withMode(resource, mode), { ownerNowait: true });
  const answer = yield* ask(call, space.times.diskMs, space.session);
  if (codeOf(answer) === -ERRNO.EALREADY) return OK;
  return convertOutcome(answer);
}

/** sanlock goes on trying when the disk does not let it: for us the lock is gone either way. */
export function* unlockLease(space: OpenSpace, held: HeldLock): ManagerSteps<Outcome> {
  const resource = resourceOf(space.site, held.resource);
  if (resource === null) return OK;
  const answer = yield* releaseLease(space, resource);
  return releaseOutcome(answer);
}

/** The VG is removed: its GL or VG lease gets a name under which no host acquires it. */
export function* releaseRemoved(space: OpenSpace, held: HeldLock): ManagerSteps<void> {
  const resource = resourceOf(space.site, held.resource);
  if (resource === null) return;
  const call = release([resource, { ...resource, name: REMOVED_NAME }], { rename: true });
  yield* ask(call, space.times.diskMs, space.session);
}

export function releaseLease(
  space: OpenSpace,
  resource: Resource,
): ManagerSteps<SanlockResult<number>> {
  return ask(release([resource]), space.times.diskMs, space.session);
}

/** As lvmlockd holds it: persistent, so that it outlives lvmlockd as an orphan. */
export function withMode(resource: Resource, mode: HeldMode): Resource {
  const flags = (resource.flags & ~RES_FLAGS.SHARED) | RES_FLAGS.PERSISTENT;
  return { ...resource, flags: mode === 'sh' ? flags | RES_FLAGS.SHARED : flags };
}

export function refused(result: number, glEnabled: boolean | null = null): LockOutcome {
  return { ...both(result), retry: false, version: 0, glEnabled };
}
