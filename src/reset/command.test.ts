import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unreachable } from '../base/assert.ts';
import { ok } from '../base/result.ts';
import { makeFailure } from '../wire/sanlock/failure.ts';
import { HOST_STATES } from '../wire/sanlock/socket.ts';
import { type ResetReply, type ResetReport, resetSteps, type TargetEvent } from './command.ts';
import { RESET_EVENTS } from './reset-events.ts';

const TARGET = { lockspaceName: 'LS', hostId: 2n };
const REQUEST = {
  targets: [TARGET],
  generation: 0n,
  watchdog: true,
  sysrqReboot: false,
  resourceMode: false,
  nativeTimeout: true,
};

/** What another host and sanlock do; what the command did, as lines. */
function play(world: {
  readonly refuses?: string;
  readonly deadAtS?: number;
  readonly replyAtS?: number;
}): readonly string[] {
  const lines: string[] = [];
  let nowMs = 0;
  let received: TargetEvent[] = [];
  const steps = resetSteps(REQUEST, nowMs);
  const answer = (name: string, value: unknown): ResetReply['result'] => {
    const why = { code: -2, outcome: 'refused', call: name, socketPath: '/s' } as const;
    return world.refuses === name ? { ok: false, error: makeFailure(why) } : ok(value);
  };
  let turn = steps.next();
  while (turn.done !== true) {
    const effect = turn.value;
    let result: ResetReply['result'] = null;
    switch (effect.kind) {
      case 'listen':
        result = answer('listen', {});
        break;
      case 'call': {
        const isDead = world.deadAtS !== undefined && nowMs >= world.deadAtS * 1000;
        const flags = isDead ? HOST_STATES.DEAD : HOST_STATES.LIVE;
        const hosts = [{ flags, timestampS: 100n, ioTimeoutS: 10 }];
        result = answer(effect.call.name, effect.call.name === 'get_hosts' ? hosts : 0);
        break;
      }
      case 'sleep':
        nowMs += effect.forMs;
        if (world.replyAtS !== undefined && nowMs === world.replyAtS * 1000) {
          received.push({ ...TARGET, event: RESET_EVENTS.RESETTING, atMs: nowMs });
        }
        break;
      case 'report':
        lines.push(`${nowMs / 1000}: ${textOf(effect.report)}`);
        break;
      default:
        unreachable(effect);
    }
    const arrived = received;
    received = [];
    turn = steps.next({ nowMs, received: arrived, result });
  }
  return [...lines, turn.value ? 'reset' : 'not reset'];
}

function textOf(report: ResetReport): string {
  return report.kind;
}

test('asked, replied, and 90 s later reset', () => {
  assert.deepEqual(play({ replyAtS: 6 }), ['0: asked', '6: replied', '96: done', 'reset']);
  const early = ['0: asked', '6: replied', '40: done', 'reset'];
  assert.deepEqual(play({ replyAtS: 6, deadAtS: 40 }), early);
});

test('a death without a reply is no reset; nor is a request that no lockspace carries', () => {
  assert.deepEqual(play({ deadAtS: 40 }), ['0: asked', '40: failed', 'not reset']);
  assert.deepEqual(play({ refuses: 'set_event' }), ['0: notAsked', 'not reset']);
});

test('without an event channel the request is made all the same', () => {
  const lines = ['0: noReplies', '0: asked', '40: failed', 'not reset'];
  assert.deepEqual(play({ refuses: 'listen', deadAtS: 40 }), lines);
});

test('a sanlock that shows nothing of the host is given up after a minute', () => {
  assert.deepEqual(play({ refuses: 'get_hosts' }), ['0: asked', '60: failed', 'not reset']);
});
