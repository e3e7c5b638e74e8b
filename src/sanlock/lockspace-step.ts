import { assert, unreachable } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { type LeaseTimes, REFUSED_LANDS_MS } from '../lease/lease-times.ts';
import type { FromLeaseProcess } from '../lease-process/messages.ts';
import { SANLOCK_CODES } from '../wire/sanlock/codes.ts';
import type { LeavingPhase, LivePhase, LockspacePhase, StoppingPhase } from './lockspace-phase.ts';

type Joined = Extract<FromLeaseProcess, { kind: 'joined' }>;
type Renewed = Extract<FromLeaseProcess, { kind: 'renewed' }>;

/** What uses a lockspace at this moment. */
export interface Usage {
  /** A registered process holds a lease in it. */
  readonly byProcesses: boolean;
  /** A lease without a process is in it, and orphans count as users. */
  readonly byOrphans: boolean;
  /** A client declared it used, by SET_CONFIG. */
  readonly external: boolean;
}

export type LockspaceEvent =
  /** The journal of holders took no line for it. */
  | { readonly kind: 'notRecorded' }
  /** wdmd has its device open, or there is no watchdog. */
  | { readonly kind: 'mayJoin' }
  | { readonly kind: 'joined'; readonly message: Joined }
  | { readonly kind: 'joinFailed'; readonly result: number }
  /** wdmd knows the expiry, or there is no watchdog. */
  | { readonly kind: 'armed' }
  /** wdmd cannot be reached, or its device would fire too late: the lockspace is not joined. */
  | { readonly kind: 'watchdogFailed' }
  | { readonly kind: 'renewed'; readonly message: Renewed }
  | { readonly kind: 'removeAsked' }
  /** `isOverwritten`: a renewal found another host's record, or damage. */
  | {
      readonly kind: 'tick';
      readonly ageMs: number;
      readonly isOverwritten: boolean;
      readonly usage: Usage;
    }
  /** Writes that were refused may land until then. */
  | { readonly kind: 'leaveUnsure'; readonly untilMs: number }
  | { readonly kind: 'left' }
  /** The channel of its lease process broke unasked. */
  | { readonly kind: 'processLost' }
  /** Its lease process is gone for good, with every write that it had sent. */
  | { readonly kind: 'processEnded' };

export type LockspaceEffect =
  | { readonly kind: 'sendJoin' }
  | { readonly kind: 'takeJoin'; readonly message: Joined }
  /** Answered by `armed` or `watchdogFailed`, perhaps at once. */
  | { readonly kind: 'armWatchdog' }
  | { readonly kind: 'open' }
  | { readonly kind: 'failJoin'; readonly result: number }
  | { readonly kind: 'takeRenewal'; readonly message: Renewed }
  | { readonly kind: 'logLate' | 'logLost'; readonly ageMs: number }
  /** The lease process writes no lease any more. */
  | { readonly kind: 'refuse' }
  /** One attempt of the kill sequence (spec 20 §7). */
  | { readonly kind: 'stopUsers'; readonly removal: boolean }
  | { readonly kind: 'releaseWatchdog' }
  | { readonly kind: 'leave'; readonly release: boolean }
  | { readonly kind: 'logLeavesLater'; readonly untilMs: number }
  | { readonly kind: 'logProcessLost' }
  /** Answers the commands that its lease process will never answer. */
  | { readonly kind: 'failCommands' }
  | { readonly kind: 'endProcess' }
  | { readonly kind: 'forget' };

export interface Step {
  readonly phase: LockspacePhase;
  readonly effects: readonly LockspaceEffect[];
}

/** From the time its last writes may take until a lease process counts as stuck. */
const LEAVE_DEADLINE_MS = 3000;

const NOTHING: readonly LockspaceEffect[] = [];
const END_PROCESS: readonly LockspaceEffect[] = [
  { kind: 'releaseWatchdog' },
  { kind: 'failCommands' },
  { kind: 'endProcess' },
];

/** Every change of a lockspace's phase. `nowMs` is only used for how long it may take to leave. */
export function stepLockspace(
  phase: LockspacePhase,
  event: LockspaceEvent,
  nowMs: number,
  times: LeaseTimes,
): Step {
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
      return undoJoin(phase, { nowMs, times, first: [failed] });
    }
    case 'renewed':
      return renewed(phase, event.message);
    case 'removeAsked':
      return removeAsked(phase, nowMs, times);
    case 'tick':
      return tick(phase, event, nowMs, times);
    case 'leaveUnsure':
      return leaveUnsure(phase, event.untilMs);
    case 'left':
      return phase.kind === 'ending' ? stay(phase) : end(phase); // as above
    case 'processLost':
      return processLost(phase);
    case 'processEnded':
      assert(phase.kind === 'ending', 'a lease process is gone for good only after it was killed');
      return { phase, effects: [{ kind: 'forget' }] };
    default:
      return unreachable(event);
  }
}

const LIVE: LivePhase = { kind: 'live', processLost: false, removal: false, warned: false };

function stay(phase: LockspacePhase): Step {
  return { phase, effects: NOTHING };
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
      return { phase, effects: [{ kind: 'takeRenewal', message }] };
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
      return { phase, effects: [{ kind: 'takeRenewal', message }] };
    default:
      return unreachable(phase);
  }
}

