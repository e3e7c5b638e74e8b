import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import { cancelStart } from './join-cancel.ts';
import { isStarting } from './lockspace-phase.ts';
import type { HostSeen } from './managers/manager.ts';
import { type DaemonState, type Lockspace, log, run } from './state.ts';
import { ofSpace } from './task-owner.ts';

/**
 * Two hosts with one host id: the second one to start a VG is told so, by the name of the first,
 * while the join would wait for the end of that host in vain.
 */

/** During a join with a host id that somebody else had; `quiet`: once nobody has renewed it. */
export function watchRival(state: DaemonState, lockspace: Lockspace, quiet: () => void): void {
  run(state, ofSpace(lockspace), lockspace.space.watchRival(), (watch) => {
    if (!isStarting(lockspace.phase)) return;
    if (watch.found !== 'renewed') {
      if (watch.found === 'over') return;
      quiet();
      watchRival(state, lockspace, quiet); // that host may only have been slow
      return;
    }
    reportRival(state, lockspace, watch.by);
    lockspace.failure = LD_RESULT.EHOSTID;
    // A join that succeeds all the same has the host id.
    cancelStart(state, lockspace, { to: null, again: () => {} });
  });
}

export function reportRival(state: DaemonState, lockspace: Lockspace, by: HostSeen): void {
  const { vg, hostId } = lockspace;
  const { name: otherHost, generation } = by;
  const advice =
    'two hosts have the same host_id: give one of them another (lvmlocal.conf, local/host_id), ' +
    `then start the VG again (vgchange --lockstart ${vg.vgName})`;
  log(state, 'error', 'host.duplicate', { vg: vg.vgName, hostId, otherHost, generation, advice });
}

/**
 * May the answer to a start wait for what is seen of that host? One command starts many VGs, one
 * after the other: it is held up once, and learns from start_wait of those that failed later.
 */
export function mayHoldUp(state: DaemonState, lockspace: Lockspace, clientId: number): boolean {
  const client = state.clients.get(clientId);
  const isFirst = state.lockspaces.every((one) => one === lockspace || !isStarting(one.phase));
  if (client === undefined || client.wasHeldUp || !isFirst) return false;
  client.wasHeldUp = true;
  return true;
}
