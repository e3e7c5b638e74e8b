import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leaseTimes } from '../lease/lease-times.ts';
import type { LockspaceEffect, LockspaceEvent } from './lockspace-events.ts';
import type { LockspacePhase } from './lockspace-phase.ts';
import { stepLockspace } from './lockspace-step.ts';

const TIMES = leaseTimes(10);
/** All events come at second 100. */
const NOW_MS = 100_000;
const AT = { nowMs: NOW_MS, times: TIMES };
const T_MS = TIMES.ioTimeoutMs;

const joined = {
  kind: 'joined',
  generation: 1n,
  timestampS: 100,
  claimedBootMs: NOW_MS,
  sectorSize: 512,
  areaBytes: 1 << 20,
  maxHosts: 2000,
} as const;
const renewed = {
  kind: 'renewed',
  timestampS: 100,
  claimedBootMs: NOW_MS,
  readMs: 1,
  writeMs: 1,
} as const;

type Tick = Extract<LockspaceEvent, { kind: 'tick' }>;

type More = Partial<Tick['usage']> & { overwritten?: true; away?: true };

function tick(ageMs: number, more: More = {}): Tick {
  const { byProcesses = false, byOrphans = false, external = false } = more;
  const usage = { byProcesses, byOrphans, external };
  const isOverwritten = more.overwritten === true;
  return { kind: 'tick', ageMs, isOverwritten, isWatchdogAway: more.away === true, usage };
}

const EVENTS = {
  notRecorded: { kind: 'notRecorded' },
  mayJoin: { kind: 'mayJoin' },
  joined: { kind: 'joined', message: joined },
  joinFailed: { kind: 'joinFailed', result: -262 },
  armed: { kind: 'armed' },
  watchdogFailed: { kind: 'watchdogFailed' },
  renewed: { kind: 'renewed', message: renewed },
  removeAsked: { kind: 'removeAsked' },
  'tick in time': tick(2 * T_MS, { byProcesses: true }),
  'tick in time, unused': tick(2 * T_MS),
  'tick in time, wdmd away': tick(2 * T_MS, { away: true }),
  'tick late': tick(6 * T_MS, { byProcesses: true }),
  'tick expired, used': tick(8 * T_MS, { byProcesses: true }),
  'tick expired, used by orphans': tick(8 * T_MS, { byOrphans: true }),
  'tick expired, used otherwise': tick(8 * T_MS, { external: true }),
  'tick expired, unused': tick(8 * T_MS),
  'tick overwritten, used': tick(0, { byProcesses: true, overwritten: true }),
  'tick overwritten, unused': tick(0, { overwritten: true }),
  'leaveUnsure soon': { kind: 'leaveUnsure', untilMs: NOW_MS },
  'leaveUnsure later': { kind: 'leaveUnsure', untilMs: NOW_MS + 30_000 },
  'leaveUnsure too late': { kind: 'leaveUnsure', untilMs: NOW_MS + 1_000_000 },
  left: { kind: 'left' },
  processLost: { kind: 'processLost' },
} as const satisfies Readonly<Record<string, LockspaceEvent>>;

type EventName = keyof typeof EVENTS;

/** What an event makes of a phase: `phase; effects`. Events that are not named change nothing. */
type Row = Partial<Record<EventName, string>>;

const END = 'releaseWatchdog failCommands endProcess';
/** At second 100 + t + 3 s; at most a minute later. */
const LEAVING = 'leaving by 113 at most 173';

