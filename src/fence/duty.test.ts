import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type DutyEvent, newDuty, RENEW_EVERY_MS, stepDuty } from './duty.ts';

type Line = readonly [seconds: number, event: DutyEvent, effects: readonly string[]];

/** A table of what happens when, and what follows. */
function play(hostId: number, lines: readonly Line[]): void {
  const duty = newDuty(hostId);
  for (const [seconds, event, wanted] of lines) {
    const effects = stepDuty(duty, event, seconds * 1000).map((effect) =>
      effect.kind === 'log' ? effect.event : effect.kind,
    );
    assert.deepEqual(effects, wanted, `at ${seconds} s: ${event.kind}`);
  }
}

const on = (kind: Exclude<DutyEvent['kind'], 'agents'>): DutyEvent => ({ kind });
const agents = (...victims: number[]): DutyEvent => ({ kind: 'agents', victims });

test('a host that is not fenced renews every 5 s, and leaves in order', () => {
  play(1, [
    [0, on('started'), ['renew']],
    [1, on('tick'), []],
    [4.9, on('tick'), []],
    [5, on('tick'), ['renew']],
    [9, on('tick'), []],
    [12, on('tick'), ['renew']],
    [13, on('stop'), ['leave']],
    [20, on('tick'), []],
    [21, on('fenced'), []],
  ]);
});

test('a fenced host renews no more, and does not leave in order', () => {
  play(2, [
    [0, on('started'), ['renew']],
    [3, on('fenced'), ['host.fenced']],
    [5, on('tick'), []],
    [7, on('fenced'), []],
    [8, on('stop'), ['stop.refused']],
    [600, on('tick'), []],
  ]);
});

test('fenced before its first expiry: given once, or nothing would reset it', () => {
  play(2, [
    [0, on('tick'), []],
    [1, on('fenced'), ['host.fenced']],
    [2, on('started'), ['renew']],
    [9, on('tick'), []],
  ]);
});

test('a lost lockspace is lost, whoever wins a contention', () => {
  play(1, [
    [0, on('started'), ['renew']],
    [1, on('fencing'), ['host.fencing', 'findAgents']],
    [1, agents(2), []],
    [2, on('lost'), ['host.lost']],
    [3, on('lost'), []],
    [6, on('fenced'), ['host.fenced', 'findAgents']],
    [6, agents(2), ['contention.won']],
    [12, on('tick'), ['findAgents']],
    [12, agents(2), []],
    [13, on('stop'), ['stop.refused']],
  ]);
});

test('two hosts that fence each other: the lower id lives on, in whichever order it hears', () => {
  play(1, [
    [0, on('started'), ['renew']],
    [1, on('fenced'), ['host.fenced']],
    [6, on('tick'), []],
    [7, on('fencing'), ['host.fencing', 'findAgents']],
    [7, agents(2), ['contention.won', 'renew']],
    [8, on('fenced'), ['host.fenced', 'findAgents']],
    [8, agents(2), []],
    [12, on('tick'), ['findAgents', 'renew']],
    [12, agents(2), []],
    [17, on('tick'), ['findAgents', 'renew']],
    [17, agents(), []],
    [18, on('fenced'), ['host.fenced']],
    [22, on('tick'), []],
  ]);
  play(2, [
    [0, on('started'), ['renew']],
    [1, on('fencing'), ['host.fencing', 'findAgents']],
    [1, agents(1), []],
    [2, on('fenced'), ['host.fenced', 'findAgents']],
    [2, agents(1), ['contention.lost']],
    [9, on('tick'), ['findAgents']],
    [9, agents(1), []],
  ]);
});

test('an agent that is gone, or several victims of which one is lower, win no contention', () => {
  play(2, [
    [0, on('started'), ['renew']],
    [1, on('fencing'), ['host.fencing', 'findAgents']],
    [1, agents(3), []],
    [2, on('fenced'), ['host.fenced', 'findAgents']],
    [2, agents(3, 1), ['contention.lost']],
    [3, on('tick'), ['findAgents']],
    [3, agents(), []],
    [9, on('tick'), []],
  ]);
});

test('whatever happens: no renewal while a victim or lost, none twice within 5 s', () => {
  const kinds = fc.constantFrom(on('fenced'), on('fencing'), on('lost'), on('tick'), on('stop'));
  const events = fc.oneof(
    kinds,
    fc.array(fc.integer({ min: 1, max: 3 })).map((v) => agents(...v)),
  );
  const moments = fc.array(fc.tuple(fc.integer({ min: 0, max: 7000 }), events), { maxLength: 60 });
  fc.assert(
    fc.property(moments, (scenario) => {
      const duty = newDuty(2);
      stepDuty(duty, on('started'), 0);
      let [nowMs, lastMs, wasLost] = [0, 0, false];
      for (const [passedMs, event] of scenario) {
        nowMs += passedMs;
        wasLost ||= event.kind === 'lost' && !duty.isOver;
        const effects = stepDuty(duty, event, nowMs);
        if (!effects.some(({ kind }) => kind === 'renew')) continue;
        assert.ok(!duty.isVictim && !wasLost && !duty.isOver);
        assert.ok(nowMs - lastMs >= RENEW_EVERY_MS);
        lastMs = nowMs;
      }
    }),
  );
});
