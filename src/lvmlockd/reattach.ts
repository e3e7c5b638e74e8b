import { unreachable } from '../base/assert.ts';
import { isLost, type PhaseEvent, stepPhase } from './lockspace-phase.ts';
import { type DaemonState, hasLocks, type Lockspace, log, type OnHold } from './state.ts';

/**
 * A lock manager that was killed under lvmlockd, and started again: the locks are kept, and the
 * work that its end cut is done again once they are attached (lockspace-phase.ts).
 */

/** How often it is looked whether anything still uses a lost VG. */
export const LOST_CHECK_MS = 10_000;

/** Applies an event to the phase of a lockspace. */
export function changePhase(state: DaemonState, lockspace: Lockspace, event: PhaseEvent): void {
  const { patienceMs } = lockspace.manager;
  const { phase, effects } = stepPhase(lockspace.phase, event, state.nowMs, patienceMs);
  if (isLost(phase) && !isLost(lockspace.phase)) {
    // A killed VG may have a kill command at work, which drops it when it has ended.
    const isAtOnce = phase.kind === 'detached' && !hasLocks(lockspace);
    lockspace.checkMs = state.nowMs + (isAtOnce ? 0 : LOST_CHECK_MS);
  }
  // The channel is of no use without the session, and was closed for an order to leave.
  if (phase.kind === 'running' && lockspace.phase.kind !== 'running') {
    lockspace.watchMs = state.nowMs; // presence.ts begins it, at the end of this step
  }
  lockspace.phase = phase;
  for (const effect of effects) {
    switch (effect) {
      case 'attempt':
        lockspace.attempt = 'due'; // attach-locks.ts begins it, at the end of this step
        break;
      case 'resume':
        state.lostSpaces.delete(lockspace.vg.vgName);
        log(state, 'info', 'manager.returned', { vg: lockspace.vg.vgName });
        for (const work of lockspace.onHold.splice(0)) work.again();
        break;
      case 'giveUp':
        for (const work of lockspace.onHold.splice(0)) work.fail();
        break;
      case 'reportLoss':
        reportLoss(state, lockspace);
        break;
      case 'reportMissing':
        reportMissing(state, lockspace);
        break;
      default:
        unreachable(effect);
    }
  }
}

/** The registered connection of a lockspace ended. */
export function sessionLost(state: DaemonState, lockspace: Lockspace): void {
  const { vg, manager, phase } = lockspace;
  // Without locks, lvmlockd is not in the file of holders of that sanlock.
  if (hasLocks(lockspace)) state.lostSpaces.add(vg.vgName);
  if (phase.kind === 'running') {
    log(state, 'warn', 'manager.gone', { vg: vg.vgName, lockType: manager.lockType });
  }
  changePhase(state, lockspace, { kind: 'sessionLost' });
}

function reportLoss(state: DaemonState, { vg, manager }: Lockspace): void {
  const advice = `deactivate the LVs of this VG, then lvmlockctl --drop ${vg.vgName}`;
  log(state, 'error', 'manager.lost', { vg: vg.vgName, lockType: manager.lockType, advice });
}

/** The lock manager is there without this lockspace: another host may get its locks at any time. */
function reportMissing(state: DaemonState, lockspace: Lockspace): void {
  const { vg, manager, resources } = lockspace;
  const { vgName } = vg;
  const locked = resources.filter(({ locks }) => locks.length > 0);
  const fields = { vg: vgName, lockType: manager.lockType, locks: locked.length };
  if (locked.length === 0) {
    const advice = 'no lock is held in it: lvmlockd starts it again by itself';
    log(state, 'warn', 'lockspace.missing', { ...fields, advice });
    return;
  }
  const advice =
    `nothing protects what is locked here: deactivate the LVs of this VG (lvchange -an) at once; ` +
    `lvmlockd starts it again when none is locked and active`;
  log(state, 'error', 'lockspace.missing', { ...fields, advice });
  for (const { ref, mode } of locked.slice(0, MAX_LOGGED)) {
    log(state, 'error', 'lock.unprotected', { vg: vgName, resource: ref.name, mode });
  }
  const more = locked.length - MAX_LOGGED;
  if (more > 0) log(state, 'error', 'lock.unprotected', { vg: vgName, more });
}

const MAX_LOGGED = 20;

/** Until the lock manager is back, or given up. */
export function putOnHold(lockspace: Lockspace, work: OnHold): void {
  lockspace.onHold.push(work);
}

/** Has a request wait while the lock manager is away; false: it is there, or is not waited for. */
export function waitsForManager(
  { phase, onHold }: Lockspace,
  clientId: number,
  serve: () => void,
): boolean {
  if (phase.kind !== 'reattaching') return false;
  onHold.push({ clientId, again: serve, fail: serve });
  return true;
}

/** The same for a request that the end of the lock manager cut: it is served again. */
export function waitsAgain(
  state: DaemonState,
  lockspace: Lockspace,
  clientId: number,
  serve: () => void,
): boolean {
  const { kind } = lockspace.phase;
  if (kind !== 'running' && kind !== 'reattaching') return false;
  lockspace.onHold.push({ clientId, again: serve, fail: serve });
  if (kind === 'running') sessionLost(state, lockspace);
  return true;
}