const TABLE: readonly (readonly [LockspacePhase, Row])[] = [
  [
    { kind: 'waiting' },
    {
      notRecorded: `ending; failJoin -11 ${END}`,
      mayJoin: 'joining; sendJoin',
      joinFailed: `ending; failJoin -262 ${END}`,
      watchdogFailed: `ending; failJoin -203 ${END}`,
      renewed: 'waiting; takeRenewal',
      removeAsked: `ending; ${END}`,
      left: `ending; ${END}`,
      processLost: `ending; logProcessLost ${END}`,
    },
  ],
  [
    { kind: 'joining' },
    {
      joined: 'arming; takeJoin armWatchdog',
      joinFailed: `ending; failJoin -262 ${END}`,
      watchdogFailed: `${LEAVING}; failJoin -203 releaseWatchdog leave release`,
      renewed: 'joining; takeRenewal',
      removeAsked: `${LEAVING}; releaseWatchdog leave release`,
      left: `ending; ${END}`,
      processLost: `ending; logProcessLost ${END}`,
    },
  ],
  [
    { kind: 'arming' },
    {
      joinFailed: `ending; failJoin -262 ${END}`,
      armed: 'live; open',
      watchdogFailed: `${LEAVING}; failJoin -203 releaseWatchdog leave release`,
      renewed: 'arming; takeRenewal',
      removeAsked: `${LEAVING}; releaseWatchdog leave release`,
      left: `ending; ${END}`,
      processLost: `ending; logProcessLost ${END}`,
    },
  ],
  [
    { kind: 'live', processLost: false, removal: false, warned: false },
    {
      joinFailed: `ending; failJoin -262 ${END}`,
      renewed: 'live; takeRenewal',
      removeAsked: 'live removal; ',
      'tick late': 'live warned; logLate',
      'tick expired, used': 'stopping failed; logLost refuse stopUsers',
      'tick expired, used by orphans': 'stopping failed; logLost refuse stopUsers',
      'tick expired, used otherwise': 'stopping failed; logLost refuse stopUsers',
      'tick expired, unused': `${LEAVING} failed wasLive; logLost refuse releaseWatchdog leave`,
      'tick overwritten, used': 'stopping failed; logLost refuse stopUsers',
      'tick overwritten, unused': `${LEAVING} failed wasLive; logLost refuse releaseWatchdog leave`,
      left: `ending; ${END}`,
      processLost: 'live processLost; logProcessLost failCommands',
    },
  ],
  [
    { kind: 'live', processLost: false, removal: false, warned: true },
    {
      joinFailed: `ending; failJoin -262 ${END}`,
      renewed: 'live; takeRenewal', // in time after all: a later one is warned of anew
      removeAsked: 'live removal warned; ',
      'tick expired, used': 'stopping failed; logLost refuse stopUsers',
      'tick expired, used by orphans': 'stopping failed; logLost refuse stopUsers',
      'tick expired, used otherwise': 'stopping failed; logLost refuse stopUsers',
      'tick expired, unused': `${LEAVING} failed wasLive; logLost refuse releaseWatchdog leave`,
      'tick overwritten, used': 'stopping failed; logLost refuse stopUsers',
      'tick overwritten, unused': `${LEAVING} failed wasLive; logLost refuse releaseWatchdog leave`,
      left: `ending; ${END}`,
      processLost: 'live processLost warned; logProcessLost failCommands',
    },
  ],
  [
    { kind: 'live', processLost: false, removal: true, warned: false },
    {
      joinFailed: `ending removal; failJoin -262 ${END}`,
      renewed: 'live removal; takeRenewal',
      'tick in time': 'stopping removal; refuse stopUsers as removed',
      'tick in time, unused': `${LEAVING} removal wasLive; refuse releaseWatchdog leave release`,
      'tick in time, wdmd away': 'stopping removal; refuse',
      'tick late': 'stopping removal; logLate refuse stopUsers as removed',
      'tick expired, used': 'stopping failed removal; logLost refuse stopUsers as removed',
      // Whoever removes a lost lockspace knows of its orphans.
      'tick expired, used by orphans': `${LEAVING} failed removal wasLive; logLost refuse releaseWatchdog leave`,
      'tick expired, used otherwise':
        'stopping failed removal; logLost refuse stopUsers as removed',
      'tick expired, unused': `${LEAVING} failed removal wasLive; logLost refuse releaseWatchdog leave`,
      'tick overwritten, used': 'stopping failed removal; logLost refuse stopUsers as removed',
      'tick overwritten, unused': `${LEAVING} failed removal wasLive; logLost refuse releaseWatchdog leave`,
      left: `ending removal; ${END}`,
      processLost: 'live processLost removal; logProcessLost failCommands',
    },
  ],
  [
    { kind: 'live', processLost: true, removal: false, warned: false },
    {
      joinFailed: `ending failed; failJoin -262 ${END}`,
      renewed: 'live processLost; takeRenewal',
      removeAsked: 'live processLost removal; ',
      'tick in time, unused': `${LEAVING} failed wasLive; refuse releaseWatchdog leave`,
      'tick in time, wdmd away': 'stopping failed; refuse',
      'tick late': 'live processLost warned; logLate',
      'tick expired, used': 'stopping failed; logLost refuse stopUsers',
      'tick expired, used by orphans': 'stopping failed; logLost refuse stopUsers',
      'tick expired, used otherwise': 'stopping failed; logLost refuse stopUsers',
      'tick expired, unused': `${LEAVING} failed wasLive; logLost refuse releaseWatchdog leave`,
      'tick overwritten, used': 'stopping failed; logLost refuse stopUsers',
      'tick overwritten, unused': `${LEAVING} failed wasLive; logLost refuse releaseWatchdog leave`,
      left: `ending failed; ${END}`,
      processLost: 'live processLost; logProcessLost failCommands',
    },
  ],
  [
    { kind: 'stopping', failed: true, removal: false },
    {
      joinFailed: `ending failed; failJoin -262 ${END}`,
      removeAsked: 'stopping failed removal; ',
      'tick in time': 'stopping failed; stopUsers',
      'tick in time, unused': `${LEAVING} failed wasLive; releaseWatchdog leave`,
      'tick late': 'stopping failed; stopUsers',
      'tick expired, used': 'stopping failed; stopUsers',
      // Released, the watchdog would spare a machine on which an LV is still active.
      'tick expired, used by orphans': 'stopping failed; stopUsers',
      'tick expired, used otherwise': 'stopping failed; stopUsers',
      'tick expired, unused': `${LEAVING} failed wasLive; releaseWatchdog leave`,
      'tick overwritten, used': 'stopping failed; stopUsers',
      'tick overwritten, unused': `${LEAVING} failed wasLive; releaseWatchdog leave`,
      left: `ending failed; ${END}`,
      processLost: 'stopping failed; logProcessLost failCommands',
    },
  ],
  [
    { kind: 'stopping', failed: false, removal: true },
    {
      joinFailed: `ending removal; failJoin -262 ${END}`,
      'tick in time': 'stopping removal; stopUsers as removed',
      'tick in time, unused': `${LEAVING} removal wasLive; releaseWatchdog leave release`,
      'tick late': 'stopping removal; stopUsers as removed',
      'tick expired, used': 'stopping removal; stopUsers as removed',
      'tick expired, used by orphans': 'stopping removal; stopUsers as removed',
      'tick expired, used otherwise': 'stopping removal; stopUsers as removed',
      'tick expired, unused': `${LEAVING} removal wasLive; releaseWatchdog leave release`,
      'tick overwritten, used': 'stopping removal; stopUsers as removed',
      'tick overwritten, unused': `${LEAVING} removal wasLive; releaseWatchdog leave`,
      left: `ending removal; ${END}`,
      processLost: 'stopping failed removal; logProcessLost failCommands',
    },
  ],
  [
    { kind: 'stopping', failed: true, removal: true },
    {
      joinFailed: `ending failed removal; failJoin -262 ${END}`,
      'tick in time': 'stopping failed removal; stopUsers as removed',
      'tick in time, unused': `${LEAVING} failed removal wasLive; releaseWatchdog leave`,
      'tick late': 'stopping failed removal; stopUsers as removed',
      'tick expired, used': 'stopping failed removal; stopUsers as removed',
      'tick expired, used by orphans': `${LEAVING} failed removal wasLive; releaseWatchdog leave`,
      'tick expired, used otherwise': 'stopping failed removal; stopUsers as removed',
      'tick expired, unused': `${LEAVING} failed removal wasLive; releaseWatchdog leave`,
      'tick overwritten, used': 'stopping failed removal; stopUsers as removed',
      'tick overwritten, unused': `${LEAVING} failed removal wasLive; releaseWatchdog leave`,
      left: `ending failed removal; ${END}`,
      processLost: 'stopping failed removal; logProcessLost failCommands',
    },
  ],
  [
    leaving({ wasLive: true, byS: 101 }),
    {
      joinFailed: `ending; failJoin -262 ${END}`,
      removeAsked: 'leaving by 101 at most 150 removal wasLive; ',
      'leaveUnsure soon': 'leaving by 103 at most 150 wasLive; logLeavesLater',
      'leaveUnsure later': 'leaving by 133 at most 150 wasLive; logLeavesLater',
      'leaveUnsure too late': 'leaving by 150 at most 150 wasLive; logLeavesLater',
      left: `ending; ${END}`,
      processLost: `ending; logProcessLost ${END}`,
    },
  ],
  [
    leaving({ wasLive: false, byS: 140 }),
    {
      joinFailed: `ending; failJoin -262 ${END}`,
      renewed: 'leaving by 140 at most 150; takeRenewal', // no client could use it
      removeAsked: 'leaving by 140 at most 150 removal; ',
      'leaveUnsure too late': 'leaving by 150 at most 150; logLeavesLater',
      left: `ending; ${END}`,
      processLost: `ending; logProcessLost ${END}`,
    },
  ],
  [
    { kind: 'ending', failed: true, removal: false },
    { removeAsked: 'ending failed removal; ' }, // what a killed process had still sent is too late
  ],
];

