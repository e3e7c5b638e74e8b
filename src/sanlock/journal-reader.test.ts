import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Line } from './holder-lines.ts';
import { outlivesHolders } from './inherited.ts';
import { noContents, readLine } from './journal-reader.ts';

const SPACE: Line = {
  ...{ kind: 'space', id: 1, name: 'LS', hostId: 1, path: '/dev/lun', offset: 0, ioTimeoutS: 10 },
  ...{ timestampS: 100, claimedBootMs: 100_000, generation: '3', hostName: 'host1', joinedS: 20 },
  allLeases: true,
};
const PLACE = { resource: 'R1', path: '/dev/lun', offset: 1048576 };
const OF = { id: 1, lease: 5 };
const WANTS: Line = { kind: 'wants', ...OF, ...PLACE };
const LEASE: Line = {
  ...{ kind: 'lease', ...OF, ...PLACE, shared: true, lver: '4', persistent: false },
  ...{ lvbWanted: true, restricted: 0, lastPid: 100, holders: ['7'], keeps: [false] },
};
const LEASE_PROCESS: Line = {
  ...{ kind: 'holds', id: 1, holder: 'lease', pid: 90, started: '9', killpath: '', killargs: '' },
  ...{ killpathPid: false, restricted: 0, ownerName: '', persistent: false },
};

function hold(name: string, persistent = false) {
  return { name, persistent };
}

/** What is read, with the number of lines that say nothing. */
function read(...lines: readonly object[]) {
  const contents = noContents();
  const damaged = lines.filter((line) => !readLine(contents, JSON.stringify(line))).length;
  const survivor = contents.survivors.get(1);
  const { inherited } = survivor ?? {};
  const { registered } = contents;
  return { survivor, inherited, damaged, lease: inherited?.leases.get(5), registered };
}

test('a client is registered until its connection ends, and stopped as it said last', () => {
  const client = { holder: '7', pid: 100, started: '55', killpath: '', killargs: '' };
  const facts = { ...client, killpathPid: false, restricted: 0 };
  const line = { kind: 'registered', ...facts };
  const restricted = { ...line, restricted: 1 };
  const { registered, damaged } = read(line, restricted, { ...line, holder: '8' });
  assert.deepEqual(
    [...registered.values()].map((one) => one.restricted),
    [1, 0],
  );
  assert.equal(damaged, 0);
  assert.equal(read(line, { kind: 'closed', holder: '7' }).registered.size, 0);
  const { pid: _, ...nobody } = line;
  assert.equal(read(nobody).damaged, 1);
});

test('an acquire is wanted, then held, then gone', () => {
  const wanted = read(SPACE, WANTS);
  assert.deepEqual([...(wanted.inherited?.wants ?? [])], [[5, PLACE]]);
  const held = read(SPACE, WANTS, LEASE);
  assert.equal(held.inherited?.wants.size, 0);
  const settled = { converting: null, lvb: null, lver: 4n, holders: [hold('7')] };
  const facts = { shared: true, orphaned: false, lvbWanted: true, restricted: 0, lastPid: 100 };
  assert.deepEqual(held.lease, { ...PLACE, ...facts, ...settled });
  for (const before of [[WANTS], [WANTS, LEASE]]) {
    const { inherited } = read(SPACE, ...before, { kind: 'given', ...OF });
    assert.equal((inherited?.wants.size ?? 1) + (inherited?.leases.size ?? 1), 0);
  }
});

test('a lockspace that begins a second time is damage, and takes nothing from the first one', () => {
  const { damaged, lease } = read(SPACE, LEASE, SPACE);
  assert.deepEqual([damaged, lease?.lver], [1, 4n]);
});

test('sharers come and go, one that came twice as often', () => {
  const joins = { kind: 'shares', ...OF, holder: '8' };
  const drops = { kind: 'drops', ...OF, holder: '8' };
  const { holders } = read(SPACE, LEASE, joins, joins, drops).lease ?? {};
  assert.deepEqual(holders, [hold('7'), hold('8')]);
  assert.equal(read(SPACE, LEASE, drops).damaged, 1, 'it was no sharer');
});

