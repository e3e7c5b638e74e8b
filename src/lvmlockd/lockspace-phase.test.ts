import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PhaseEvent, type SpacePhase, stepPhase } from './lockspace-phase.ts';

const ORDER = {
  removeVg: false,
  dropAll: true,
  waiters: [],
  starts: [],
  isOwn: false,
  isFinal: false,
};
const NOW_MS = 1000;
const PATIENCE_MS = 16_000;

const joining = { kind: 'joining', isSessionLost: false } as const;
const cancelling = { kind: 'cancelling', untilMs: 8000, isJoining: true } as const;
const between = { kind: 'reattaching', untilMs: 9000, pauseMs: 500, isSessionLost: false } as const;
const stopping = { kind: 'stopping', order: ORDER, isSessionLost: false } as const;

const PHASES: Readonly<Record<string, SpacePhase>> = {
  preparing: { kind: 'preparing', isSessionLost: false },
  joining,
  'joining, lost': { ...joining, isSessionLost: true },
  cancelling: { ...cancelling, isSessionLost: false },
  'cancelling, lost': { ...cancelling, isSessionLost: true },
  running: { kind: 'running' },
  attempting: { ...between, nextMs: null },
  'attempting, lost': { ...between, nextMs: null, isSessionLost: true },
  pausing: { ...between, nextMs: 900 },
  'late, pausing': { ...between, untilMs: 950, nextMs: 2000 },
  detached: { kind: 'detached' },
  killed: { kind: 'killed' },
  stopping: { ...stopping, before: 'running', isLeaving: false },
  'leaving, lost': { ...stopping, before: 'running', isLeaving: true, isSessionLost: true },
  'leaving, killed': { ...stopping, before: 'killed', isLeaving: true },
};

const EVENTS: Readonly<Record<string, PhaseEvent>> = {
  prepared: { kind: 'prepared' },
  joined: { kind: 'joined' },
  cancel: { kind: 'cancel', untilMs: 8000 },
  sessionLost: { kind: 'sessionLost' },
  missing: { kind: 'missing' },
  attached: { kind: 'attempted', found: 'attached' },
  absent: { kind: 'attempted', found: 'absent' },
  unreachable: { kind: 'attempted', found: 'unreachable' },
  killed: { kind: 'killed' },
  stop: { kind: 'stop', order: ORDER },
  leaving: { kind: 'leaving' },
  stays: { kind: 'stays' },
  tick: { kind: 'tick' },
};

/** Whatever is not here changes nothing: the event is late, or concerns another phase. */
const CHANGES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  preparing: { prepared: 'joining', cancel: 'cancelling', sessionLost: 'preparing lost' },
  joining: { joined: 'running', cancel: 'cancelling', sessionLost: 'joining lost' },
  'joining, lost': {
    joined: 'reattaching now until 17000: attempt',
    cancel: 'cancelling lost',
  },
  cancelling: { joined: 'running', sessionLost: 'cancelling lost' },
  'cancelling, lost': { joined: 'reattaching now until 17000: attempt' },
  running: {
    missing: 'detached: giveUp reportMissing',
    sessionLost: 'reattaching now until 17000: attempt',
    killed: 'killed',
    stop: 'stopping from running',
  },
  attempting: {
    sessionLost: 'reattaching now lost until 9000',
    attached: 'running: resume',
    absent: 'detached: giveUp reportMissing',
    unreachable: 'reattaching at 1500 until 9000',
    killed: 'killed: giveUp',
    stop: 'stopping from detached: giveUp',
  },
  'attempting, lost': {
    attached: 'reattaching at 1500 until 9000',
    absent: 'detached: giveUp reportMissing',
    unreachable: 'reattaching at 1500 until 9000',
    killed: 'killed: giveUp',
    stop: 'stopping from detached: giveUp',
  },
  pausing: {
    sessionLost: 'reattaching at 900 lost until 9000',
    attached: 'running: resume',
    absent: 'detached: giveUp reportMissing',
    unreachable: 'reattaching at 1500 until 9000',
    killed: 'killed: giveUp',
    stop: 'stopping from detached: giveUp',
    tick: 'reattaching now until 9000: attempt',
  },
  'late, pausing': {
    sessionLost: 'reattaching at 2000 lost until 950',
    attached: 'running: resume',
    absent: 'detached: giveUp reportMissing',
    unreachable: 'detached: giveUp reportLoss',
    killed: 'killed: giveUp',
    stop: 'stopping from detached: giveUp',
    tick: 'detached: giveUp reportLoss',
  },
  detached: { killed: 'killed', stop: 'stopping from detached' },
  killed: { sessionLost: 'killed: reportLoss', stop: 'stopping from killed' },
  stopping: {
    sessionLost: 'stopping lost from running',
    leaving: 'stopping leaving from running',
    stays: 'running',
  },
  'leaving, lost': { stays: 'reattaching now until 17000: attempt' },
  'leaving, killed': { sessionLost: 'stopping leaving lost from killed', stays: 'killed' },
};

function textOf(phase: SpacePhase): string {
  const words: string[] = [phase.kind];
  if (phase.kind === 'stopping' && phase.isLeaving) words.push('leaving');
  if (phase.kind === 'reattaching') {
    words.push(phase.nextMs === null ? 'now' : `at ${phase.nextMs}`);
  }
  if ('isSessionLost' in phase && phase.isSessionLost) words.push('lost');
  if (phase.kind === 'reattaching') words.push(`until ${phase.untilMs}`);
  if (phase.kind === 'stopping') words.push(`from ${phase.before}`);
  return words.join(' ');
}

test('every phase of a VG lockspace and every event, late ones too', () => {
  for (const [phaseName, phase] of Object.entries(PHASES)) {
    for (const [eventName, event] of Object.entries(EVENTS)) {
      const next = stepPhase(phase, event, NOW_MS, PATIENCE_MS);
      const effects = next.effects.length === 0 ? '' : `: ${next.effects.join(' ')}`;
      const wanted = CHANGES[phaseName]?.[eventName] ?? textOf(phase);
      assert.equal(`${textOf(next.phase)}${effects}`, wanted, `${phaseName}, ${eventName}`);
    }
  }
});
