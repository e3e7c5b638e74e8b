import type { ByteString } from '../base/bytes.ts';
import { settleWaiters } from './lockspace-end.ts';
import { type DaemonState, hasLocks, log, run } from './state.ts';
import { OF_DAEMON } from './task-owner.ts';

/**
 * sanlock itself sends SIGTERM, about once a second, to whoever holds leases in a lockspace that it
 * loses or removes; SIGKILL we do not let it send. That is no wish to end us, and ending would not
 * release what LVs still use. Nothing tells who sent a signal, so a SIGTERM is an order only when
 * no sanlock can have a reason to send one. A sanlock never sends SIGINT: that is always an order.
 */
export type EndSignal = 'SIGTERM' | 'SIGINT';

export function terminate(state: DaemonState, signal: EndSignal): void {
  const lockManager = state.managers.get('sanlock');
  // Without lockspaces nothing is lost by ending, whoever it was.
  if (signal === 'SIGINT' || lockManager === undefined || state.lockspaces.length === 0) {
    quit(state, signal);
    return;
  }
  const suspect = suspectOf(state);
  if (suspect !== null) {
    notAnOrder(state, suspect);
    return;
  }
  run(state, OF_DAEMON, lockManager.findLosses(), ({ dying, answered }) => {
    const ours = state.lockspaces.find((one) =>
      answered ? isDying(one.name, dying) : hasLocks(one),
    );
    const now = ours?.vg.vgName ?? suspectOf(state);
    if (now === null) quit(state, signal);
    else notAnOrder(state, now);
  });
}

function quit(state: DaemonState, signal: EndSignal): void {
  state.quitting = true;
  log(state, 'info', 'daemon.stopping', { signal, lockspaces: state.lockspaces.length });
  settleWaiters(state);
}

/**
 * A VG for which a sanlock may stop us: one that it gives up while its leases are dropped, or that
 * it had joined when we lost it. The next one does not show such a lockspace, but knows from its
 * file of holders that we are one.
 */
function suspectOf(state: DaemonState): string | null {
  const dropped = state.lockspaces.find((one) => one.phase === 'stopping' && one.dropped);
  const [lost] = state.lostSpaces;
  return dropped?.vg.vgName ?? lost ?? null;
}

function notAnOrder(state: DaemonState, vg: string): void {
  const advice = 'SIGINT ends lvmlockd in any case, once its lockspaces are left';
  log(state, 'error', 'lockspace.beingLost', { vg, advice });
}

function isDying(name: ByteString, dying: readonly ByteString[]): boolean {
  return dying.some((one) => one === name.slice(0, SANLOCK_NAME_BYTES));
}

const SANLOCK_NAME_BYTES = 48;
