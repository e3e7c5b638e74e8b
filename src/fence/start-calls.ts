import { unreachable } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import type { Result } from '../base/result.ts';
import { align } from '../wire/sanlock/area-calls.ts';
import type { SanlockCall } from '../wire/sanlock/call.ts';
import {
  addLockspace,
  register,
  removeLockspace,
  setConfig,
  status,
} from '../wire/sanlock/daemon-calls.ts';
import type { SanlockFailure } from '../wire/sanlock/failure.ts';
import { acquire, killpath, release, restrict } from '../wire/sanlock/lease-calls.ts';
import { textField } from '../wire/sanlock/records.ts';
import { CONFIG_COMMANDS, RESTRICT_FLAGS, STATE_TYPES } from '../wire/sanlock/socket.ts';
import type { StateRecord } from '../wire/sanlock/types.ts';
import type { CallStep, Failure, FenceEffect, FenceState, StartStep } from './state.ts';
import { FENCE_LOCKSPACE, fenceLockspace, ownLease } from './storage.ts';

const QUICK_MS = 10_000;
/** The end of this program does not hang on a disk that does. */
const UNDO_MS = 60_000;
/** How REM_LOCKSPACE answers for one that is gone, or being removed. */
const LEAVING: readonly number[] = [-ERRNO.ENOENT, -ERRNO.EINPROGRESS, -ERRNO.EAGAIN];

export function effectOf(state: FenceState, step: StartStep): FenceEffect {
  switch (step) {
    case 'checkWatchdog':
      return { kind: 'readStatus', call: status(STATE_TYPES.DAEMON), timeoutMs: QUICK_MS };
    case 'connect':
      return { kind: 'connect' };
    case 'checkStorage':
    case 'setKillpath':
    case 'restrict':
    case 'join':
    case 'keepForOrphans':
    case 'acquire':
      return callEffect(state, step);
    default:
      return unreachable(step);
  }
}

export function callEffect(state: FenceState, step: CallStep): FenceEffect {
  const { path, hostId } = state.start;
  const lockspace = fenceLockspace(path, hostId);
  switch (step) {
    case 'checkStorage':
      return own(step, align({ path, offset: 0n }), undefined);
    case 'register':
      return registered(step, register(), QUICK_MS);
    case 'setKillpath':
      return registered(step, killpath({ path: state.killpath, args: '-1' }), QUICK_MS);
    case 'restrict':
      return registered(step, restrict(RESTRICT_FLAGS.SIGKILL), QUICK_MS);
    case 'join':
      return own(step, addLockspace(lockspace), undefined);
    case 'keepForOrphans': // keeps the host id while our lease is held or orphaned
      return own(step, setConfig(FENCE_LOCKSPACE, CONFIG_COMMANDS.USED_BY_ORPHANS), QUICK_MS);
    case 'acquire':
      return registered(step, acquire([ownLease(path, hostId)]), undefined);
    case 'release':
      return registered(step, release([ownLease(path, hostId)]), UNDO_MS);
    case 'abortJoin':
    case 'leave': // starts it; the lockspace ends in its own time
      return own(step, removeLockspace(lockspace, { async: true }), UNDO_MS);
    default:
      return unreachable(step);
  }
}

function own(step: CallStep, call: SanlockCall<number>, timeoutMs: number | undefined) {
  return { kind: 'call', step, call, over: 'own', timeoutMs } as const;
}

function registered(step: CallStep, call: SanlockCall<number>, timeoutMs: number | undefined) {
  return { kind: 'call', step, call, over: 'registered', timeoutMs } as const;
}

export function isLeaving(result: Result<number, SanlockFailure>): boolean {
  return result.ok || LEAVING.includes(result.error.code);
}

/**
 * Whether fencing by this sanlock can be relied on. Others take our lease 8t + 60 s after sanlock's
 * last renewal; without a watchdog of its own, a sanlock that was killed would leave this host
 * running at that time.
 */
export function unfitForFencing(found: Result<readonly StateRecord[], SanlockFailure>): Failure {
  if (!found.ok) return found.error.message;
  if (usesWatchdog(found.value)) return null;
  return 'sanlock runs without wdmd (-w 0): nothing would reset this host when it fails';
}

function usesWatchdog(records: readonly StateRecord[]): boolean {
  const daemon = records.find(({ type }) => type === STATE_TYPES.DAEMON);
  return daemon !== undefined && textField(daemon, 'use_watchdog') === '1';
}
