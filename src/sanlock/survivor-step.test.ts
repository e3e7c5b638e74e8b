import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LeaseErrorCode } from '../lease/lease-error.ts';
import {
  type Moment,
  processOf,
  type SurvivorEffect,
  type SurvivorEvent,
  type SurvivorPhase,
  stepSurvivor,
} from './survivor-step.ts';

const LEASE = 7;
const NEXT_LEASE = 8;
const NOW: Moment = {
  nowMs: 100_000,
  isExpired: false,
  isLate: false,
  hasPredecessor: false,
  isWhole: true,
};
const LATE: Moment = { ...NOW, isExpired: true, isLate: true };
const EARLY: Moment = { ...NOW, nowMs: 99_500 };
const BESIDE: Moment = { ...NOW, hasPredecessor: true };
const LONG_BESIDE: Moment = { ...BESIDE, isLate: true };
const SIZES = { sectorSize: 512, areaBytes: 2 ** 20, maxHosts: 2000 };
const DAMAGED: Moment = { ...NOW, isWhole: false };
const CLAIM = { timestampS: 90, claimedBootMs: 90_000 };
const JOINED = { kind: 'joined', generation: 3n, ...CLAIM, ...SIZES } as const;
const RENEWED = { kind: 'renewed', ...CLAIM, readMs: 1, writeMs: 1 } as const;

const PHASES = {
  waiting: { kind: 'waiting', notBeforeMs: 100_000 },
  starting: { kind: 'starting', notBeforeMs: 100_000 },
  resuming: { kind: 'resuming', lease: LEASE, notBeforeMs: 100_000 },
  renewing: { kind: 'renewing', lease: LEASE, notBeforeMs: 100_000 },
  'arming, asked': { kind: 'arming', lease: LEASE, notBeforeMs: 100_000, askAtMs: null },
  'arming, to be asked': { kind: 'arming', lease: LEASE, notBeforeMs: 100_000, askAtMs: 100_000 },
  keeping: { kind: 'keeping', lease: LEASE, notBeforeMs: 100_000 },
  stopping: { kind: 'stopping', lease: LEASE, notBeforeMs: 100_000 },
  'handed over': { kind: 'handedOver' },
  leaving: { kind: 'leaving', lease: LEASE },
  'leaving, no process': { kind: 'leaving', lease: null },
  over: { kind: 'over', lease: LEASE },
  'over, no process': { kind: 'over', lease: null },
  released: { kind: 'released' },
} as const satisfies Readonly<Record<string, SurvivorPhase>>;

const EVENTS: Readonly<Record<string, readonly [SurvivorEvent, Moment]>> = {
  tick: [{ kind: 'tick' }, NOW],
  'tick, too early': [{ kind: 'tick' }, EARLY],
  'tick, beside a predecessor': [{ kind: 'tick' }, BESIDE],
  'tick, long beside a predecessor': [{ kind: 'tick' }, LONG_BESIDE],
  'tick, expired': [{ kind: 'tick' }, LATE],
  started: [{ kind: 'started', lease: NEXT_LEASE, isRecorded: true }, NOW],
  'started, not recorded': [{ kind: 'started', lease: NEXT_LEASE, isRecorded: false }, NOW],
  joined: [{ kind: 'joined', message: JOINED }, NOW],
  'joined, of a damaged journal': [{ kind: 'joined', message: JOINED }, DAMAGED],
  'join unanswered': [{ kind: 'joinFailed', error: error('AIO_TIMEOUT') }, NOW],
  'join refused': [{ kind: 'joinFailed', error: error('HOSTID_BUSY') }, NOW],
  renewed: [{ kind: 'renewed', message: RENEWED }, NOW],
  'renewal failed': [
    { kind: 'renewalFailed', error: error('AIO_TIMEOUT'), overwritten: false },
    NOW,
  ],
  overwritten: [{ kind: 'renewalFailed', error: error('RENEW_DIFF'), overwritten: true }, NOW],
  armed: [{ kind: 'armed' }, NOW],
  'armed, expired': [{ kind: 'armed' }, LATE],
  'no wdmd': [{ kind: 'watchdogFailed' }, NOW],
  left: [{ kind: 'left' }, NOW],
  ended: [{ kind: 'processEnded' }, NOW],
  'ended, expired': [{ kind: 'processEnded' }, LATE],
  release: [{ kind: 'releaseAsked' }, NOW],
  'release, beside a predecessor': [{ kind: 'releaseAsked' }, BESIDE],
};

