import type { ByteString } from '../base/bytes.ts';
import { SECOND_MS } from '../base/units.ts';
import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import type { RefreshRequest } from '../wire/lvmlockd/requests.ts';
import { withoutDashes } from './adopt-locks.ts';
import { lockspaceOf } from './lock-requests.ts';
import { LV_MARK_BYTES, type Outcome, type SpaceNotices } from './managers/manager.ts';
import { waitsForManager } from './reattach.ts';
import { reply } from './replies.ts';
import { type DaemonState, type Lockspace, log, run } from './state.ts';
import { OF_DAEMON } from './task-owner.ts';

/**
 * Tells the other hosts of a VG that an LV has another size now. A notice is shown for a while, and
 * replaces the one before: while another LV's is shown, all LVs of the VG are named instead.
 */

/** refresh_lv for a VG whose hosts can be told. @returns false: it is not one */
export function tellRequest(
  state: DaemonState,
  clientId: number,
  request: RefreshRequest,
): boolean {
  const lockspace = lockspaceOf(state, vgOfPath(request.path));
  const notices = lockspace?.space.notices ?? null;
  if (lockspace === null || notices === null) return false;
  const to = { clientId, request };
  const { lockType } = lockspace.manager;
  const again = () => void tellRequest(state, clientId, request);
  if (waitsForManager(lockspace, clientId, again)) return true;
  if (lockspace.phase.kind !== 'running') {
    const { vgName } = lockspace.vg;
    log(state, 'warn', 'refresh.notTold', { vg: vgName, phase: lockspace.phase.kind });
    reply(state, to, { result: LD_RESULT.ELMERR, lockType });
    return true;
  }
  const { refresh } = lockspace;
  const lvUuid = withoutDashes(request.lvUuid);
  // The next inspection finds the new size, and has nothing to tell.
  refresh.sizes = new Map([...refresh.sizes].filter(([uuid]) => uuid !== lvUuid));
  tell(state, { lockspace, notices, lvMark: markOf(lvUuid) }, (outcome) => {
    // Told later: the command does not wait for that.
    const isQueued = outcome.result === LD_RESULT.AGAIN;
    reply(state, to, isQueued ? { result: 0, lockType } : { ...outcome, lockType });
  });
  return true;
}

/** The VG in `/dev//VG/LV`. */
function vgOfPath(path: ByteString): ByteString {
  return (
    path
      .split('/')
      .filter((part) => part !== '')
      .at(-2) ?? ''
  );
}

export function markOf(lvUuid: ByteString): ByteString {
  return withoutDashes(lvUuid).slice(0, LV_MARK_BYTES);
}

/** Another event is shown for as long as a notice of ours would be. */
const RETRY_MS = 2 * SECOND_MS;
const SHOWN_BY_OTHERS = 2;

export function tell(
  state: DaemonState,
  what: {
    readonly lockspace: Lockspace;
    readonly notices: SpaceNotices;
    readonly lvMark: ByteString;
  },
  then: (outcome: Outcome) => void = () => {},
): void {
  const { lockspace, notices } = what;
  const { telling } = lockspace.refresh;
  const { shown } = telling;
  const isOther = shown !== null && shown.untilMs > state.nowMs && shown.lvMark !== what.lvMark;
  const lvMark = isOther ? '' : what.lvMark;
  telling.order = Math.max(telling.order + 1, Math.floor(state.nowMs));
  telling.shown = { lvMark, untilMs: state.nowMs + notices.shownMs };
  const { order } = telling;
  run(state, OF_DAEMON, notices.tell({ order, lvMark }), (outcome) => {
    const vg = lockspace.vg.vgName;
    if (outcome.result === 0) {
      telling.due = null;
      log(state, 'info', 'refresh.told', { vg, lv: lvMark });
    } else if (outcome.result === LD_RESULT.AGAIN) {
      telling.shown = null;
      const untilMs = telling.due?.untilMs ?? state.nowMs + SHOWN_BY_OTHERS * notices.shownMs;
      telling.due = { atMs: state.nowMs + RETRY_MS, untilMs };
    } else {
      telling.shown = null;
      telling.due = null;
      const { lmResult: result } = outcome;
      log(state, 'warn', 'refresh.notTold', { vg, lv: lvMark, result, advice: ADVICE });
    }
    then(outcome);
  });
}

const ADVICE =
  'run lvchange --refresh on the other hosts, which read the size anew by themselves later';

/** A notice that had to wait for another event. */
export function tellLate(state: DaemonState, lockspace: Lockspace): void {
  const { notices } = lockspace.space;
  const { telling } = lockspace.refresh;
  const { due } = telling;
  if (due === null || notices === null || due.atMs > state.nowMs) return;
  if (state.nowMs < due.untilMs && lockspace.phase.kind === 'running') {
    telling.due = { ...due, atMs: state.nowMs + notices.shownMs }; // set anew by the outcome
    tell(state, { lockspace, notices, lvMark: '' });
    return;
  }
  telling.due = null;
  log(state, 'warn', 'refresh.notTold', { vg: lockspace.vg.vgName, lv: '', advice: ADVICE });
}