function leaving(of: { readonly wasLive: boolean; readonly byS: number }): LockspacePhase {
  const { wasLive, byS } = of;
  const until = { byMs: byS * 1000, mostMs: 150_000 };
  return { kind: 'leaving', failed: false, removal: false, wasLive, ...until };
}

test('every event in every phase', () => {
  for (const [phase, row] of TABLE) {
    for (const [name, event] of Object.entries(EVENTS)) {
      const step = stepLockspace(phase, event, AT);
      const found = `${phaseText(step.phase)}; ${step.effects.map(effectText).join(' ')}`;
      const wanted = row[name as EventName] ?? `${phaseText(phase)}; `;
      assert.equal(found, wanted, `${phaseText(phase)}: ${name}`);
    }
  }
});

test('a wdmd that stays away is waited for as long as its expiry lies ahead', () => {
  const phase: LockspacePhase = { kind: 'stopping', failed: false, removal: true };
  const step = stepLockspace(phase, tick(8 * T_MS, { away: true }), AT);
  assert.equal(step.effects.map(effectText).join(' '), 'releaseWatchdog leave release');
});

test('a lease process that does not leave in time is killed', () => {
  const phase = leaving({ wasLive: true, byS: 100.001 });
  const later = { ...phase, kind: 'leaving', byMs: NOW_MS } as LockspacePhase;
  const event = EVENTS['tick in time'];
  assert.equal(stepLockspace(phase, event, AT).phase, phase);
  const step = stepLockspace(later, event, AT);
  assert.equal(
    `${phaseText(step.phase)}; ${step.effects.map(effectText).join(' ')}`,
    `ending; ${END}`,
  );
});

