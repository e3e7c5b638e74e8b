import { assert } from '../base/assert.ts';
import { LD_OP, LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import type { LockRequest, VgRequest } from '../wire/lvmlockd/requests.ts';
import { glCarriers, inOrder } from './gl-carriers.ts';
import { readSlots } from './global-lock.ts';
import { globalResource } from './global-requests.ts';
import { isInUse, isLost } from './lockspace-phase.ts';
import type { HeldMode } from './managers/manager.ts';
import { reply } from './replies.ts';
import type { Action, Answered, Resource } from './resource.ts';
import { advanceResource } from './resource-effects.ts';
import { type DaemonState, type Lockspace, log, resourceIn } from './state.ts';

/** In which VG the global lock is enabled: enable_gl, disable_gl, and a VG that is freed of it. */

interface Asked {
  readonly clientId: number;
  readonly request: VgRequest;
}

/** Only one VG may carry it, and none is switched while it is locked. */
export function switchGl(
  state: DaemonState,
  lockspace: Lockspace,
  to: { readonly clientId: number },
  request: VgRequest,
): void {
  const asked = { clientId: to.clientId, request };
  const { lockType, traits } = lockspace.manager;
  const refuse = (result: number) => reply(state, asked, { result, lockType });
  if (traits.globalLock !== 'inVg') {
    refuse(LD_RESULT.INVAL);
    return;
  }
  if (request.kind === 'disableGl') {
    act(state, lockspace, asked, { enable: false });
    return;
  }
  // Another host may have enabled or disabled one since the slots were read.
  readSlots(state, asked, () => {
    if (!isUsable(state, lockspace)) {
      refuse(LD_RESULT.STALE);
      return;
    }
    const other = otherCarrier(state, lockspace);
    if (other === null) {
      act(state, lockspace, asked, { enable: true, answered: readAgain(state, asked, lockspace) });
      return;
    }
    const advice = `first lvmlockctl --gl-disable ${other}`;
    log(state, 'warn', 'global.notEnabled', { vg: lockspace.vg.vgName, enabledIn: other, advice });
    refuse(LD_RESULT.INVAL);
  });
}

/**
 * Two hosts may enable two VGs at once. Each reads the slots after its own write, so at least one
 * of them knows both before it grants either.
 */
function readAgain(state: DaemonState, asked: Asked, { manager }: Lockspace): Answered {
  return ({ result, lmResult }) => {
    if (result !== 0) return false;
    const { lockType } = manager;
    readSlots(state, asked, () => reply(state, asked, { result, lmResult, lockType }));
    return true;
  };
}

function isUsable(state: DaemonState, lockspace: Lockspace): boolean {
  const { phase } = lockspace;
  return state.lockspaces.includes(lockspace) && isInUse(phase) && !isLost(phase);
}

/** The name of another VG that carries it, or in which it is being enabled; null: none. */
function otherCarrier(state: DaemonState, lockspace: Lockspace): string | null {
  const known = glCarriers(state).find((one) => one !== lockspace);
  const coming = state.lockspaces.find((one) => one !== lockspace && isBeingEnabled(one));
  return (known ?? coming)?.vg.vgName ?? null;
}

function isBeingEnabled(lockspace: Lockspace): boolean {
  const resource = globalResource(lockspace);
  if (resource === undefined) return false;
  const { actions, running } = resource;
  const isNow = running?.op === 'switchGl' && running.action.kind === 'switchGl';
  const all = isNow ? [...actions, running.action] : actions;
  return all.some((one) => one.kind === 'switchGl' && one.enable);
}

function act(
  state: DaemonState,
  lockspace: Lockspace,
  asked: Asked,
  how: { readonly enable: boolean; readonly answered?: Answered },
): void {
  const action = { kind: 'switchGl', ...asked, ...how } as const;
  const resource = resourceOfGl(state, lockspace);
  advanceResource(state, lockspace, resource, { kind: 'action', action });
}

function resourceOfGl(state: DaemonState, lockspace: Lockspace): Resource {
  const resource = resourceIn(state, lockspace, { scope: 'gl', name: 'GLLK' });
  assert(resource !== null, 'only LVs are counted');
  return resource;
}

/**
 * The VG is removed, or becomes a local one: its global lock moves to the first other VG that runs
 * here. No other host has this VG started, so none holds its global lock, and no other host moves
 * it. A lock of the client moves with it, so that the command has it until its end.
 */
export function freeOfGl(
  state: DaemonState,
  lockspace: Lockspace,
  asked: Asked,
  then: () => void,
): void {
  const isInVg = lockspace.manager.traits.globalLock === 'inVg';
  if (!isInVg || state.lockspaces.length === 1) {
    then();
    return;
  }
  readSlots(state, asked, () => {
    if (!lockspace.glEnabled) {
      then();
      return;
    }
    const held = globalResource(lockspace)?.locks.find((l) => l.clientId === asked.clientId);
    const moved = (to: Lockspace) => keepLock(state, to, asked, held?.mode ?? null, then);
    const other = glCarriers(state).find((one) => one !== lockspace && isUsable(state, one));
    if (other !== undefined) {
      moved(other);
      return;
    }
    lockspace.glMovedBy = asked.clientId;
    const places = inOrder(state.lockspaces).filter(
      (one) => one !== lockspace && one.phase.kind === 'running' && isOfKind(one, lockspace),
    );
    moveTo(state, { from: lockspace, places, asked }, (to) => {
      if (to !== null) {
        moved(to);
        return;
      }
      lockspace.glMovedBy = 0;
      then();
    });
  });
}

function isOfKind(one: Lockspace, other: Lockspace): boolean {
  return one.manager === other.manager;
}

interface Move {
  readonly from: Lockspace;
  readonly places: readonly Lockspace[];
  readonly asked: Asked;
}

/** To the first of these that takes it. */
function moveTo(state: DaemonState, move: Move, then: (to: Lockspace | null) => void): void {
  const { from, asked } = move;
  const [place, ...places] = move.places;
  const fromVg = from.vg.vgName;
  if (place === undefined) {
    const advice = 'enable it in another VG: lvmlockctl --gl-enable VG';
    log(state, 'warn', 'global.notMoved', { vg: fromVg, advice });
    then(null);
    return;
  }
  const answered: Answered = ({ result }) => {
    if (result === 0) {
      log(state, 'info', 'global.moved', { from: fromVg, vg: place.vg.vgName });
      then(place);
    } else {
      moveTo(state, { ...move, places }, then);
    }
    return true;
  };
  if (isUsable(state, place)) act(state, place, asked, { enable: true, answered });
  else moveTo(state, { ...move, places }, then);
}

/** Whatever comes of it, the VG is freed: without the lock too, a removal goes on. */
function keepLock(
  state: DaemonState,
  place: Lockspace,
  { clientId, request: { pid, cmd } }: Asked,
  mode: HeldMode | null,
  then: () => void,
): void {
  if (mode === null || !isUsable(state, place)) {
    then();
    return;
  }
  const { lockType } = place.manager;
  const head = { kind: 'lock', op: LD_OP.LOCK, cmd, pid, lockType } as const;
  const how = { persistent: false, unlockCancel: false, adopt: 'no', repair: false } as const;
  const of = { scope: 'gl', vgName: '', lvUuid: '', lvLockArgs: '' } as const;
  const request: LockRequest = { ...head, ...how, ...of, mode, maxRetries: 0 };
  const answered = () => {
    then();
    return true;
  };
  const first = { tries: 0, dueMs: 0, isUndo: false, answered };
  const action: Action = { kind: 'lock', clientId, request, ...first };
  advanceResource(state, place, resourceOfGl(state, place), { kind: 'action', action });
}
