import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHolderLine } from './holder-lines.ts';

type Fields = Readonly<Record<string, unknown>>;

const LEASE = { id: 1, lease: 5 };
const PLACE = { resource: 'R"1', path: '/dev/l\\un', offset: 1048576 };
const MODE = { shared: false, lver: '18446744073709551615' };
const STOPPING = {
  ...{ killpath: '/bin/x', killargs: 'a', killpathPid: true, restricted: 0xffffffff },
  ownerName: 'web',
};

/** One sound line of each kind. */
const SOUND: Readonly<Record<string, Fields>> = {
  space: {
    ...{ id: 1, name: 'LS', hostId: 1, path: '/dev/lun', offset: 0, ioTimeoutS: 10 },
    ...{
      timestampS: 100,
      claimedBootMs: 100_250.5,
      generation: '3',
      hostName: 'host1',
      joinedS: 20,
    },
    allLeases: true,
  },
  renewed: { id: 1, timestampS: 120, claimedBootMs: 120_000, generation: '3' },
  holds: { id: 1, holder: '7', pid: 4242, started: '99', ...STOPPING, persistent: false },
  free: { id: 1, holder: 'lease' },
  wants: { ...LEASE, ...PLACE },
  lease: {
    ...{ ...LEASE, ...PLACE, ...MODE, persistent: true, lvbWanted: false, restricted: 2 },
    ...{ lastPid: -1, holders: ['7', '-3'], keeps: [true, false] },
  },
  shares: { ...LEASE, holder: '8' },
  drops: { ...LEASE, holder: '8' },
  converts: { ...LEASE, toShared: true },
  mode: { ...LEASE, ...MODE },
  lvb: { ...LEASE, value: 'AQID' },
  given: LEASE,
  config: { id: 1, used: true, usedByOrphans: false },
  removal: { id: 1 },
  left: { id: 1 },
  lost: { id: 1 },
  unknown: {},
};

/** Values that were never written in a field of that name. */
const IMPOSSIBLE: Fields = {
  id: [-1, 1.5, 2 ** 60, '1'],
  lease: [-1, 0.5, null],
  hostId: [-1, '1'],
  offset: [-1048576, 2 ** 60],
  ioTimeoutS: [0, 256, 2.5],
  timestampS: [-1, 0.5],
  claimedBootMs: [-1, '0'],
  generation: ['', '-1', '1e3', 3, '184467440737095516150'],
  lver: ['x', '', 1],
  pid: [0, -1, 1.5],
  lastPid: [-2, 0.5],
  restricted: [-1, 2 ** 32],
  holder: ['', 'client', 7, '1.5'],
  holders: ['7', [7], ['']],
  keeps: [true, [1], ['true'], [null]],
  value: ['A', 'AQI', '====', 'A'.repeat(8000), 0],
  ...Object.fromEntries(
    ['shared', 'toShared', 'persistent', 'lvbWanted', 'used', 'usedByOrphans', 'allLeases'].map(
      (name) => [name, [0, 'true', null]],
    ),
  ),
};

const parse = (fields: object) => parseHolderLine(JSON.stringify(fields));

test('a line of each kind is read as it was written', () => {
  for (const [kind, fields] of Object.entries(SOUND)) {
    assert.deepEqual(parse({ kind, ...fields }), { kind, ...fields });
  }
});

test('a line with a value that cannot be is damaged, and so is one without a value', () => {
  let tried = 0;
  for (const [kind, fields] of Object.entries(SOUND)) {
    for (const name of Object.keys(fields)) {
      for (const value of (IMPOSSIBLE[name] as unknown[] | undefined) ?? [{}]) {
        tried++;
        assert.equal(parse({ kind, ...fields, [name]: value }), null, `${kind} ${name} ${value}`);
      }
      const { [name]: _, ...others } = fields;
      const read = parse({ kind, ...others });
      if (read !== null) assert.ok(name in read, `${kind} without ${name}: by a default`);
    }
  }
  assert.ok(tried > 100);
  for (const text of ['', '{', 'null', '[]', '{"kind":"later"}', '{"id":1}']) {
    assert.equal(parseHolderLine(text), null, text);
  }
});

test('lines of the first version are no damage', () => {
  const space = { ...SOUND['space'], kind: 'space', asleepMs: 5 };
  const renewed = { kind: 'renewed', id: 1, timestampS: 120, asleepMs: 5 };
  const holds = { ...SOUND['holds'], kind: 'holds' };
  const later = ['claimedBootMs', 'generation', 'hostName', 'joinedS', 'allLeases', 'persistent'];
  for (const line of [space, renewed, holds]) {
    const first = Object.fromEntries(
      Object.entries(line).filter(([name]) => !later.includes(name)),
    );
    const read = parse(first);
    assert.deepEqual(read, { ...read, ...first });
  }
  // They had the suspended time beside the timestamp: together they are the boot time.
  const { claimedBootMs } = { claimedBootMs: null, ...parse(renewed) };
  assert.equal(claimedBootMs, 120_005);
});
