import { assert, unreachable } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { REFUSED_LANDS_MS } from '../lease/lease-times.ts';
import { SANLOCK_CODES } from '../wire/sanlock/codes.ts';
import type {
  Joined,
  LockspaceEffect,
  LockspaceEvent,
  Moment,
  Renewed,
  Step,
  Usage,
} from './lockspace-events.ts';
import {
  type LeavingPhase,
  LIVE,
  type LivePhase,
  type LockspacePhase,
  type StoppingPhase,
} from './lockspace-phase.ts';

/** From the time its last writes may take until a lease process counts as stuck. */
const LEAVE_DEADLINE_MS = 3000;

const NOTHING: readonly LockspaceEffect[] = [];
const END_PROCESS: readonly LockspaceEffect[] = [
  { kind: 'releaseWatchdog' },
  { kind: 'failCommands' },
  { kind: 'endProcess' },
];

/** Every change of a lockspace's phase. */
export function stepLockspace(phase: LockspacePhase, event: LockspaceEvent, at: Moment): Step {
  switch (event.kind) {
    case 'notRecorded':
      if (phase.kind !== 'waiting') return stay(phase); // it is recorded once, at first
      return end(phase, { kind: 'failJoin', result: -ERRNO.EAGAIN });
    case 'mayJoin':
      if (phase.kind !== 'waiting') return stay(phase); // it joins once, and not while it leaves
      return { phase: { kind: 'joining' }, effects: [{ kind: 'sendJoin' }] };
    case 'joined':
      return joined(phase, event.message);
    case 'joinFailed':
      if (phase.kind === 'ending') return stay(phase); // we killed it meanwhile
      return end(phase, { kind: 'failJoin', result: event.result });
    case 'armed':
      if (phase.kind !== 'arming') return stay(phase); // its removal came first
      return { phase: LIVE, effects: [{ kind: 'open' }] };
    case 'watchdogFailed': {
      const failed = { kind: 'failJoin', result: SANLOCK_CODES.WD_ERROR } as const;
      return undoJoin(phase, at, failed);
    }
    case 'renewed':
      return renewed(phase, event.message);
    case 'removeAsked':
      return removeAsked(phase, at);
    case 'tick':
      return tick(phase, event, at);
    case 'leaveUnsure':
      return leaveUnsure(phase, event.untilMs);
    case 'left':
      return phase.kind === 'ending' ? stay(phase) : end(phase); // as above
    case 'processLost':
      return processLost(phase);
    case 'processEnded':
      assert(phase.kind === 'ending', 'a lease process is gone for good only after it was killed');
      return stay(phase, { kind: 'forget' });
    default:
      return unreachable(event);
  }
}

function stay(phase: LockspacePhase, ...effects: readonly LockspaceEffect[]): Step {
  return { phase, effects };
}

function joined(phase: LockspacePhase, message: Joined): Step {
  // While it is removed `left` follows; and it joins only once.
  if (phase.kind !== 'joining') return stay(phase);
  const effects = [{ kind: 'takeJoin', message } as const, { kind: 'armWatchdog' } as const];
  return { phase: { kind: 'arming' }, effects };
}

function renewed(phase: LockspacePhase, message: Renewed): Step {
  switch (phase.kind) {
    case 'stopping':
    case 'ending':
      return stay(phase); // too late: its users are being stopped
    case 'leaving':
      if (phase.wasLive) return stay(phase); // as above
      return stay(phase, { kind: 'takeRenewal', message });
    case 'live': {
      const { processLost, removal } = phase;
      const next = phase.warned
        ? ({ kind: 'live', processLost, removal, warned: false } as const)
        : phase;
      return { phase: next, effects: [{ kind: 'takeRenewal', message }] };
    }
    case 'waiting':
    case 'joining':
    case 'arming': // a slow wdmd is asked while the host id is renewed already
      return stay(phase, { kind: 'takeRenewal', message });
    default:
      return unreachable(phase);
  }
}

function removeAsked(phase: LockspacePhase, at: Moment): Step {
  switch (phase.kind) {
    case 'waiting':
    case 'joining':
    case 'arming':
      return undoJoin(phase, at);
    case 'live':
    case 'stopping': // for another reason: then what a lost lockspace still has is given up as well
    case 'leaving': // it is on its way
    case 'ending':
      return stay({ ...phase, removal: true });
    default:
      return unreachable(phase);
  }
}

/** Of a lockspace that no client could use yet: the host id is released, if it was acquired. */
function undoJoin(phase: LockspacePhase, at: Moment, ...first: readonly LockspaceEffect[]): Step {
  switch (phase.kind) {
    case 'waiting':
      return end(phase, ...first);
    case 'joining':
    case 'arming': {
      const undone = { failed: false, removal: false, wasLive: false };
      return leave(undone, at, [...first, ...leaving(true)]);
    }
    case 'live':
    case 'stopping':
    case 'leaving':
    case 'ending':
      return stay(phase); // once it was live, it is only left when its users are gone
    default:
      return unreachable(phase);
  }
}

type Tick = Extract<LockspaceEvent, { kind: 'tick' }>;