/** Each phase and event; an event that is not named changes nothing and asks for nothing. */
const TABLE: Readonly<Record<keyof typeof PHASES, Readonly<Record<string, string>>>> = {
  waiting: {
    tick: 'starting: startProcess',
    'tick, long beside a predecessor': 'waiting: endPredecessor',
    'tick, expired': 'over: over',
    started: 'waiting: endProcess 8',
    'started, not recorded': 'waiting: endProcess 8',
    'renewal failed': 'waiting: logRenewalFailed',
    overwritten: 'waiting: logRenewalFailed',
    ended: 'starting: recordEnd, startProcess',
    'ended, expired': 'over: recordEnd, over',
  },
  starting: {
    'tick, expired': 'over: over',
    started: 'resuming 8: join 8',
    'started, not recorded': 'stopping 8: endProcess 8',
    'renewal failed': 'starting: logRenewalFailed',
    overwritten: 'starting: logRenewalFailed',
    ended: 'starting: recordEnd',
    'ended, expired': 'over: recordEnd, over',
  },
  resuming: {
    'tick, expired': 'over 7: endProcess 7, over',
    started: 'resuming 7: endProcess 8',
    'started, not recorded': 'resuming 7: endProcess 8',
    joined: 'renewing 7: takeJoin, logResumed',
    'joined, of a damaged journal': 'keeping 7: takeJoin, logResumed',
    'join unanswered': 'stopping 7: logNotResumed, endProcess 7',
    'join refused': 'over 7: endProcess 7, over',
    'renewal failed': 'resuming 7: logRenewalFailed',
    overwritten: 'resuming 7: logRenewalFailed',
    left: 'stopping 7: endProcess 7',
    ended: 'starting: recordEnd, startProcess',
    'ended, expired': 'over: recordEnd, over',
  },
  renewing: {
    'tick, expired': 'over 7: endProcess 7, over',
    started: 'renewing 7: endProcess 8',
    'started, not recorded': 'renewing 7: endProcess 8',
    'join unanswered': 'stopping 7: endProcess 7',
    'join refused': 'stopping 7: endProcess 7',
    renewed: 'arming 7: takeRenewal, armWatchdog',
    'renewal failed': 'renewing 7: logRenewalFailed',
    overwritten: 'over 7: logRenewalFailed, endProcess 7, over',
    left: 'stopping 7: endProcess 7',
    ended: 'starting: recordEnd, startProcess',
    'ended, expired': 'over: recordEnd, over',
  },
  'arming, asked': {
    'tick, expired': 'over 7: closeWatchdog, endProcess 7, over',
    started: 'arming 7: endProcess 8',
    'started, not recorded': 'arming 7: endProcess 8',
    'join unanswered': 'stopping 7: closeWatchdog, endProcess 7',
    'join refused': 'stopping 7: closeWatchdog, endProcess 7',
    renewed: 'arming 7: takeRenewal',
    'renewal failed': 'arming 7: logRenewalFailed',
    overwritten: 'over 7: logRenewalFailed, closeWatchdog, endProcess 7, over',
    armed: 'handedOver: handOver',
    'armed, expired': 'over 7: closeWatchdog, endProcess 7, over',
    'no wdmd': 'arming 7: closeWatchdog',
    left: 'stopping 7: closeWatchdog, endProcess 7',
    ended: 'starting: closeWatchdog, recordEnd, startProcess',
    'ended, expired': 'over: closeWatchdog, recordEnd, over',
  },
  'arming, to be asked': {
    tick: 'arming 7: armWatchdog',
    'tick, beside a predecessor': 'arming 7: armWatchdog',
    'tick, long beside a predecessor': 'arming 7: armWatchdog',
    'tick, expired': 'over 7: closeWatchdog, endProcess 7, over',
    started: 'arming 7: endProcess 8',
    'started, not recorded': 'arming 7: endProcess 8',
    'join unanswered': 'stopping 7: closeWatchdog, endProcess 7',
    'join refused': 'stopping 7: closeWatchdog, endProcess 7',
    renewed: 'arming 7: takeRenewal',
    'renewal failed': 'arming 7: logRenewalFailed',
    overwritten: 'over 7: logRenewalFailed, closeWatchdog, endProcess 7, over',
    'no wdmd': 'arming 7: closeWatchdog',
    left: 'stopping 7: closeWatchdog, endProcess 7',
    ended: 'starting: closeWatchdog, recordEnd, startProcess',
    'ended, expired': 'over: closeWatchdog, recordEnd, over',
  },
  keeping: {
    'tick, expired': 'over 7: endProcess 7, over',
    started: 'keeping 7: endProcess 8',
    'started, not recorded': 'keeping 7: endProcess 8',
    'join unanswered': 'stopping 7: endProcess 7',
    'join refused': 'stopping 7: endProcess 7',
    renewed: 'keeping 7: takeRenewal',
    'renewal failed': 'keeping 7: logRenewalFailed',
    overwritten: 'over 7: logRenewalFailed, endProcess 7, over',
    left: 'stopping 7: endProcess 7',
    ended: 'starting: recordEnd, startProcess',
    'ended, expired': 'over: recordEnd, over',
    release: 'leaving 7: leave 7',
    'release, beside a predecessor': 'leaving 7: leave 7',
  },
  stopping: {
    'tick, expired': 'over 7: over',
    started: 'stopping 7: endProcess 8',
    'started, not recorded': 'stopping 7: endProcess 8',
    'renewal failed': 'stopping 7: logRenewalFailed',
    overwritten: 'stopping 7: logRenewalFailed',
    ended: 'starting: recordEnd, startProcess',
    'ended, expired': 'over: recordEnd, over',
  },
  'handed over': {
    started: 'handedOver: endProcess 8',
    'started, not recorded': 'handedOver: endProcess 8',
    'renewal failed': 'handedOver: logRenewalFailed',
    overwritten: 'handedOver: logRenewalFailed',
    ended: 'handedOver: recordEnd',
    'ended, expired': 'handedOver: recordEnd',
  },
  leaving: {
    started: 'leaving 8: endProcess 8',
    'started, not recorded': 'leaving 8: endProcess 8',
    'join unanswered': 'leaving 7: endProcess 7',
    'join refused': 'leaving 7: endProcess 7',
    'renewal failed': 'leaving 7: logRenewalFailed',
    overwritten: 'leaving 7: logRenewalFailed',
    left: 'leaving 7: endProcess 7',
    ended: 'released: recordEnd, released',
    'ended, expired': 'released: recordEnd, released',
  },
  'leaving, no process': {
    tick: 'released: released',
    'tick, too early': 'released: released',
    'tick, long beside a predecessor': 'leaving: endPredecessor',
    'tick, expired': 'released: released',
    started: 'leaving 8: endProcess 8',
    'started, not recorded': 'leaving 8: endProcess 8',
    'renewal failed': 'leaving: logRenewalFailed',
    overwritten: 'leaving: logRenewalFailed',
    ended: 'released: recordEnd, released',
    'ended, expired': 'released: recordEnd, released',
  },
  over: {
    started: 'over 8: endProcess 8',
    'started, not recorded': 'over 8: endProcess 8',
    'renewal failed': 'over 7: logRenewalFailed',
    overwritten: 'over 7: logRenewalFailed',
    ended: 'over: recordEnd',
    'ended, expired': 'over: recordEnd',
    release: 'leaving 7:',
    'release, beside a predecessor': 'leaving 7:',
  },
  'over, no process': {
    'tick, long beside a predecessor': 'over: endPredecessor',
    started: 'over 8: endProcess 8',
    'started, not recorded': 'over 8: endProcess 8',
    'renewal failed': 'over: logRenewalFailed',
    overwritten: 'over: logRenewalFailed',
    ended: 'over: recordEnd',
    'ended, expired': 'over: recordEnd',
    release: 'released: released',
    'release, beside a predecessor': 'leaving:',
  },
  released: {
    started: 'released: endProcess 8',
    'started, not recorded': 'released: endProcess 8',
    'renewal failed': 'released: logRenewalFailed',
    overwritten: 'released: logRenewalFailed',
    ended: 'released: recordEnd',
    'ended, expired': 'released: recordEnd',
  },
};

