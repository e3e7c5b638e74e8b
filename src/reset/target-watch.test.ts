import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOST_STATES } from '../wire/sanlock/socket.ts';
import { RESET_EVENTS } from './reset-events.ts';
import { type TargetView, TargetWatch, type WatchRules } from './target-watch.ts';

const ONE = { lockspaceName: 'LS1', hostId: 2n };
const TWO = { lockspaceName: 'LS2', hostId: 7n };
const RULES: WatchRules = { nativeTimeout: true, resourceMode: false };
const { RESETTING, REBOOTING, RESET } = RESET_EVENTS;
const { LIVE, FREE, DEAD, FAIL } = HOST_STATES;

/** `from`, `until`: seconds in which the host renews, every 2·t. */
interface Host {
  readonly t?: number;
  readonly renewsUntilS: number;
  readonly deadAtS?: number;
}

/** Polls every 2 s from 0 on and gives the time and kind of the verdict. */
function ending(
  hosts: readonly Host[],
  replies: readonly { readonly atS: number; readonly event: bigint; readonly in?: typeof ONE }[],
  rules: Partial<WatchRules> = {},
): string {
  const targets = [ONE, TWO].slice(0, hosts.length);
  const watch = new TargetWatch(targets, { ...RULES, ...rules }, 0);
  for (let nowS = 0; nowS <= 1000; nowS += 2) {
    for (const { atS, event, in: where = ONE } of replies) {
      if (atS === nowS) watch.received({ ...where, event }, nowS);
    }
    for (const [index, host] of hosts.entries()) {
      const target = targets[index];
      if (target !== undefined) watch.update(target, viewOf(host, nowS), nowS);
    }
    const { kind } = watch.verdict(nowS);
    if (kind !== 'waiting') return `${kind} at ${nowS}`;
  }
  return 'waiting for ever';
}

function viewOf(host: Host, nowS: number): TargetView {
  const { t = 10, renewsUntilS, deadAtS = Number.POSITIVE_INFINITY } = host;
  const last = Math.min(nowS, renewsUntilS);
  const timestampS = BigInt(1000 + last - (last % (2 * t)));
  const state = nowS >= deadAtS ? DEAD : nowS > renewsUntilS ? FAIL : LIVE;
  return { state, timestampS, ioTimeoutS: t };
}

test('a reply and no renewal from 70 to 90 s after it: reset, at io timeout 10 only', () => {
  const replies = [{ atS: 10, event: RESETTING }];
  assert.equal(ending([{ renewsUntilS: 75 }], replies), 'done at 100');
  assert.equal(ending([{ renewsUntilS: 75 }], [{ atS: 10, event: REBOOTING }]), 'failed at 310');
  const slow = { t: 20, renewsUntilS: 40, deadAtS: 250 };
  assert.equal(ending([slow], replies), 'done at 250');
  const host = { renewsUntilS: 75, deadAtS: 200 };
  assert.equal(ending([host], replies, { nativeTimeout: false }), 'done at 200');
});

test('a renewal after the watchdog should have fired: not reset', () => {
  const replies = [{ atS: 10, event: RESETTING }];
  assert.equal(ending([{ renewsUntilS: 500 }], replies), 'failed at 100');
  const two = [{ renewsUntilS: 75 }, { renewsUntilS: 85 }]; // the second renews at 80
  assert.equal(ending(two, replies), 'done at 100');
  assert.equal(ending(two, [{ atS: 8, event: RESETTING }]), 'failed at 80');
});

test('without a reply: 4 renewals, a death or a leave end the hope, in all lockspaces', () => {
  assert.equal(ending([{ renewsUntilS: 500 }], []), 'failed at 80');
  assert.equal(ending([{ renewsUntilS: 0, deadAtS: 140 }], []), 'failed at 140');
  assert.equal(
    ending([{ renewsUntilS: 500 }, { renewsUntilS: 0, deadAtS: 140 }], []),
    'failed at 140',
  );
  const dead = { renewsUntilS: 0, deadAtS: 140 };
  assert.equal(ending([dead], [], { resourceMode: true }), 'done at 140');
  const watch = new TargetWatch([ONE], RULES, 0);
  watch.update(ONE, { state: FREE, timestampS: 0n, ioTimeoutS: 10 }, 2);
  assert.equal(watch.verdict(2).kind, 'failed');
});

test('only a reply of the very host counts', () => {
  const dead = { renewsUntilS: 0, deadAtS: 140 };
  assert.equal(ending([dead], [{ atS: 10, event: RESETTING }]), 'done at 100');
  assert.equal(ending([dead], [{ atS: 10, event: RESET }]), 'failed at 140');
  const other = { lockspaceName: 'LS1', hostId: 3n };
  assert.equal(ending([dead], [{ atS: 10, event: RESETTING, in: other }]), 'failed at 140');
  assert.equal(ending([dead, dead], [{ atS: 10, event: RESETTING, in: TWO }]), 'done at 100');
});

test('a sanlock that shows nothing is given up, and proves nothing', () => {
  const watch = new TargetWatch([ONE], RULES, 0);
  watch.update(ONE, null, 2);
  assert.equal(watch.verdict(59).kind, 'waiting');
  assert.equal(watch.verdict(60).kind, 'failed');
  watch.update(ONE, { state: LIVE, timestampS: 5n, ioTimeoutS: 10 }, 61);
  watch.received({ ...ONE, event: RESETTING }, 62);
  assert.equal(
    watch.verdict(200).kind,
    'waiting',
    'no reply came from when the watchdog should fire',
  );
  assert.equal(watch.verdict(362).kind, 'failed');
});
