import { isStarting } from './lockspace-phase.ts';
import { changePhase } from './reattach.ts';
import { reply } from './replies.ts';
import { type CancelOrder, type DaemonState, type Lockspace, log, run } from './state.ts';
import { OF_DAEMON } from './task-owner.ts';

/**
 * A VG that is to be stopped while it is being started: a join waits minutes for a host id whose
 * owner died, or for a device that hangs. The lock manager gives the join up, and the VG is gone; a
 * join that was faster is stopped as one that runs. After CANCEL_MS lvmlockd forgets the VG in any
 * case, and the lock manager gives up by itself what it gets later.
 */

const CANCEL_MS = 15_000;

/** stop_vg, drop_vg, stop_all and the end of the daemon. */
export function cancelStart(state: DaemonState, lockspace: Lockspace, order: CancelOrder): void {
  lockspace.onCancelled.push(order);
  const { phase, vg } = lockspace;
  if (!isStarting(phase)) return; // an earlier order is being carried out
  log(state, 'info', 'lockspace.startCancelled', { vg: vg.vgName });
  // Before the join there is nothing for the lock manager to give up.
  const waitMs = phase.kind === 'joining' ? CANCEL_MS : 0;
  changePhase(state, lockspace, { kind: 'cancel', untilMs: state.nowMs + waitMs });
  run(state, OF_DAEMON, lockspace.space.cancel(), () => {});
}

/** It is joined, and the orders are those to stop it. */
export function joinedAnyway(lockspace: Lockspace): void {
  for (const { again } of lockspace.onCancelled.splice(0)) again();
}

/** It is gone. */
export function answerCancelled(state: DaemonState, { onCancelled, manager }: Lockspace): void {
  for (const { to } of onCancelled.splice(0)) {
    if (to === null) continue;
    // As the orders to stop a running one: stop_vg is answered with the client's lock type [run].
    const isStop = to.request.kind === 'stopVg';
    reply(state, to, isStop ? { result: 0 } : { result: 0, lockType: manager.lockType });
  }
}
