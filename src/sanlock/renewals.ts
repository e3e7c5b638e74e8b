import { assert } from '../base/assert.ts';
import type { FromLeaseProcess } from '../lease-process/messages.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { recordRenewal } from './holder-journal.ts';
import { announce } from './host-events.ts';
import { refusalFields } from './refusals.ts';
import { resultNumber } from './result-number.ts';
import type { Lockspace, RenewalEntry } from './state.ts';
import { feedWatchdog } from './watchdog.ts';

/** The host id is ours on the disk: the first renewal, as it were. */
export function takeJoin(
  front: Front,
  space: Lockspace,
  message: Extract<FromLeaseProcess, { kind: 'joined' }>,
): void {
  const { generation, timestampS, sectorSize, areaBytes, maxHosts } = message;
  Object.assign(space, { generation, sectorSize, areaBytes, maxHosts });
  space.acquiredS = timestampS;
  space.lastSuccessS = timestampS;
  space.claimedBootMs = message.claimedBootMs;
  space.lastAttemptS = timestampS;
  recordRenewal(front, space);
  remember(front, space, { timestampS, readMs: 0, writeMs: 0, nextTimeouts: 0, nextErrors: 0 });
}

/** Expiry counts from the timestamp in the renewal, taken before its write. */
export function takeRenewal(
  front: Front,
  space: Lockspace,
  message: Extract<FromLeaseProcess, { kind: 'renewed' }>,
): void {
  const { timestampS } = message;
  assert(timestampS >= space.lastSuccessS, 'renewals carry growing timestamps');
  space.lastSuccessS = timestampS;
  space.claimedBootMs = message.claimedBootMs;
  const readMs = Math.round(message.readMs);
  const writeMs = Math.round(message.writeMs);
  remember(front, space, { timestampS, readMs, writeMs, nextTimeouts: 0, nextErrors: 0 });
  announce(front, space);
  feedWatchdog(front, space);
  recordRenewal(front, space);
}

export function renewalFailed(
  front: Front,
  space: Lockspace,
  message: Extract<FromLeaseProcess, { kind: 'renewalFailed' }>,
): void {
  space.renewalResult = resultNumber(message.error);
  space.lastAttemptS = front.nowS;
  if (message.overwritten) space.corruptResult = space.renewalResult;
  const last = space.history.at(-1);
  if (last !== undefined) {
    if (message.error.code === 'AIO_TIMEOUT') last.nextTimeouts++;
    else last.nextErrors++;
  }
  log(front, message.overwritten ? 'error' : 'warn', 'renewal.failed', {
    lockspace: space.name,
    hostId: space.hostId,
    path: space.path,
    ...refusalFields(message),
    ageS: front.nowS - space.lastSuccessS,
  });
}

function remember(front: Front, space: Lockspace, entry: RenewalEntry): void {
  const { renewalHistorySize } = front.settings;
  if (renewalHistorySize === 0) return;
  space.history.push(entry);
  if (space.history.length > renewalHistorySize) space.history.shift();
}