test('a lockspace is forgotten when its killed process is gone, and no process goes unkilled', () => {
  const ended = { kind: 'processEnded' } as const;
  for (const [phase] of TABLE) {
    if (phase.kind === 'ending') {
      assert.deepEqual(stepLockspace(phase, ended, AT).effects, [{ kind: 'forget' }]);
    } else {
      assert.throws(() => stepLockspace(phase, ended, AT));
    }
  }
});

/** The name of the phase, its times, and whatever is true of it. */
function phaseText(phase: LockspacePhase): string {
  const times =
    phase.kind === 'leaving' ? [`by ${phase.byMs / 1000} at most ${phase.mostMs / 1000}`] : [];
  const flags = ['processLost', 'failed', 'removal', 'wasLive', 'warned'].filter((name) =>
    Object.entries(phase).some(([field, value]) => field === name && value === true),
  );
  return [phase.kind, ...times, ...flags].join(' ');
}

function effectText(effect: LockspaceEffect): string {
  if (effect.kind === 'failJoin') return `failJoin ${effect.result}`;
  if (effect.kind === 'leave') return effect.release ? 'leave release' : 'leave';
  if (effect.kind === 'stopUsers') return effect.removal ? 'stopUsers as removed' : 'stopUsers';
  return effect.kind;
}
