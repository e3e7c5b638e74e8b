import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Logged } from '../inspect/explain/logged.ts';
import {
  holder,
  lockspace,
  lv,
  renewals,
  snapshot,
  vg,
} from '../inspect/snapshot/testing/clusters.ts';
import type { Feed } from './feed.ts';
import { EVENTS_KEPT, type Look, RENEWALS_KEPT } from './model.ts';
import { madeFeed } from './testing/web-harness.ts';

function wholeOf(feed: Feed): Look {
  return JSON.parse(feed.whole() ?? 'null') as Look;
}

test('before the first look nothing is known, and nothing is claimed', () => {
  const feed = madeFeed();
  assert.equal(feed.whole(), null);
  feed.fail('not yet');
  assert.equal(feed.whole(), null);
});

test('a page that comes later knows what one knows that was there', () => {
  const feed = madeFeed();
  const heard: Look[] = [];
  feed.listen((message) => heard.push(JSON.parse(message) as Look));
  const leases = new Map<string, unknown>();
  for (let n = 0; n < 12; n++) {
    const lvs = [lv('data', n % 3 === 0 ? [] : [holder((n % 2) + 1, `h${n % 2}`)]), lv(`lv${n}`)];
    feed.look(snapshot({ vgs: [vg('vg0', lvs)] }, n * 5), 3);
  }
  for (const look of heard) {
    for (const key of look.leases.drop) leases.delete(key);
    for (const row of look.leases.set) leases.set(row.key, row);
  }
  const whole = wholeOf(feed);
  const order = (a: readonly [string, unknown], b: readonly [string, unknown]) =>
    a[0] < b[0] ? -1 : 1;
  assert.deepEqual(
    [...leases].sort(order),
    whole.leases.set.map((row) => [row.key, row] as const).sort(order),
  );
  assert.deepEqual(
    heard.flatMap((look) => look.events),
    whole.events,
  );
  assert.ok(whole.events.length > 5);
});

test('a look that fails is told, and what was known stays', () => {
  const feed = madeFeed();
  feed.look(snapshot(), 3);
  const heard: Look[] = [];
  feed.listen((message) => heard.push(JSON.parse(message) as Look));
  feed.fail('the disk\nhangs');
  assert.equal(heard[0]?.head.failure, 'the disk?hangs');
  assert.equal(wholeOf(feed).members.set.length, 3);
  feed.look(snapshot({}, 5), 3);
  assert.equal(heard[1]?.head.failure, null);
});

test('renewals: each once, however often it is seen, with the margin before it', () => {
  const feed = madeFeed();
  const at = (count: number, lastS: number) =>
    snapshot({ lockspaces: [lockspace('lvm_vg0', { renewals: renewals(count, lastS) })] });
  feed.look(at(5, 1000), 1);
  feed.look(at(5, 1000), 1);
  feed.look(at(5, 1040), 1);
  // As if it had not renewed for a while.
  feed.look(at(1, 1110), 1);
  const points = wholeOf(feed).renewals['lvm_vg0'] ?? [];
  assert.deepEqual(
    points.map(([when, lowest]) => [when, lowest]),
    [[920, null], ...[940, 960, 980, 1000, 1020, 1040].map((when) => [when, 60]), [1110, 10]],
  );
  assert.equal(feed.renewals.tally('lvm_vg0').count, 8);
});

test('a lockspace may be called as no key of an object should be', () => {
  const feed = madeFeed();
  feed.look(snapshot({ lockspaces: [lockspace('__proto__')] }), 1);
  const { renewals: own } = wholeOf(feed);
  assert.ok(Object.hasOwn(own, '__proto__'));
});

test('what is kept is bounded', () => {
  const feed = madeFeed();
  const on = snapshot();
  const off = snapshot({ watchdog: { state: 'off', why: 'wdmdAbsent' } });
  for (let n = 0; n < EVENTS_KEPT + 100; n++) feed.look(n % 2 === 0 ? on : off, 1);
  const many = snapshot({
    lockspaces: [lockspace('lvm_vg0', { renewals: renewals(RENEWALS_KEPT + 50, 10_000_000) })],
  });
  feed.look(many, 1);
  const whole = wholeOf(feed);
  assert.equal(whole.events.length, EVENTS_KEPT);
  assert.equal(whole.events.at(-1)?.number, EVENTS_KEPT + 100);
  assert.equal(whole.renewals['lvm_vg0']?.length, RENEWALS_KEPT);
});

test('what only a log tells is an event, by the name of the LV, and counted', () => {
  const feed = madeFeed();
  feed.look(snapshot(), 1);
  const refused: Logged = {
    kind: 'leaseRefused',
    atS: 100_007,
    lockspace: 'lvm_vg0',
    resource: 'uuid-data',
    result: '-243',
    mode: 'exclusive',
    asker: 'lvmlockd',
    holder: 'be\nta',
    reason: 'another host holds it',
    repeated: 3,
  };
  feed.look(snapshot({}, 5), 1, [refused, { kind: 'processStopped', atS: 1, pid: 7, how: 'so' }]);
  const [first, second] = wholeOf(feed).events;
  const text = (first?.parts ?? []).map((part) => (typeof part === 'string' ? part : part.name));
  assert.equal(
    text.join(''),
    'lvmlockd was refused vg0/data (exclusively): it is held by be?ta: another host holds it (-243), and 3 times more',
  );
  assert.equal(first?.wallMs, 1_800_000_003_000);
  assert.equal(second?.level, 'error');
  assert.equal(feed.counted.get('leaseRefused'), 1);
});