test('each holder says whether the lease outlives it, and any of those that ended unseen counts', () => {
  const both = read(SPACE, { ...LEASE, holders: ['7', '8'], keeps: [false, true] }).lease;
  assert.ok(both !== undefined);
  assert.deepEqual(both.holders, [hold('7'), hold('8', true)]);
  assert.ok(outlivesHolders(both), 'which of them was the last is not known');
  assert.equal(
    read(SPACE, { ...LEASE, holders: [], persistent: true, keeps: [] }).lease?.orphaned,
    true,
  );
  const drops = { kind: 'drops', ...OF, holder: '8' };
  const persistent = { ...LEASE, persistent: true, holders: ['8'], keeps: [true] };
  const released = read(SPACE, persistent, drops).lease;
  assert.ok(
    released !== undefined && !outlivesHolders(released),
    'its value is to be written first',
  );
});

test('of an earlier version the lease said it, for all its holders', () => {
  const { keeps: _, ...old } = LEASE;
  const joins = { kind: 'shares', ...OF, holder: '8' };
  const drops = { kind: 'drops', ...OF, holder: '7' };
  for (const persistent of [true, false]) {
    const { lease } = read(SPACE, { ...old, persistent }, joins, drops);
    assert.deepEqual(lease?.holders, [hold('8', persistent)]);
    const alone = read(SPACE, { ...old, persistent, holders: [] });
    assert.equal(alone.lease?.orphaned, persistent);
  }
});

test('a conversion is under way until its end is read, and keeps what it found', () => {
  const begun = { kind: 'converts', ...OF, toShared: false };
  assert.equal(read(SPACE, LEASE, begun).lease?.converting, 'toExclusive');
  const ended = read(SPACE, LEASE, begun, { kind: 'mode', ...OF, shared: false, lver: '6' }).lease;
  assert.deepEqual([ended?.converting, ended?.shared, ended?.lver], [null, false, 6n]);
});

test('the value that was set last is read, until it is written to the disk', () => {
  const set = { kind: 'lvb', ...OF, value: 'AQID' };
  assert.deepEqual(read(SPACE, LEASE, set).lease?.lvb, Uint8Array.of(1, 2, 3));
  assert.equal(read(SPACE, LEASE, set, { kind: 'lvb', ...OF, value: '' }).lease?.lvb, null);
});

test('how a lockspace is used, and that its removal was asked for', () => {
  const config = { kind: 'config', id: 1, used: true, usedByOrphans: true };
  const { used, usedByOrphans, removal } =
    read(SPACE, config, { kind: 'removal', id: 1 }).inherited ?? {};
  assert.deepEqual([used, usedByOrphans, removal], [true, true, true]);
});

test('of a lockspace that was left nothing is claimed, but its process may still write', () => {
  const { survivor, lease } = read(SPACE, LEASE_PROCESS, LEASE, { kind: 'left', id: 1 });
  assert.equal(lease, undefined);
  assert.equal(survivor?.generation, '0');
  assert.deepEqual([...(survivor?.holders.keys() ?? [])], ['lease']);
});

test('a change of a lease that is not there is damage, and so is a lease of no lockspace', () => {
  const changes = [
    { kind: 'shares', ...OF, holder: '8' },
    { kind: 'converts', ...OF, toShared: true },
    { kind: 'mode', ...OF, shared: true, lver: '1' },
    { kind: 'lvb', ...OF, value: '' },
  ];
  for (const change of changes) {
    assert.equal(read(SPACE, WANTS, change).damaged, 1, change.kind);
    assert.equal(read(change).damaged, 1, change.kind);
  }
  for (const line of [WANTS, LEASE, LEASE_PROCESS]) assert.equal(read(line).damaged, 1);
  const ends = ['renewed', 'free', 'given', 'removal', 'left'];
  const some = { ...OF, timestampS: 1, claimedBootMs: 1, generation: '1', holder: '7' };
  for (const kind of ends) assert.equal(read({ kind, ...some }).damaged, 0, kind);
});

test('earlier versions recorded persistent leases only, and not where they are', () => {
  const { allLeases: _, ...space } = SPACE;
  const old = { kind: 'lease', ...OF, resource: 'R1' };
  const { inherited, lease, damaged } = read(space, old);
  assert.equal(damaged, 0);
  assert.equal(inherited?.isWhole, false);
  assert.deepEqual([lease?.resource, lease?.path, lease?.orphaned], ['R1', '', true]);
  assert.equal(read(SPACE, old).inherited?.isWhole, false, 'a place is missing');
  assert.equal(read(SPACE, LEASE).inherited?.isWhole, true);
});
