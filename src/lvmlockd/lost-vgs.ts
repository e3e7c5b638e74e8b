import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import type { StartRequest } from '../wire/lvmlockd/requests.ts';
import { beginStop } from './lockspace-end.ts';
import { isLost, ownOrder } from './lockspace-phase.ts';
import { addLockspace, joinLockspace, startVg } from './lockspace-start.ts';
import type { ManagerSpace, VgPlace } from './managers/manager.ts';
import type { ManagerSteps } from './managers/steps.ts';
import { type ActiveLvs, activeInTouch } from './mapped-lvs.ts';
import { changePhase, LOST_CHECK_MS } from './reattach.ts';
import { reply } from './replies.ts';
import { triesAgain } from './returning.ts';
import { logStale, removeStale, type StaleMapping } from './stale-mapping.ts';
import {
  type DaemonState,
  hasLocks,
  hasLvLocks,
  type Lockspace,
  log,
  type Returning,
  run,
} from './state.ts';
import { OF_DAEMON, ofClient, ofSpace } from './task-owner.ts';

/** VGs whose storage or lock manager was lost: they can be started when nothing uses them here. */

/** start_vg. */
export function requestStart(
  state: DaemonState,
  to: { readonly clientId: number; readonly request: StartRequest },
): void {
  const { clientId, request } = to;
  const started = state.lockspaces.find(({ vg }) => vg.vgName === request.vgName);
  const own = started === undefined ? null : ownOrder(started.phase);
  if (own !== null) own.starts.push({ to, start: () => requestStart(state, to) });
  else if (started !== undefined && isLost(started.phase)) startLost(state, started, to);
  else if (started?.phase.kind === 'running') startRunning(state, started, to);
  else startVg(state, clientId, request);
}

/** Of such a VG: it is left and joined anew, unless one of its LVs may be active here. */
function startLost(
  state: DaemonState,
  lockspace: Lockspace,
  to: { readonly clientId: number; readonly request: StartRequest },
): void {
  const { lockType } = lockspace.manager;
  const start = () => requestStart(state, to);
  // The client is answered also if lvmlockd leaves the lockspace by itself meanwhile.
  run(state, ofClient(to), activeIn(lockspace), ({ inTouch: active }) => {
    const { phase, vg } = lockspace;
    if (!state.lockspaces.includes(lockspace) || !isLost(phase)) {
      start();
      return;
    }
    const isActive = active === null ? hasLvLocks(lockspace) : active.length > 0;
    if (!isActive && !isBeingActivated(state, lockspace)) {
      beginStop(state, lockspace, { dropAll: true, start: { to, start } });
      return;
    }
    const result = phase.kind === 'killed' ? LD_RESULT.EVGKILLED : LD_RESULT.ELMERR;
    const advice = `deactivate the LVs of this VG (lvchange -an), then start it again`;
    const lvs = lvsInUse(lockspace, active);
    log(state, 'error', 'lockspace.stillUsed', { vg: vg.vgName, lvs, advice });
    reply(state, to, { result, lockType });
  });
}

/** Of a VG that runs, as far as lvmlockd knows: the lock manager is asked. */
function startRunning(
  state: DaemonState,
  lockspace: Lockspace,
  to: { readonly clientId: number; readonly request: StartRequest },
): void {
  const { clientId, request } = to;
  run(state, ofClient(to), lockspace.space.presence(), (found) => {
    const isThere = state.lockspaces.includes(lockspace);
    if (isThere && found === 'absent') changePhase(state, lockspace, { kind: 'missing' });
    if (isThere && lockspace.phase.kind === 'running') startVg(state, clientId, request);
    else requestStart(state, to);
  });
}

/** A command has locked an LV and has not ended: it may activate it after its storage returned. */
function isBeingActivated({ clients }: DaemonState, { resources }: Lockspace): boolean {
  return resources.some(
    ({ ref, locks, lastClientId }) =>
      ref.scope === 'lv' && locks.length > 0 && clients.has(lastClientId),
  );
}

/** By uuid: the active ones, or if none is known those that are locked. */
function lvsInUse({ resources }: Lockspace, active: readonly string[] | null): string {
  const locked = resources.filter(({ ref, locks }) => ref.scope === 'lv' && locks.length > 0);
  const isKnown = active !== null && active.length > 0;
  return shown(isKnown ? active : locked.map(({ ref }) => ref.name));
}