function error(code: LeaseErrorCode) {
  return { code, during: 'test', facts: {} };
}

function phaseText(phase: SurvivorPhase): string {
  const lease = processOf(phase);
  return lease === null ? phase.kind : `${phase.kind} ${lease}`;
}

function effectText(effect: SurvivorEffect): string {
  return 'lease' in effect ? `${effect.kind} ${effect.lease}` : effect.kind;
}

test('each phase and each event, late and duplicate ones too', () => {
  for (const [name, from] of Object.entries(PHASES)) {
    for (const [what, [event, at]] of Object.entries(EVENTS)) {
      const { phase: to, effects } = stepSurvivor(from, event, at);
      const text = `${phaseText(to)}: ${effects.map(effectText).join(', ')}`.trimEnd();
      const wanted = TABLE[name as keyof typeof PHASES][what] ?? `${phaseText(from)}:`;
      assert.equal(text, wanted, `${name}; ${what}`);
    }
  }
});

test('the next process starts a second after the last one, however soon that ended', () => {
  const starting = stepSurvivor(PHASES.waiting, { kind: 'tick' }, NOW).phase;
  assert.deepEqual(starting, { kind: 'starting', notBeforeMs: 101_000 });
  const begun = { kind: 'started', lease: LEASE, isRecorded: true } as const;
  const resuming = stepSurvivor(starting, begun, NOW).phase;
  const ended = stepSurvivor(resuming, { kind: 'processEnded' }, NOW);
  assert.deepEqual(ended.phase, { kind: 'waiting', notBeforeMs: 101_000 });
});

test('nothing begins beside a process that may write, and nothing is released beside one', () => {
  for (const from of Object.values(PHASES)) {
    for (const [event] of Object.values(EVENTS)) {
      const { phase, effects } = stepSurvivor(from, event, BESIDE);
      const kinds = effects.map(({ kind }) => kind);
      assert.ok(!kinds.includes('startProcess'), event.kind);
      if (from.kind !== 'released') assert.notEqual(phase.kind, 'released', event.kind);
    }
  }
});
