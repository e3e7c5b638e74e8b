import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiskLease } from './lease-names.ts';
import { type Holdings, type LeaseSteps, lend, reclaim } from './lease-steps.ts';

const LEASES: readonly DiskLease[] = ['a', 'b'].map((name) => ({
  ...{ name, key: name, target: 'vda' },
  mode: 'exclusive',
}));

function run<T>(steps: LeaseSteps<T>, codes: Record<string, number>): T {
  let turn = steps.next({ code: 0, nowMs: 0 });
  while (turn.done !== true) {
    const { value: effect } = turn;
    const code = effect.kind === 'convert' ? (codes[effect.name] ?? 0) : 0;
    turn = steps.next({ code, nowMs: 0 });
  }
  return turn.value;
}

const held = (what: 'exclusive' | 'lent'): Holdings =>
  new Map(LEASES.map((one) => [one.name, what]));

test('a conversion that is refused leaves its lease as it is', () => {
  const lent = run(lend(LEASES, held('exclusive')), { b: -202 });
  assert.deepEqual([lent.code, ...lent.holdings.values()], [-202, 'lent', 'exclusive']);
  const back = run(reclaim(LEASES, held('lent')), { b: -11 });
  assert.deepEqual([back.code, ...back.holdings.values()], [-11, 'exclusive', 'lent']);
});

test('one that was done, though no answer came, is done', () => {
  const lent = run(lend(LEASES, held('exclusive')), { a: -114 });
  assert.deepEqual([lent.code, ...lent.holdings.values()], [0, 'lent', 'lent']);
  const back = run(reclaim(LEASES, held('lent')), { a: -114 });
  assert.deepEqual([back.code, ...back.holdings.values()], [0, 'exclusive', 'exclusive']);
});