function shown(names: readonly string[]): string {
  const first = names.slice(0, MAX_SHOWN).join(',');
  return names.length > MAX_SHOWN ? `${first},…` : first;
}

const MAX_SHOWN = 10;

/** From time to time: a lost VG that nothing uses any more is left, and may return. */
export function leaveUnused(state: DaemonState, lockspace: Lockspace): void {
  lockspace.checkMs = state.nowMs + LOST_CHECK_MS;
  if (hasLocks(lockspace)) return;
  run(state, ofSpace(lockspace), activeIn(lockspace), ({ inTouch: active }) => {
    const isUsed = hasLocks(lockspace) || (active !== null && active.length > 0);
    if (isLost(lockspace.phase) && !isUsed) beginStop(state, lockspace, { dropAll: true });
  });
}

/** Those whose time has come are tried (returning.ts). */
export function tryReturning(state: DaemonState): void {
  for (const [vgName, returning] of state.returning) {
    const { nextMs, untilMs } = returning;
    if (nextMs === null || nextMs > state.nowMs) continue;
    if (state.nowMs >= untilMs) {
      state.returning.delete(vgName);
      const advice = `start it when its storage is back: vgchange --lockstart ${vgName}`;
      log(state, 'error', 'lockspace.notReturned', { vg: vgName, advice });
    } else if (state.lockspaces.some(({ vg }) => vg.vgName === vgName)) {
      triesAgain(state, vgName, returning.result); // somebody else starts it
    } else {
      tryOne(state, returning);
    }
  }
}

function activeIn({ space, vg }: Lockspace): ManagerSteps<ActiveLvs> {
  return activeInTouch(vg.vgUuid, space);
}

/** What stands in the way of the return: LVs in use, or a device of the leases that is gone. */
function* readyToReturn(
  space: ManagerSpace,
  { vgUuid }: VgPlace,
): ManagerSteps<ActiveLvs & { readonly stale: StaleMapping }> {
  const active = yield* activeInTouch(vgUuid, space);
  const isUsed = active.inTouch !== null && active.inTouch.length > 0;
  return { ...active, stale: isUsed ? 'none' : yield* removeStale(space.leaseDevice) };
}

/** Once, and not with each attempt. */
function tellCutOff(
  state: DaemonState,
  returning: Returning,
  { cutOff, stale }: ActiveLvs & { readonly stale: StaleMapping },
): void {
  const vg = returning.place.vgName;
  logStale(state, vg, stale);
  if (cutOff.length === 0 || returning.cutOff === cutOff.length) return;
  returning.cutOff = cutOff.length;
  const advice = 'when the VG is started: lvchange -an, then -ay; or lvchange --refresh';
  log(state, 'warn', 'lvs.stillCutOff', { vg, lvs: shown(cutOff), advice });
}

function tryOne(state: DaemonState, returning: Returning): void {
  const { manager, place } = returning;
  returning.nextMs = null;
  run(state, OF_DAEMON, readyToReturn(manager.open(place, NO_SESSION), place), (found) => {
    if (state.returning.get(place.vgName) !== returning) return;
    const { inTouch: active } = found;
    tellCutOff(state, returning, found);
    const { vgName } = place;
    const isStarted = state.lockspaces.some(({ vg }) => vg.vgName === vgName);
    const isFull = state.lockspaces.length >= state.limits.lockspaces;
    const isUsed = active !== null && active.length > 0;
    if (isUsed && returning.result !== LD_RESULT.BUSY) {
      const advice = 'deactivate the LVs of this VG (lvchange -an): it is not started before';
      log(state, 'error', 'lockspace.stillUsed', { vg: vgName, lvs: shown(active), advice });
    }
    if (isStarted || isFull || isUsed) {
      triesAgain(state, vgName, isUsed ? LD_RESULT.BUSY : returning.result);
      return;
    }
    joinLockspace(state, addLockspace(state, manager, place), null);
  });
}

/** A lockspace about which only device-mapper is asked. */
const NO_SESSION = 0;
