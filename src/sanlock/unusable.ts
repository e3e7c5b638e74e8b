import type { ByteString } from '../base/bytes.ts';
import { wholeSeconds } from '../base/units.ts';
import { SANLK_OK } from '../wire/sanlock/codes.ts';
import type { Front } from './front.ts';
import { isRemoved, listOf, mayGrant } from './lockspace-phase.ts';
import { isUnasked } from './lost-lockspaces.ts';
import type { Why } from './refusals.ts';
import type { Lockspace, Unusable } from './state.ts';

// Where nothing can be acquired in a lockspace, clients are answered −28 alone: the log says why.

/** More were never seen on one host. The oldest is forgotten. */
const MAX_GONE = 64;

/** After each change of its phase. */
export function noteUsable(front: Front, space: Lockspace): void {
  const isUsable = mayGrant(space);
  if (isUsable) space.unusableSinceMs = null;
  else space.unusableSinceMs ??= front.nowMs;
}

/** Its end: `whyUnusable` tells of it until one of its name is joined. */
export function noteGone(front: Front, space: Lockspace): void {
  if (isUnasked(front, space) && front.gone.has(space.name)) return; // what it was lost for counts
  front.gone.delete(space.name);
  const [oldest] = front.gone.keys();
  if (front.gone.size >= MAX_GONE && oldest !== undefined) front.gone.delete(oldest);
  front.gone.set(space.name, stateOf(front, space));
}

/** Log fields: the reason, numbers that say more, and for how long it has been so. */
export function whyUnusable(front: Front, name: ByteString): Why {
  const { reason, number, sinceMs } = find(front, name);
  const joinsAgain = front.lost.some(({ space }) => space.name === name);
  return {
    reason,
    ...number,
    forS: wholeSeconds(front.nowMs - sinceMs),
    ...(joinsAgain ? { joinsAgain } : {}),
  };
}

function find(front: Front, name: ByteString): Unusable {
  const space = front.lockspaces.find((one) => one.name === name);
  const gone = front.gone.get(name);
  if (gone !== undefined && (space === undefined || isUnasked(front, space))) return gone;
  if (space !== undefined) return stateOf(front, space);
  const isLeft = front.survivors.some((one) => one.space.name === name);
  return {
    reason: isLeft ? EARLIER_DAEMON : 'the lockspace was not joined since this daemon was started',
    number: null,
    sinceMs: front.startedMs,
  };
}

const EARLIER_DAEMON = 'an earlier daemon had the lockspace, and its users are being stopped';

function stateOf(front: Front, space: Lockspace): Unusable {
  const sinceMs = space.unusableSinceMs ?? front.nowMs;
  const { acquireResult, corruptResult, renewalResult, phase } = space;
  const at = (reason: string, number: Unusable['number'] = null) => ({ reason, number, sinceMs });
  if (isRemoved(space)) return at('the lockspace was removed by a client');
  if (acquireResult !== SANLK_OK) {
    return acquireResult === 0 && listOf(space) === 'adding'
      ? at('the lockspace is being joined')
      : at('the lockspace could not be joined', { joinResult: acquireResult });
  }
  if (corruptResult !== 0) {
    const said = { renewalResult: corruptResult };
    return at('the lockspace was lost: its host lease is damaged, or of another host', said);
  }
  if (phase.kind === 'live' && phase.processLost) {
    return at('the lockspace is being lost: its lease process has ended');
  }
  const said = renewalResult === 0 ? null : { renewalResult };
  return at('the lockspace was lost: it was not renewed in time', said);
}
