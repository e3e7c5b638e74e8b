import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CHANGE_LEVELS } from '../inspect/snapshot/snapshot-changes.ts';
import {
  holder,
  lockspace,
  lv,
  member,
  snapshot,
  vg,
} from '../inspect/snapshot/testing/clusters.ts';
import { LOGGED_LEVELS } from './feed.ts';
import { labelValue } from './metric-text.ts';
import { MAX_SERIES, METRICS, metricsOf } from './metrics.ts';
import { madeFeed } from './testing/web-harness.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';

function metricsFor(...looks: readonly ReturnType<typeof snapshot>[]): readonly string[] {
  const feed = madeFeed();
  for (const look of looks) feed.look(look, 20);
  return metricsOf(feed, 0).split('\n');
}

test('what an alert or a dashboard needs is there', () => {
  const lvs = [
    lv('a', [holder(1, 'alpha')]),
    lv('b', [holder(2, 'b', 'sh')]),
    lv('c'),
    lv('d', null),
  ];
  const lines = metricsFor(snapshot({ vgs: [vg('vg0', lvs, { trouble: 'killed' })] }));
  for (const line of [
    'holdfast_look_success 1',
    'holdfast_watchdog_on 1',
    'holdfast_daemon_up{daemon="sanlock"} 1',
    'holdfast_daemon_info{daemon="sanlock",maker="holdfast",version="3.8.5"} 1',
    'holdfast_lockspace_margin_seconds{lockspace="lvm_vg0"} 76',
    'holdfast_renewal_duration_seconds_bucket{lockspace="lvm_vg0",le="0.0025"} 0',
    'holdfast_renewal_duration_seconds_bucket{lockspace="lvm_vg0",le="0.005"} 24',
    'holdfast_renewal_duration_seconds_bucket{lockspace="lvm_vg0",le="+Inf"} 30',
    'holdfast_renewal_duration_seconds_count{lockspace="lvm_vg0"} 30',
    'holdfast_hosts{lockspace="lvm_vg0",state="live"} 3',
    'holdfast_host_live{lockspace="lvm_vg0",host_id="2",host="beta"} 1',
    'holdfast_vg_trouble{vg="vg0",trouble="killed"} 1',
    'holdfast_lvs{vg="vg0",held="ex"} 1',
    'holdfast_lvs{vg="vg0",held="sh"} 1',
    'holdfast_lvs{vg="vg0",held="free"} 1',
    'holdfast_lvs{vg="vg0",held="unknown"} 1',
    'holdfast_events_total{kind="lockspaceFailing"} 0',
    'holdfast_series_left_out 0',
  ]) {
    assert.ok(lines.includes(line), line);
  }
});

test('an event is counted', () => {
  const failing = snapshot({ lockspaces: [lockspace('lvm_vg0', { phase: 'failing' })] });
  const lines = metricsFor(snapshot(), failing);
  assert.ok(lines.includes('holdfast_events_total{kind="lockspaceFailing"} 1'));
  assert.ok(lines.includes('holdfast_lockspace_joined{lockspace="lvm_vg0"} 0'));
});

test('what was true before a failed look is not told as if it were true', () => {
  const feed = madeFeed();
  feed.look(snapshot(), 20);
  feed.fail('no answer');
  const text = metricsOf(feed, 0);
  assert.match(text, /^holdfast_look_success 0$/m);
  assert.match(text, /^holdfast_look_timestamp_seconds 1800000000$/m);
  assert.doesNotMatch(text, /lockspace=|daemon=/);
});

