import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Snapshot } from '../inspect/snapshot/snapshot.ts';
import { snapshot } from '../inspect/snapshot/testing/clusters.ts';
import { eventually } from './testing/web-harness.ts';
import { Watcher } from './watcher.ts';

interface Heard {
  readonly looks: Snapshot[];
  readonly failures: string[];
}

function watching(look: (signal: AbortSignal) => Promise<Snapshot>, deadlineMs = 1000) {
  const seen: Heard = { looks: [], failures: [] };
  const watcher = new Watcher({
    source: { look: async (signal) => ({ snapshot: await look(signal), logged: [] }) },
    everyMs: 1,
    deadlineMs,
    onLook: ({ snapshot: one }) => seen.looks.push(one),
    onFailure: (why) => seen.failures.push(why),
  });
  watcher.start();
  return { seen, watcher };
}

test('one look after another, and never two at once', async () => {
  let underWay = 0;
  let most = 0;
  const { seen, watcher } = watching(async () => {
    underWay += 1;
    most = Math.max(most, underWay);
    await new Promise((resolve) => setTimeout(resolve, 3));
    underWay -= 1;
    return snapshot();
  });
  await eventually('looks', () => seen.looks.length >= 5);
  await watcher.close();
  const { length } = seen.looks;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(seen.looks.length, length, 'closed: no look any more');
  assert.equal(most, 1);
});

test('a look that fails is told, and the next one follows', async () => {
  let count = 0;
  const { seen, watcher } = watching(() => {
    count += 1;
    return count === 1 ? Promise.reject(new Error('no socket')) : Promise.resolve(snapshot());
  });
  await eventually('looks', () => seen.looks.length >= 1);
  await watcher.close();
  assert.deepEqual(seen.failures, ['no socket']);
});

test('a look that hangs is told at its deadline, and awaited before the next', async () => {
  let end: (() => void) | null = null;
  let count = 0;
  const look = () => {
    count += 1;
    if (count > 1) return Promise.resolve(snapshot({}, 5));
    return new Promise<Snapshot>((resolve) => {
      end = () => resolve(snapshot());
    });
  };
  const { seen, watcher } = watching(look, 30);
  await eventually('failures', () => seen.failures.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(count, 1);
  (end as (() => void) | null)?.();
  await eventually('looks', () => seen.looks.length >= 1);
  await watcher.close();
  assert.deepEqual(seen.looks[0], snapshot({}, 5), 'what came too late is not shown');
  assert.match(seen.failures[0] ?? '', /not seen within 0\.03 s/);
});
