import { settleWaiters } from './lockspace-end.ts';
import { type DaemonState, hasLocks, log, run } from './state.ts';
import { OF_DAEMON } from './task-owner.ts';

/**
 * A lock manager may itself send SIGTERM (trait `sendsSigterm`): sanlock does, about once a second,
 * to the holders of leases in a lockspace that it loses or removes (SIGKILL is forbidden to it).
 * That is no order to end, and ending would not release the leases that LVs still use. A signal
 * does not say who sent it, so a SIGTERM is an order only when no lock manager can have a reason to
 * send one. None sends SIGINT: that is always an order.
 */
export type EndSignal = 'SIGTERM' | 'SIGINT';

export function terminate(state: DaemonState, signal: EndSignal): void {
  const managers = [...state.managers.values()];
  const sender = managers.find(({ traits }) => traits.sendsSigterm);
  // Without lockspaces the end loses nothing, from any sender.
  if (signal === 'SIGINT' || sender === undefined || state.lockspaces.length === 0) {
    quit(state, signal);
    return;
  }
  const suspect = suspectOf(state);
  if (suspect !== null) {
    logNotObeyed(state, suspect);
    return;
  }
  run(state, OF_DAEMON, sender.findLosses(), ({ dying, answered }) => {
    const ours = state.lockspaces.find((one) =>
      answered ? dying.includes(sender.spaceName(one.vg.vgName)) : hasLocks(one),
    );
    const now = ours?.vg.vgName ?? suspectOf(state);
    if (now === null) quit(state, signal);
    else logNotObeyed(state, now);
  });
}

function quit(state: DaemonState, signal: EndSignal): void {
  state.quitting = true;
  state.returning.clear();
  log(state, 'info', 'daemon.stopping', { signal, lockspaces: state.lockspaces.length });
  settleWaiters(state);
}

/**
 * A VG for which a sanlock may send SIGTERM: one that it removes while its leases are dropped, or
 * one that it had joined when its connection was lost. The next sanlock does not show such a
 * lockspace, but knows from its file of holders that lvmlockd is one.
 */
function suspectOf(state: DaemonState): string | null {
  const dropped = state.lockspaces.find(
    ({ phase }) => phase.kind === 'stopping' && phase.order.dropAll,
  );
  const [lost] = state.lostSpaces;
  return dropped?.vg.vgName ?? lost ?? null;
}

function logNotObeyed(state: DaemonState, vg: string): void {
  const advice = 'SIGINT ends lvmlockd in any case, once its lockspaces are left';
  log(state, 'error', 'lockspace.beingLost', { vg, advice });
}