test('a name of a disk stays within its quotes, and on its line', () => {
  const hostile: readonly (readonly [string, string])[] = [
    ['a"} 1\nholdfast_look_success 0', 'a\\"} 1?holdfast_look_success 0'],
    ['back\\slash\\', 'back\\\\slash\\\\'],
    ['\u202eright\u0000', '?right?'],
    ['x'.repeat(500), `${'x'.repeat(160)}…`],
  ];
  for (const [name, label] of hostile) assert.equal(labelValue(name), label);
  const names = [...hostile.map(([name]) => name), '{}', '__name__'];
  const lines = metricsFor(
    snapshot({
      lockspaces: names.map((name) => lockspace(name, { members: [member(2, name)] })),
      vgs: names.map((name) => vg(name, [])),
    }),
  );
  const line =
    /^(# (HELP|TYPE) holdfast_\w+ .+|holdfast_\w+(\{\w+="(?:[^"\\\n]|\\["\\n])*"(,\w+="(?:[^"\\\n]|\\["\\n])*")*\})? (-?[\d.e+-]+|\+Inf))?$/;
  for (const one of lines) assert.match(one, line);
});

test('hosts beyond the limit are counted, and push nothing else out', () => {
  const many = (name: string) =>
    lockspace(name, {
      members: Array.from({ length: 2000 }, (_, n) => member(n + 1, `host${n}`)),
    });
  const names = Array.from({ length: 8 }, (_, n) => `space${n}`);
  const lines = metricsFor(snapshot({ lockspaces: names.map(many) }));
  assert.ok(lines.filter((line) => line.startsWith('holdfast_')).length <= MAX_SERIES + 1);
  const left = Number(/^holdfast_series_left_out (\d+)$/m.exec(lines.join('\n'))?.[1]);
  assert.ok(left > 8 * 1999 * 2 - MAX_SERIES);
  assert.ok(lines.includes('holdfast_lockspace_joined{lockspace="space7"} 1'));
  assert.ok(lines.includes('holdfast_vg_started{vg="vg0"} 1'));
});

test('docs/operations/metrics.md has every metric with its type and labels, and no other', () => {
  const page = readFileSync(`${ROOT}/docs/operations/metrics.md`, 'utf8');
  const rows = [...page.matchAll(/^\| `(holdfast_\w+)` \| (\w+) \| ([^|]+) \|/gm)];
  const documented = rows.map(([, name, type, labels = '']) => [
    name,
    type,
    labels.trim() === '–' ? [] : [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label),
  ]);
  const known = Object.entries(METRICS).map(([name, { type, labels }]) => [name, type, labels]);
  assert.deepEqual(documented, known);
});

test('docs/operations/metrics.md has every kind of event with its level, and no other', () => {
  const page = readFileSync(`${ROOT}/docs/operations/metrics.md`, 'utf8');
  const rows = page.matchAll(/^\| ((?:`\w+`,? ?)+) \| (info|warn|error) \|/gm);
  const documented = [...rows].flatMap(([, kinds = '', level]) =>
    [...kinds.matchAll(/`(\w+)`/g)].map(([, kind]) => [kind, level]),
  );
  const known = { ...CHANGE_LEVELS, ...LOGGED_LEVELS };
  assert.deepEqual(Object.fromEntries(documented), known);
});

test('a metric has the labels that its table says, and is one of it', () => {
  const everything = snapshot({
    vgs: [vg('vg0', [lv('a')], { trouble: 'killed' })],
    unread: [{ what: 'lvm', of: '', why: 'no' }],
  });
  const seen = new Set<string>();
  for (const line of metricsFor(everything, snapshot({}, 5), everything)) {
    const [, whole = '', labels = ''] = /^(holdfast_\w+)(?:\{(.*)\})? /.exec(line) ?? [];
    if (whole === '') continue;
    const name = whole.replace(/_(bucket|sum|count)$/, '');
    const metric = METRICS[name];
    assert.ok(metric !== undefined, name);
    seen.add(name);
    const given = [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label);
    const wanted = metric.labels.filter((label) => label !== 'le' || whole.endsWith('_bucket'));
    assert.deepEqual(given, wanted, line);
  }
  assert.deepEqual([...seen].sort(), Object.keys(METRICS).sort());
});