function removeAsked(phase: LockspacePhase, nowMs: number, times: LeaseTimes): Step {
  switch (phase.kind) {
    case 'waiting':
    case 'joining':
    case 'arming':
      return undoJoin(phase, { nowMs, times, first: NOTHING });
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
function undoJoin(
  phase: LockspacePhase,
  {
    nowMs,
    times,
    first,
  }: {
    readonly nowMs: number;
    readonly times: LeaseTimes;
    readonly first: readonly LockspaceEffect[];
  },
): Step {
  switch (phase.kind) {
    case 'waiting':
      return end(phase, ...first);
    case 'joining':
    case 'arming': {
      const undone = { failed: false, removal: false, wasLive: false };
      return leave(undone, { nowMs, times, release: true, first });
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

function tick(
  phase: LockspacePhase,
  event: Extract<LockspaceEvent, { kind: 'tick' }>,
  nowMs: number,
  times: LeaseTimes,
): Step {
  switch (phase.kind) {
    case 'live':
      return tickOfLive(phase, event, nowMs, times);
    case 'stopping':
      return stopUsers(phase, event, { nowMs, times, first: NOTHING });
    case 'leaving': // one stuck on its device does not answer
      return nowMs < phase.byMs ? stay(phase) : end(phase);
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
function tickOfLive(
  phase: LivePhase,
  event: Extract<LockspaceEvent, { kind: 'tick' }>,
  nowMs: number,
  times: LeaseTimes,
): Step {
  const { ageMs, isOverwritten, usage } = event;
  const { processLost, removal } = phase;
  if (isOverwritten || ageMs >= times.renewalFailMs) {
    const first = [{ kind: 'logLost', ageMs } as const, { kind: 'refuse' } as const];
    return stopUsers({ kind: 'stopping', failed: true, removal }, event, { nowMs, times, first });
  }
  // A lost process will not renew again. With nothing held there is nothing to wait for.
  const isFree = !usage.byProcesses && !usage.byOrphans;
  if (processLost && isFree) {
    const first = [{ kind: 'refuse' } as const];
    return stopUsers({ kind: 'stopping', failed: true, removal }, event, { nowMs, times, first });
  }
  const isLate = ageMs >= times.renewalWarnMs && !phase.warned;
  const late: readonly LockspaceEffect[] = isLate ? [{ kind: 'logLate', ageMs }] : NOTHING;
  if (removal) {
    const first = [...late, { kind: 'refuse' } as const];
    const stopping = { kind: 'stopping', failed: processLost, removal } as const;
    return stopUsers(stopping, event, { nowMs, times, first });
  }
  if (!isLate) return stay(phase);
  return { phase: { kind: 'live', processLost, removal, warned: true }, effects: late };
}

interface Leaving {
  readonly nowMs: number;
  readonly times: LeaseTimes;
  readonly first: readonly LockspaceEffect[];
}

function stopUsers(
  phase: StoppingPhase,
  { usage, isOverwritten }: Extract<LockspaceEvent, { kind: 'tick' }>,
  { nowMs, times, first }: Leaving,
): Step {
  const { failed, removal } = phase;
  if (!isGone(phase, usage)) {
    return { phase, effects: [...first, { kind: 'stopUsers', removal }] };
  }
  const release = !failed && !isOverwritten;
  return leave({ failed, removal, wasLive: true }, { nowMs, times, release, first });
}

function isGone({ failed, removal }: StoppingPhase, usage: Usage): boolean {
  if (usage.external || usage.byProcesses) return false;
  // In a lost lockspace orphans protect nothing any more, and its removal was asked for knowingly.
  return (failed && removal) || !usage.byOrphans;
}

/** Users are gone: the watchdog is released first, the host id last. */
function leave(
  from: Pick<LeavingPhase, 'failed' | 'removal' | 'wasLive'>,
  { nowMs, times, release, first }: Leaving & { readonly release: boolean },
): Step {
  const { failed, removal, wasLive } = from;
  const byMs = nowMs + times.ioTimeoutMs + LEAVE_DEADLINE_MS;
  return {
    phase: { kind: 'leaving', failed, removal, wasLive, byMs, mostMs: byMs + REFUSED_LANDS_MS },
    effects: [...first, { kind: 'releaseWatchdog' }, { kind: 'leave', release }],
  };
}

/**
 * Killed now, its process would be gone before the refused writes are over, and they could land
 * over what the next membership writes (spec 10 §18.2).
 */
function leaveUnsure(phase: LockspacePhase, untilMs: number): Step {
  if (phase.kind !== 'leaving') return stay(phase); // it was not asked to leave, or is killed
  const byMs = Math.min(untilMs + LEAVE_DEADLINE_MS, phase.mostMs);
  if (byMs <= phase.byMs) return stay(phase);
  return { phase: { ...phase, byMs }, effects: [{ kind: 'logLeavesLater', untilMs }] };
}

/** No renewal will ever come; users are stopped when their time is up. */
function processLost(phase: LockspacePhase): Step {
  const lost = { kind: 'logProcessLost' } as const;
  switch (phase.kind) {
    case 'live':
      return {
        phase: { ...phase, processLost: true },
        effects: [lost, { kind: 'failCommands' }],
      };
    case 'stopping': // and then it is left without a release
      return { phase: { ...phase, failed: true }, effects: [lost, { kind: 'failCommands' }] };
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
