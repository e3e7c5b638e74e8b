import { HANDED_OVER_STATUS } from '../base/exit-status.ts';
import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import { helloReply } from '../wire/lvmlockd/replies.ts';
import type { LockRequest } from '../wire/lvmlockd/requests.ts';
import { writeAdoptFile } from './adopt-writes.ts';
import { type DaemonState, type HandOver, log } from './state.ts';
import type { Waiter } from './waiter.ts';

/**
 * The end for a successor: the locks of LVs stay in the lock manager as orphans, and the adopt file
 * names them. The locks of commands would stay too, but the successor releases them at once, while
 * their commands go on: so the end waits until none has a global or VG lock.
 */

/** lvm has the lock of a VG for as long as it reads or writes the metadata. */
const HAND_OVER_MS = 10_000;

type Serve = (state: DaemonState, held: HandOver['heldBack'][number]) => void;

/** `force`: commands in the middle of their work lose their locks. */
export function beginHandOver(state: DaemonState, to: Waiter, force: boolean): void {
  const untilMs = state.nowMs + (force ? 0 : HAND_OVER_MS);
  if (state.handOver !== null && !force) {
    answer(state, to, LD_RESULT.BUSY);
    return;
  }
  const heldBack = state.handOver?.heldBack ?? [];
  if (state.handOver !== null) answer(state, state.handOver.to, LD_RESULT.CANCELED);
  state.handOver = { to, untilMs, heldBack };
  log(state, 'info', 'daemon.handingOver', { lockspaces: state.lockspaces.length });
  if (force) end(state, to);
}

/** A command that has no lock yet waits: it would keep the daemon from ending. */
export function isHeldBack(state: DaemonState, clientId: number, request: LockRequest): boolean {
  const { handOver } = state;
  if (handOver === null || request.mode === 'un' || isInTheMiddle(state, clientId)) return false;
  handOver.heldBack.push({ clientId, request });
  return true;
}

/** After each event: ends the daemon, or refuses the order when its time is over. */
export function settleHandOver(state: DaemonState, serve: Serve): void {
  const { handOver } = state;
  if (handOver === null) return;
  if (state.tasks.size === 0 && !isInTheMiddle(state, null)) {
    end(state, handOver.to);
    return;
  }
  if (state.nowMs < handOver.untilMs) return;
  log(state, 'warn', 'daemon.notHandedOver', { afterMs: HAND_OVER_MS });
  answer(state, handOver.to, LD_RESULT.BUSY);
  giveUp(state, handOver, serve);
}

/** The client that gave the order is gone, and nobody waits for the successor. */
export function forgetHandOver(state: DaemonState, clientId: number, serve: Serve): void {
  const { handOver } = state;
  if (handOver === null) return;
  const at = handOver.heldBack.findIndex((one) => one.clientId === clientId);
  if (at >= 0) handOver.heldBack.splice(at, 1);
  if (handOver.to.clientId === clientId) giveUp(state, handOver, serve);
}

function giveUp(state: DaemonState, { heldBack }: HandOver, serve: Serve): void {
  state.handOver = null;
  for (const one of heldBack.splice(0)) serve(state, one);
}

/** Has the client a lock that ends with it? null: has any? */
function isInTheMiddle({ lockspaces }: DaemonState, clientId: number | null): boolean {
  return lockspaces.some(({ resources }) =>
    resources.some(({ locks }) =>
      locks.some((lock) => (clientId === null ? lock.clientId !== 0 : lock.clientId === clientId)),
    ),
  );
}

function end(state: DaemonState, to: Waiter): void {
  answer(state, to, LD_RESULT.OK);
  state.handOver = null;
  writeAdoptFile(state);
  state.effects.push({ kind: 'exit', status: HANDED_OVER_STATUS, leavesLocks: true });
}

function answer(state: DaemonState, { clientId }: Waiter, result: number): void {
  state.effects.push({ kind: 'send', clientId, text: helloReply(result) });
}
