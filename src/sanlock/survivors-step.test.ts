import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LeaseErrorCode } from '../lease/lease-error.ts';
import {
  type Moment,
  processOf,
  type Resumption,
  type ResumptionEffect,
  type ResumptionEvent,
  stepResumption,
} from './survivors-step.ts';

const LEASE = 7;
const NEXT_LEASE = 8;
const NOW: Moment = { nowMs: 100_000, isExpired: false, hasPredecessor: false };
const LATE: Moment = { ...NOW, isExpired: true };
const EARLY: Moment = { ...NOW, nowMs: 99_500 };
const BESIDE: Moment = { ...NOW, hasPredecessor: true };
const CLAIM = { timestampS: 90, claimedBootMs: 90_000 };

const PHASES = {
  waiting: { phase: 'waiting', notBeforeMs: 100_000 },
  starting: { phase: 'starting', notBeforeMs: 100_000 },
  resuming: { phase: 'resuming', lease: LEASE, notBeforeMs: 100_000 },
  renewing: { phase: 'renewing', lease: LEASE, notBeforeMs: 100_000 },
  stopping: { phase: 'stopping', lease: LEASE, notBeforeMs: 100_000 },
  leaving: { phase: 'leaving', lease: LEASE },
  'leaving, no process': { phase: 'leaving', lease: null },
  over: { phase: 'over', lease: LEASE },
  'over, no process': { phase: 'over', lease: null },
  released: { phase: 'released' },
} as const satisfies Readonly<Record<string, Resumption>>;

const EVENTS: Readonly<Record<string, readonly [ResumptionEvent, Moment]>> = {
  tick: [{ kind: 'tick' }, NOW],
  'tick, too early': [{ kind: 'tick' }, EARLY],
  'tick, beside a predecessor': [{ kind: 'tick' }, BESIDE],
  'tick, expired': [{ kind: 'tick' }, LATE],
  started: [{ kind: 'started', lease: NEXT_LEASE, isRecorded: true }, NOW],
  'started, not recorded': [{ kind: 'started', lease: NEXT_LEASE, isRecorded: false }, NOW],
  joined: [{ kind: 'joined', generation: 3n, ...CLAIM }, NOW],
  'join unanswered': [{ kind: 'joinFailed', error: error('AIO_TIMEOUT') }, NOW],
  'join refused': [{ kind: 'joinFailed', error: error('HOSTID_BUSY') }, NOW],
  renewed: [{ kind: 'renewed', ...CLAIM }, NOW],
  'renewal failed': [
    { kind: 'renewalFailed', error: error('AIO_TIMEOUT'), overwritten: false },
    NOW,
  ],
  overwritten: [{ kind: 'renewalFailed', error: error('RENEW_DIFF'), overwritten: true }, NOW],
  left: [{ kind: 'left' }, NOW],
  ended: [{ kind: 'ended' }, NOW],
  'ended, expired': [{ kind: 'ended' }, LATE],
  release: [{ kind: 'release' }, NOW],
  'release, beside a predecessor': [{ kind: 'release' }, BESIDE],
};

