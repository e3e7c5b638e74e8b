import { ERRNO } from '../base/errno.ts';
import { HANDED_OVER_STATUS } from '../base/exit-status.ts';
import { leaseTimes } from '../lease/lease-times.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import type { Request } from './request.ts';
import type { Reply } from './state.ts';

/**
 * The end for a successor (holdfast only; root alone may ask): no request is served any more, those
 * under way end, and the daemon leaves with everything held. The lease processes say in their end
 * records that nothing of theirs is on its way, and wdmd has the expiries. A daemon that is killed
 * hands over as well; this one leaves nothing half done.
 */
export function handOverCommand(front: Front, request: Request, reply: Reply): void {
  if (request.client.uid !== 0) {
    reply(-ERRNO.EPERM);
    return;
  }
  if (front.ending) {
    reply(-ERRNO.EBUSY); // it ends for good
    return;
  }
  const untilMs = front.nowMs + longestMs(front);
  if (front.handsOver === null) front.effects.push({ kind: 'leaveClients' });
  front.handsOver = { untilMs, connection: request.client.connection, reply };
  const { lockspaces, pending } = front;
  const fields = { lockspaces: lockspaces.length, commands: pending.size };
  log(front, 'info', 'daemon.handingOver', fields);
}

/** As long as a renewal may be late without a word: the successor has most of the time. */
function longestMs({ settings, lockspaces }: Front): number {
  const all = lockspaces.map(({ times }) => times.renewalIntervalMs);
  return all.length === 0 ? leaseTimes(settings.ioTimeoutS).renewalIntervalMs : Math.min(...all);
}

/** After each event: leaves when no command of a client is under way, or the time is up. */
export function endForSuccessor(front: Front): void {
  const { handsOver, pending } = front;
  if (handsOver === null) return;
  if (pending.size > 0 && front.nowMs < handsOver.untilMs) return;
  if (pending.size > 0) log(front, 'warn', 'daemon.leavesUnfinished', { commands: pending.size });
  handsOver.reply(0);
  front.effects.push({ kind: 'end', connection: handsOver.connection });
  front.effects.push({ kind: 'exit', status: HANDED_OVER_STATUS });
}
