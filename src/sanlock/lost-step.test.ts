import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LostEvent, type LostPhase, stepLost, waitingSince } from './lost-step.ts';

const NOW = 100_000;

const PHASES: Readonly<Record<string, LostPhase>> = {
  waiting: { kind: 'waiting', dueMs: NOW + 1, delayMs: 5000 },
  due: { kind: 'waiting', dueMs: NOW, delayMs: 5000 },
  joining: { kind: 'joining', isAdded: false, delayMs: 5000 },
  added: { kind: 'joining', isAdded: true, delayMs: 40_000 },
  joined: { kind: 'joined' },
  forgotten: { kind: 'forgotten' },
};

const EVENTS: Readonly<Record<string, LostEvent>> = {
  tick: { kind: 'tick', mayJoin: true },
  'tick, not yet': { kind: 'tick', mayJoin: false },
  added: { kind: 'added' },
  open: { kind: 'open' },
  'failed for now': { kind: 'joinFailed', isFinal: false, isSettled: true },
  'failed, its process broke': { kind: 'joinFailed', isFinal: false, isSettled: false },
  'failed for good': { kind: 'joinFailed', isFinal: true, isSettled: true },
  lostAgain: { kind: 'lostAgain', isSettled: true },
  'lost again, its process broke': { kind: 'lostAgain', isSettled: false },
  removed: { kind: 'removed' },
};

const STAYS = 'stays; ';
const FORGOTTEN = 'forgotten; forget';
/** Also where a later daemon resumed what the daemon before had joined again. */
const LOST_AGAIN = {
  lostAgain: 'waiting 5 s, then 5 s; ',
  'lost again, its process broke': 'waiting 60 s, then 5 s; ',
};

/** What becomes of each phase by each event; the others change nothing: they come too late. */
const TABLE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  waiting: {
    added: 'joining added, then 5 s; ',
    open: 'joined; ',
    ...LOST_AGAIN,
    removed: FORGOTTEN,
  },
  due: {
    tick: 'joining, then 5 s; join',
    added: 'joining added, then 5 s; ',
    open: 'joined; ',
    ...LOST_AGAIN,
    removed: FORGOTTEN,
  },
  joining: {
    added: 'joining added, then 5 s; ',
    open: 'joined; logRejoined',
    'failed for now': 'waiting 5 s, then 10 s; ',
    'failed, its process broke': 'waiting 60 s, then 10 s; ',
    'failed for good': 'forgotten; logGivenUp forget',
    ...LOST_AGAIN,
    removed: FORGOTTEN,
  },
  added: {
    open: FORGOTTEN,
    'failed for now': 'waiting 40 s, then 60 s; ',
    'failed, its process broke': 'waiting 60 s, then 60 s; ',
    'failed for good': 'forgotten; logGivenUp forget',
    ...LOST_AGAIN,
    removed: FORGOTTEN,
  },
  joined: { added: FORGOTTEN, ...LOST_AGAIN, removed: FORGOTTEN },
  forgotten: {},
};

function phaseText(phase: LostPhase): string {
  switch (phase.kind) {
    case 'waiting':
      return `waiting ${(phase.dueMs - NOW) / 1000} s, then ${phase.delayMs / 1000} s`;
    case 'joining':
      return `joining${phase.isAdded ? ' added' : ''}, then ${phase.delayMs / 1000} s`;
    default:
      return phase.kind;
  }
}

test('each phase and each event', () => {
  for (const [name, phase] of Object.entries(PHASES)) {
    for (const [what, event] of Object.entries(EVENTS)) {
      const step = stepLost(phase, event, NOW);
      const effects = step.effects.map(({ kind }) => kind).join(' ');
      const isSame = JSON.stringify(step.phase) === JSON.stringify(phase);
      const found = `${isSame ? 'stays' : phaseText(step.phase)}; ${effects}`;
      assert.equal(found, TABLE[name]?.[what] ?? STAYS, `${name}, ${what}`);
    }
  }
});

const FAILED: LostEvent = { kind: 'joinFailed', isFinal: false, isSettled: true };

test('attempts become rarer, to one a minute', () => {
  let phase = waitingSince(0, true);
  const begun: number[] = [];
  for (let nowMs = 0; nowMs <= 300_000; nowMs += 1000) {
    phase = stepLost(phase, { kind: 'tick', mayJoin: true }, nowMs).phase;
    if (phase.kind === 'joining') {
      begun.push(nowMs / 1000);
      phase = stepLost(phase, FAILED, nowMs).phase;
    }
  }
  assert.deepEqual(begun, [5, 10, 20, 40, 80, 140, 200, 260]);
});