/** Each phase and event; an event that is not named changes nothing and asks for nothing. */
const TABLE: Readonly<Record<keyof typeof PHASES, Readonly<Record<string, string>>>> = {
  waiting: {
    tick: 'starting: start',
    'tick, expired': 'over: logUnprotected',
    started: 'waiting: end 8',
    'started, not recorded': 'waiting: end 8',
    'renewal failed': 'waiting: logRenewalFailed',
    overwritten: 'waiting: logRenewalFailed',
    ended: 'starting: recordEnd, start',
    'ended, expired': 'over: recordEnd, logUnprotected',
    release: 'released: released',
    'release, beside a predecessor': 'leaving:',
  },
  starting: {
    'tick, expired': 'over: logUnprotected',
    started: 'resuming 8: join 8',
    'started, not recorded': 'stopping 8: end 8',
    'renewal failed': 'starting: logRenewalFailed',
    overwritten: 'starting: logRenewalFailed',
    ended: 'starting: recordEnd',
    'ended, expired': 'over: recordEnd, logUnprotected',
    release: 'released: released',
    'release, beside a predecessor': 'leaving:',
  },
  resuming: {
    'tick, expired': 'over 7: end 7, logUnprotected',
    started: 'resuming 7: end 8',
    'started, not recorded': 'resuming 7: end 8',
    joined: 'renewing 7: claim, logResumed',
    'join unanswered': 'stopping 7: logNotResumed, end 7',
    'join refused': 'over 7: end 7, logUnprotected',
    'renewal failed': 'resuming 7: logRenewalFailed',
    overwritten: 'resuming 7: logRenewalFailed',
    left: 'stopping 7: end 7',
    ended: 'starting: recordEnd, start',
    'ended, expired': 'over: recordEnd, logUnprotected',
    release: 'leaving 7: leave 7',
    'release, beside a predecessor': 'leaving 7: leave 7',
  },
  renewing: {
    'tick, expired': 'over 7: end 7, logUnprotected',
    started: 'renewing 7: end 8',
    'started, not recorded': 'renewing 7: end 8',
    'join unanswered': 'stopping 7: end 7',
    'join refused': 'stopping 7: end 7',
    renewed: 'renewing 7: claim and record',
    'renewal failed': 'renewing 7: logRenewalFailed',
    overwritten: 'over 7: logRenewalFailed, end 7, logUnprotected',
    left: 'stopping 7: end 7',
    ended: 'starting: recordEnd, start',
    'ended, expired': 'over: recordEnd, logUnprotected',
    release: 'leaving 7: leave 7',
    'release, beside a predecessor': 'leaving 7: leave 7',
  },
  stopping: {
    'tick, expired': 'over 7: logUnprotected',
    started: 'stopping 7: end 8',
    'started, not recorded': 'stopping 7: end 8',
    'renewal failed': 'stopping 7: logRenewalFailed',
    overwritten: 'stopping 7: logRenewalFailed',
    ended: 'starting: recordEnd, start',
    'ended, expired': 'over: recordEnd, logUnprotected',
    release: 'leaving 7:',
    'release, beside a predecessor': 'leaving 7:',
  },
  leaving: {
    started: 'leaving 8: end 8',
    'started, not recorded': 'leaving 8: end 8',
    'join unanswered': 'leaving 7: end 7',
    'join refused': 'leaving 7: end 7',
    'renewal failed': 'leaving 7: logRenewalFailed',
    overwritten: 'leaving 7: logRenewalFailed',
    left: 'leaving 7: end 7',
    ended: 'released: recordEnd, released',
    'ended, expired': 'released: recordEnd, released',
  },
  'leaving, no process': {
    tick: 'released: released',
    'tick, too early': 'released: released',
    'tick, expired': 'released: released',
    started: 'leaving 8: end 8',
    'started, not recorded': 'leaving 8: end 8',
    'renewal failed': 'leaving: logRenewalFailed',
    overwritten: 'leaving: logRenewalFailed',
    ended: 'released: recordEnd, released',
    'ended, expired': 'released: recordEnd, released',
  },
  over: {
    started: 'over 8: end 8',
    'started, not recorded': 'over 8: end 8',
    'renewal failed': 'over 7: logRenewalFailed',
    overwritten: 'over 7: logRenewalFailed',
    ended: 'over: recordEnd',
    'ended, expired': 'over: recordEnd',
    release: 'leaving 7:',
    'release, beside a predecessor': 'leaving 7:',
  },
  'over, no process': {
    started: 'over 8: end 8',
    'started, not recorded': 'over 8: end 8',
    'renewal failed': 'over: logRenewalFailed',
    overwritten: 'over: logRenewalFailed',
    ended: 'over: recordEnd',
    'ended, expired': 'over: recordEnd',
    release: 'released: released',
    'release, beside a predecessor': 'leaving:',
  },
  released: {
    started: 'released: end 8',
    'started, not recorded': 'released: end 8',
    'renewal failed': 'released: logRenewalFailed',
    overwritten: 'released: logRenewalFailed',
    ended: 'released: recordEnd',
    'ended, expired': 'released: recordEnd',
  },
};

function error(code: LeaseErrorCode) {
  return { code, during: 'test', facts: {} };
}

function stateText(state: Resumption): string {
  const lease = processOf(state);
  return lease === null ? state.phase : `${state.phase} ${lease}`;
}

function effectText(effect: ResumptionEffect): string {
  if (effect.kind === 'claim') return effect.recorded ? 'claim and record' : 'claim';
  return 'lease' in effect ? `${effect.kind} ${effect.lease}` : effect.kind;
}

test('each phase and each event, late and duplicate ones too', () => {
  for (const [phase, state] of Object.entries(PHASES)) {
    for (const [name, [event, at]] of Object.entries(EVENTS)) {
      const { next, effects } = stepResumption(state, event, at);
      const text = `${stateText(next)}: ${effects.map(effectText).join(', ')}`.trimEnd();
      const wanted = TABLE[phase as keyof typeof PHASES][name] ?? `${stateText(state)}:`;
      assert.equal(text, wanted, `${phase}; ${name}`);
    }
  }
});

test('the next process starts a second after the last one, however soon that ended', () => {
  const { next } = stepResumption(PHASES.waiting, { kind: 'tick' }, NOW);
  assert.deepEqual(next, { phase: 'starting', notBeforeMs: 101_000 });
  const begun = { kind: 'started', lease: LEASE, isRecorded: true } as const;
  const resuming = stepResumption(next, begun, NOW).next;
  const ended = stepResumption(resuming, { kind: 'ended' }, NOW);
  assert.deepEqual(ended.next, { phase: 'waiting', notBeforeMs: 101_000 });
});

test('nothing begins beside a process that may write, and nothing is released beside one', () => {
  for (const state of Object.values(PHASES)) {
    for (const [event] of Object.values(EVENTS)) {
      const { next, effects } = stepResumption(state, event, BESIDE);
      const kinds = effects.map(({ kind }) => kind);
      assert.ok(!kinds.includes('start'), event.kind);
      if (state.phase !== 'released') assert.notEqual(next.phase, 'released', event.kind);
    }
  }
});
