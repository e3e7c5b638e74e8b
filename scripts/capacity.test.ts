import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { MIB, SECOND_MS } from '../src/base/units.ts';
import { SETTINGS } from '../src/cli/sanlock-daemon/setting-table.ts';
import { GEOMETRIES } from '../src/format/geometry.ts';
import { leaseTimes } from '../src/lease/lease-times.ts';
import { LIMITS } from '../src/lvmlockd/limits.ts';
import { SLOT_FIRST_LV } from '../src/lvmlockd/managers/sanlock/layout.ts';
import { MAX_CLIENTS } from '../src/sanlock/front.ts';
import { MAX_CHANNELS } from '../src/sanlock/host-events.ts';
import { MAX_ACQUIRE } from '../src/sanlock/request.ts';

/** The numbers of docs/operations/capacity.md are those that the programs go by. */

const PAGE = 'docs/operations/capacity.md';

/** The tables of the page: their rows by the text of the first cell, the heading first. */
const tables = tablesOf(readFileSync(PAGE, 'utf8'));

function tablesOf(text: string): readonly (readonly (readonly string[])[])[] {
  return text
    .split(/\n\s*\n/)
    .filter((block) => block.startsWith('|'))
    .map((block) =>
      block
        .trim()
        .split('\n')
        .filter((line) => !line.startsWith('|---'))
        .map((line) =>
          line
            .split('|')
            .slice(1, -1)
            .map((cell) => cell.trim()),
        ),
    );
}

function tableOf(heading: string): readonly (readonly string[])[] {
  const table = tables.find(([head]) => head?.[0] === heading);
  assert.ok(table !== undefined, `the page has a table of "${heading}"`);
  return table;
}

type Ms = (t: number) => number;
/** As wdmd is built: it pings every 10 s, and for the last time 10 to 0 s before an expiry. */
const LAST_PING_MS = 10 * SECOND_MS;
const graceMs = SETTINGS.killGraceS.otherwise * SECOND_MS;

const TIMES: readonly Ms[] = [
  (t) => leaseTimes(t).renewalIntervalMs,
  (t) => leaseTimes(t).renewalWarnMs,
  (t) => leaseTimes(t).renewalFailMs,
  (t) => leaseTimes(t).renewalFailMs + graceMs,
  (t) => leaseTimes(t).hostDeadMs - LAST_PING_MS,
  (t) => leaseTimes(t).hostDeadMs,
  (t) => leaseTimes(t).hostDeadMs,
];

const JOINS: readonly Ms[] = [
  (t) => leaseTimes(t).joinSettleMs,
  (t) => leaseTimes(t).ownNameWatchMs + leaseTimes(t).joinSettleMs,
  (t) => leaseTimes(t).hostDeadMs + leaseTimes(t).joinSettleMs,
];

for (const [heading, of] of [
  ['what happens', TIMES],
  ['who had the host id last', JOINS],
] as const) {
  test(`the times of the table "${heading}"`, () => {
    const [head, ...rows] = tableOf(heading);
    const timeouts = (head ?? []).slice(1).map((cell) => Number(/^t = (\d+)$/.exec(cell)?.[1]));
    assert.deepEqual(timeouts, [1, 5, 10, 20, 40]);
    assert.ok(rows.length >= of.length);
    for (const [index, ms] of of.entries()) {
      const [name = '', ...cells] = rows[index] ?? [];
      assert.deepEqual(
        cells.map(Number),
        timeouts.map((t) => ms(t) / SECOND_MS),
        name,
      );
    }
  });
}

test('the host ids of each sector and area', () => {
  const [, ...rows] = tableOf('sector, and area of one lease');
  assert.deepEqual(
    rows,
    GEOMETRIES.map(({ sectorSize, areaBytes, maxHosts }) => [
      `${sectorSize} bytes, ${areaBytes / MIB} MiB`,
      `1 to ${maxHosts}`,
    ]),
  );
});

test('how many LVs have room in lvmlock', () => {
  const [, made, more] = tableOf('`lvmlock`');
  const slots = (bytes: number, areaMib: number) => bytes / (areaMib * MIB);
  assert.deepEqual(made?.slice(1), [
    `${slots(256 * MIB, 1) - SLOT_FIRST_LV}`,
    `${slots(1024 * MIB, 8) - SLOT_FIRST_LV}`,
  ]);
  assert.deepEqual(more?.slice(1), [`${slots(256 * MIB, 1)} more`, `${slots(256 * MIB, 8)} more`]);
});

test('what renewals read', () => {
  const [, ...rows] = tableOf('area');
  const KIB = 1024;
  for (const [area = '', slow, fast, many] of rows) {
    const bytes = Number(/^(\d+) MiB$/.exec(area)?.[1]) * MIB;
    const rate = (t: number) => (bytes / leaseTimes(t).renewalIntervalMs) * SECOND_MS;
    const text = (perS: number) =>
      perS < MIB
        ? `${Number((perS / KIB).toPrecision(2))} KiB/s`
        : `${Number((perS / MIB).toPrecision(2))} MiB/s`;
    assert.deepEqual(
      [slow, fast, many].map(loose),
      [rate(10), rate(1), 128 * rate(10)].map(text).map(loose),
    );
  }
});

/** Two digits are enough. */
function loose(text: string | undefined): string {
  const [number = '', unit = ''] = (text ?? '').split(' ');
  return `${Number(Number(number).toPrecision(2))} ${unit}`;
}

test('limits', () => {
  const [, ...rows] = tableOf('limit');
  const wanted: Readonly<Record<string, number>> = {
    'clients of sanlock at once': MAX_CLIENTS - 2,
    'leases in one request': MAX_ACQUIRE,
    'listeners to events of a lockspace': MAX_CHANNELS,
    'connections to lvmlockd': LIMITS.clients,
    'VGs of lvmlockd': LIMITS.lockspaces,
    'LVs of a VG in use at a time': LIMITS.resources,
    'procedures of lvmlockd at once': LIMITS.tasks,
  };
  for (const [name, limit] of Object.entries(wanted)) {
    const row = rows.find(([first]) => first === name);
    assert.equal(Number(row?.[1]?.replaceAll(' ', '')), limit, name);
  }
});

test('memory that the units reserve', () => {
  const row = tableOf('what').find(([first]) => first?.startsWith('reserved by the units'));
  const reserved = ['wdmd.service', 'sanlock.service', 'lvmlockd.service', 'holdfast.slice'].map(
    (file) => /^MemoryMin=(\d+)M$/m.exec(readFileSync(`packaging/${file}`, 'utf8'))?.[1],
  );
  assert.equal(row?.[1], `${reserved.join(', ')} MB`);
});