function tick(phase: LockspacePhase, event: Tick, at: Moment): Step {
  switch (phase.kind) {
    case 'live':
      return tickOfLive(phase, event, at);
    case 'stopping':
      return stopUsers(phase, event, at);
    case 'leaving': // one stuck on its device does not answer
      return at.nowMs < phase.byMs ? stay(phase) : end(phase);
    case 'waiting':
    case 'joining':
    case 'arming':
    case 'ending':
      return stay(phase); // no users yet, or no more; wdmd and the lease process have deadlines
    default:
      return unreachable(phase);
  }
}

/** Judged by our own clock, never by a timer having fired. */
function tickOfLive(phase: LivePhase, event: Tick, at: Moment): Step {
  const { ageMs, isOverwritten, usage } = event;
  const { processLost, removal } = phase;
  const refuse = { kind: 'refuse' } as const;
  if (isOverwritten || ageMs >= at.times.renewalFailMs) {
    const failed = { kind: 'stopping', failed: true, removal } as const;
    return stopUsers(failed, event, at, { kind: 'logLost', ageMs }, refuse);
  }
  // A lost process will not renew again. With nothing held there is nothing to wait for.
  const isFree = !usage.byProcesses && !usage.byOrphans;
  if (processLost && isFree) {
    return stopUsers({ kind: 'stopping', failed: true, removal }, event, at, refuse);
  }
  const isLate = ageMs >= at.times.renewalWarnMs && !phase.warned;
  const late: readonly LockspaceEffect[] = isLate ? [{ kind: 'logLate', ageMs }] : NOTHING;
  if (removal) {
    const removed = { kind: 'stopping', failed: processLost, removal } as const;
    return stopUsers(removed, event, at, ...late, refuse);
  }
  if (!isLate) return stay(phase);
  return { phase: { kind: 'live', processLost, removal, warned: true }, effects: late };
}

function stopUsers(
  phase: StoppingPhase,
  { usage, isOverwritten, isWatchdogAway, ageMs }: Tick,
  at: Moment,
  ...first: readonly LockspaceEffect[]
): Step {
  const { failed, removal } = phase;
  if (!isGone(phase, usage)) return stay(phase, ...first, { kind: 'stopUsers', removal });
  // Left now, its expiry would stand with the next wdmd, and reset this host for nothing.
  if (isWatchdogAway && ageMs < at.times.renewalFailMs) return stay(phase, ...first);
  const release = !failed && !isOverwritten;
  return leave({ failed, removal, wasLive: true }, at, [...first, ...leaving(release)]);
}

function isGone({ failed, removal }: StoppingPhase, usage: Usage): boolean {
  if (usage.external || usage.byProcesses) return false;
  // In a lost lockspace orphans protect nothing any more, and its removal was asked for knowingly.
  return (failed && removal) || !usage.byOrphans;
}

/** Users are gone: the watchdog is released first, the host id last. */
function leaving(release: boolean): readonly LockspaceEffect[] {
  return [{ kind: 'releaseWatchdog' }, { kind: 'leave', release }];
}

function leave(
  from: Pick<LeavingPhase, 'failed' | 'removal' | 'wasLive'>,
  at: Moment,
  effects: readonly LockspaceEffect[],
): Step {
  const { failed, removal, wasLive } = from;
  const byMs = at.nowMs + at.times.ioTimeoutMs + LEAVE_DEADLINE_MS;
  const mostMs = byMs + REFUSED_LANDS_MS;
  return { phase: { kind: 'leaving', failed, removal, wasLive, byMs, mostMs }, effects };
}

/**
 * Killed now, its process would be gone before the refused writes are over, and they could land
 * over what the next membership writes (spec 10 §18.2).
 */
function leaveUnsure(phase: LockspacePhase, untilMs: number): Step {
  if (phase.kind !== 'leaving') return stay(phase); // it was not asked to leave, or is killed
  const byMs = Math.min(untilMs + LEAVE_DEADLINE_MS, phase.mostMs);
  if (byMs <= phase.byMs) return stay(phase);
  return stay({ ...phase, byMs }, { kind: 'logLeavesLater', untilMs });
}

/** No renewal will ever come; users are stopped when their time is up. */
function processLost(phase: LockspacePhase): Step {
  const lost = { kind: 'logProcessLost' } as const;
  switch (phase.kind) {
    case 'live':
      return stay({ ...phase, processLost: true }, lost, { kind: 'failCommands' });
    case 'stopping': // and then it is left without a release
      return stay({ ...phase, failed: true }, lost, { kind: 'failCommands' });
    case 'waiting':
    case 'joining':
    case 'arming':
    case 'leaving':
      return end(phase, lost);
    case 'ending':
      return stay(phase); // we killed it
    default:
      return unreachable(phase);
  }
}

/** Its lease process is killed; `processEnded` follows. */
function end(phase: LockspacePhase, ...first: readonly LockspaceEffect[]): Step {
  const failed = phase.kind === 'live' ? phase.processLost : 'failed' in phase && phase.failed;
  const removal = 'removal' in phase && phase.removal;
  return { phase: { kind: 'ending', failed, removal }, effects: [...first, ...END_PROCESS] };
}
