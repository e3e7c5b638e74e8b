import { ERRNO } from '../../../base/errno.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import {
  readValueBlock,
  VALUE_BLOCK_BYTES,
  valueBlockBytes,
} from '../../../wire/lvmlockd/value-block.ts';
import { acquire, convert, getLvb, release, setLvb } from '../../../wire/sanlock/lease-calls.ts';
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
import { GL_DISABLED_NAME, REMOVED_NAME, resourceOf } from './layout.ts';
import type { OpenSpace } from './open-space.ts';
import {
  codeOf,
  convertOutcome,
  isInterrupted,
  isOtherName,
  lockOutcome,
  releaseOutcome,
} from './results.ts';

/** Locks of lvm as leases of sanlock, with the value blocks of GL and VG (spec 31 §4). */

/** `checkGl`: check first whether this VG's global lock is still enabled. */
export function* lockLease(
  space: OpenSpace,
  ref: ResourceRef,
  how: { readonly mode: HeldMode; readonly checkGl: boolean },
): ManagerSteps<LockOutcome> {
  const { site, times } = space;
  const { mode, checkGl } = how;
  const resource = resourceOf(site, ref);
  if (resource === null) return refused(LD_RESULT.REFUSED);
  const glName = checkGl ? yield* readGlName(site, times) : null;
  const glEnabled = glName === GL_DISABLED_NAME ? false : null;
  if (ref.scope === 'gl' && glEnabled === false) return refused(LD_RESULT.ENOLS, false);
  const wanted = withMode(resource, mode);
  const lvb = ref.scope !== 'lv';
  const answer = yield* acquireOwn(space, wanted, lvb);
  if (!answer.ok) {
    if (ref.scope === 'gl' && isOtherName(answer)) {
      const now = yield* readGlName(site, times);
      if (now === GL_DISABLED_NAME) return refused(LD_RESULT.ENOLS, false);
    }
    return { ...lockOutcome(answer, { scope: ref.scope, mode }), glEnabled };
  }
  return lvb ? yield* checkValue(space, wanted, glEnabled) : { ...granted(0), glEnabled };
}

/** A lease that a call without answer left with us, or an orphan of ours, is taken over. */
function* acquireOwn(
  space: OpenSpace,
  resource: Resource,
  lvb: boolean,
): ManagerSteps<SanlockResult<number>> {
  const answer = yield* acquireLease(space, resource, { lvb, orphan: false });
  if (codeOf(answer) === -ERRNO.EEXIST) {
    yield* releaseLease(space, resource);
    return yield* acquireLease(space, resource, { lvb, orphan: false });
  }
  if (codeOf(answer) !== -ERRNO.EUCLEAN) return answer;
  return yield* acquireLease(space, resource, { lvb, orphan: true });
}

/** An owner that is silent is never waited for: lvm repeats its request. */
export function acquireLease(
  space: OpenSpace,
  resource: Resource,
  how: { readonly lvb: boolean; readonly orphan: boolean },
): ManagerSteps<SanlockResult<number>> {
  const { lvb, orphan } = how;
  const call = acquire([resource], { lvb, orphan, ownerNowait: true });
  return ask(call, space.times.diskMs, space.session);
}

/** An error must not leave the lease behind, so it is released before the refusal. */
function* checkValue(
  space: OpenSpace,
  resource: Resource,
  glEnabled: boolean | null,
): ManagerSteps<LockOutcome> {
  const call = getLvb(resource, VALUE_BLOCK_BYTES);
  const answer = yield* ask(call, space.times.quickMs, space.session);
  if (isInterrupted(answer)) return lockOutcome(answer, { scope: 'vg', mode: 'ex' });
  const block = readValueBlock(answer.ok ? answer.value : new Uint8Array(0));
  if (block.isReadable && !block.isRemoved) return { ...granted(block.version), glEnabled };
  yield* releaseLease(space, resource);
  return refused(block.isReadable ? LD_RESULT.EREMOVED : LD_RESULT.INVAL, glEnabled);
}

export function* convertLease(
  space: OpenSpace,
  held: HeldLock,
  mode: HeldMode,
): ManagerSteps<Outcome> {
  const resource = resourceOf(space.site, held.resource);
  if (resource === null) return both(LD_RESULT.REFUSED);
  yield* writeVersion(space, resource, held);
  const call = convert(withMode(resource, mode), { ownerNowait: true });
  const answer = yield* ask(call, space.times.diskMs, space.session);
  if (codeOf(answer) === -ERRNO.EALREADY) return OK;
  return convertOutcome(answer);
}

/** sanlock goes on trying when the disk does not let it: for us the lock is gone either way. */
export function* unlockLease(space: OpenSpace, held: HeldLock): ManagerSteps<Outcome> {
  const resource = resourceOf(space.site, held.resource);
  if (resource === null) return OK;
  yield* writeVersion(space, resource, held);
  const answer = yield* releaseLease(space, resource);
  return releaseOutcome(answer);
}

function* writeVersion(space: OpenSpace, resource: Resource, held: HeldLock): ManagerSteps<void> {
  if (held.newVersion === 0 || held.resource.scope === 'lv') return;
  const call = setLvb(resource, valueBlockBytes(held.newVersion));
  yield* ask(call, space.times.quickMs, space.session);
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

function granted(version: number): LockOutcome {
  return { ...OK, retry: false, version, glEnabled: null };
}

export function refused(result: number, glEnabled: boolean | null = null): LockOutcome {
  return { ...both(result), retry: false, version: 0, glEnabled };
}
