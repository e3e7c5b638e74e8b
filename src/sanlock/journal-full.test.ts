import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from '../codec/struct.ts';
import { MemoryJournal } from '../sim/kernel/journal.ts';
import {
  ACQUIRE_FLAGS,
  CONFIG_COMMANDS,
  killpathBody,
  RES_FLAGS,
  SM_CMD,
} from '../wire/sanlock/socket.ts';
import { noContents, readLine } from './journal-reader.ts';
import { rewrite } from './journal-writer.ts';
import { addLockspace, beginJoin } from './lockspaces.ts';
import type { Client } from './state.ts';
import { acquireBody, Harness, hold, lockspace, resource } from './testing/harness.ts';

const { SHARED, PERSISTENT } = RES_FLAGS;
const at = 100;
const EAGAIN = -11;
const NOTHING = new Uint8Array(0);

function joined(): { harness: Harness; journal: MemoryJournal } {
  const journal = new MemoryJournal();
  const harness = new Harness({ journal });
  harness.join(10);
  return { harness, journal };
}

function acquire(harness: Harness, client: Client, flags = 0, cmdFlags = 0): void {
  const body = acquireBody([resource(1, { flags })]);
  harness.ask(client, SM_CMD.ACQUIRE, body, { data: 1, cmdFlags });
}

function holding(harness: Harness, pid: number, flags = 0, cmdFlags = 0): Client {
  const client = harness.connect(pid);
  acquire(harness, client, flags, cmdFlags);
  if (harness.runs.length > 0) harness.granted(1, 1, (flags & SHARED) !== 0);
  return client;
}

/** R1, as the next daemon reads it; undefined: it is none that was granted. */
function recorded(journal: MemoryJournal) {
  const contents = noContents();
  for (const line of journal.load().lines) assert.ok(readLine(contents, line), line);
  return [...(contents.survivors.get(1)?.inherited.leases.values() ?? [])].at(-1);
}

function namesIn(lease: ReturnType<typeof recorded>): string[] | undefined {
  return lease?.holders.map(({ name }) => name);
}

function converted(shared: boolean) {
  return { op: 'convert', hold: hold(1, { shared, lver: 2n }) } as const;
}

const convert = (harness: Harness, client: Client, flags: number) =>
  harness.ask(client, SM_CMD.CONVERT, resource(1, { flags, bare: true }));

test('an acquire that cannot be recorded is not begun', () => {
  const { harness, journal } = joined();
  const client = harness.connect(501);
  journal.full = true;
  harness.play([[at, () => acquire(harness, client), [`c2 answer 7: ${EAGAIN}`]]]);
  assert.deepEqual(harness.front.resources, []);
  journal.full = false;
  harness.play([[at, () => acquire(harness, client), ['lease1 acquire R1']]]);
});

test('a grant that cannot be recorded is released, and answered when it is', () => {
  const { harness, journal } = joined();
  const client = harness.connect(501);
  acquire(harness, client);
  journal.full = true;
  harness.play([
    [at, () => harness.granted(1, 1), ['lease1 release R1']],
    [at, () => harness.ran(1, { op: 'release' }), [`c2 answer 7: ${EAGAIN}`]],
  ]);
  assert.equal(recorded(journal), undefined);
});

test('a sharer that cannot be recorded does not get the lease, and the first one keeps it', () => {
  const { harness, journal } = joined();
  holding(harness, 501, SHARED);
  const second = harness.connect(502);
  journal.full = true;
  harness.play([[at, () => acquire(harness, second, SHARED), [`c3 answer 7: ${EAGAIN}`]]]);
  journal.full = false;
  assert.deepEqual(namesIn(recorded(journal)), ['2']);
  harness.play([[at, () => acquire(harness, second, SHARED), ['c3 answer 7: 0']]]);
  assert.deepEqual(namesIn(recorded(journal)), ['2', '3']);
});

test('an orphan whose new holder cannot be recorded stays one', () => {
  const { harness, journal } = joined();
  harness.close(holding(harness, 501, PERSISTENT));
  const client = harness.connect(502);
  const adopt = () => acquire(harness, client, PERSISTENT, ACQUIRE_FLAGS.ORPHAN);
  journal.full = true;
  harness.play([[at, adopt, [`c3 answer 7: ${EAGAIN}`]]]);
  assert.equal(harness.front.resources[0]?.state, 'orphan');
  journal.full = false;
  harness.play([[at, adopt, ['c3 answer 7: 0']]]);
});

test('a conversion that cannot be recorded is not begun, in either direction', () => {
  for (const flags of [0, SHARED]) {
    const { harness, journal } = joined();
    const client = holding(harness, 501, flags);
    const wanted = flags === SHARED ? 0 : SHARED;
    journal.full = true;
    harness.play([[at, () => convert(harness, client, wanted), [`c2 answer 27: ${EAGAIN}`]]]);
    journal.full = false;
    harness.play([[at, () => convert(harness, client, wanted), ['lease1 convert R1']]]);
  }
});

test('a step up whose end cannot be recorded is undone before it is answered', () => {
  const { harness, journal } = joined();
  const client = holding(harness, 501, SHARED);
  convert(harness, client, 0);
  journal.full = true;
  harness.play([
    [at, () => harness.ran(1, converted(false)), ['lease1 convert R1']],
    [at, () => harness.ran(1, converted(true)), [`c2 answer 27: ${EAGAIN}`]],
  ]);
  assert.equal(harness.front.resources[0]?.shared, true);
  const { shared, converting } = recorded(journal) ?? {};
  assert.deepEqual([shared, converting], [true, 'toExclusive'], 'the disk shows it shared');
  journal.full = false;
  harness.play([[at, () => convert(harness, client, 0), ['lease1 convert R1']]]);
});

test('a step up that can be neither recorded nor undone is not told before it is recorded', () => {
  const { harness, journal } = joined();
  const client = holding(harness, 501, SHARED);
  convert(harness, client, 0);
  journal.full = true;
  harness.play([
    [at, () => harness.ran(1, converted(false)), ['lease1 convert R1']],
    [at, () => harness.ran(1, 'AIO_TIMEOUT'), [`c2 answer 27: ${EAGAIN}`]],
    [at, () => convert(harness, client, 0), [`c2 answer 27: ${EAGAIN}`]],
  ]);
  journal.full = false;
  const EALREADY = -114;
  harness.play([[at, () => convert(harness, client, 0), [`c2 answer 27: ${EALREADY}`]]]);
  assert.equal(recorded(journal)?.shared, false);
});

test('a step down whose end cannot be recorded is told: the disk shows it to the next daemon', () => {
  const { harness, journal } = joined();
  const client = holding(harness, 501);
  convert(harness, client, SHARED);
  journal.full = true;
  harness.play([[at, () => harness.ran(1, converted(true)), ['c2 answer 27: 0']]]);
  const { shared, converting } = recorded(journal) ?? {};
  assert.deepEqual([shared, converting], [false, 'toShared']);
});

test('a value that cannot be recorded is not set', () => {
  const { harness, journal } = joined();
  const client = holding(harness, 501, 0, ACQUIRE_FLAGS.LVB);
  const set = (value: number) => {
    const body = Uint8Array.from([...resource(1, { bare: true }), value]);
    harness.ask(client, SM_CMD.SET_LVB, body);
  };
  harness.play([[at, () => set(1), ['c2 answer 25: 0']]]);
  journal.full = true;
  harness.play([[at, () => set(2), [`c2 answer 25: ${EAGAIN}`]]]);
  assert.equal(harness.front.resources[0]?.lvb?.[0], 1);
  assert.equal(recorded(journal)?.lvb?.[0], 1);
});

test('a use of a lockspace that cannot be recorded is refused; that it is unused is believed', () => {
  for (const [use, unuse] of [
    [CONFIG_COMMANDS.USED, CONFIG_COMMANDS.UNUSED],
    [CONFIG_COMMANDS.USED_BY_ORPHANS, CONFIG_COMMANDS.UNUSED_BY_ORPHANS],
  ] as const) {
    const { harness, journal } = joined();
    const client = harness.connect(501);
    const config = (data: number) =>
      harness.ask(client, SM_CMD.SET_CONFIG, lockspace('LS'), { data });
    journal.full = true;
    harness.play([[at, () => config(use), [`c2 answer 33: ${EAGAIN}`]]]);
    journal.full = false;
    harness.play([[at, () => config(use), ['c2 answer 33: 0']]]);
    journal.full = true;
    harness.play([[at, () => config(unuse), ['c2 answer 33: 0']]]);
    const { used, usedByOrphans } = harness.front.lockspaces[0] ?? {};
    assert.deepEqual([used, usedByOrphans], [false, false]);
  }
});

test('a killpath and a restriction that cannot be recorded are refused', () => {
  const { harness, journal } = joined();
  const client = holding(harness, 501);
  const body = encode(killpathBody, { path: '/sbin/killer', args: '' });
  journal.full = true;
  harness.play([
    [at, () => harness.ask(client, SM_CMD.KILLPATH, body), [`c2 answer 17: ${EAGAIN}`]],
    [
      at,
      () => harness.ask(client, SM_CMD.RESTRICT, NOTHING, { cmdFlags: 2 }),
      [`c2 answer 10: ${EAGAIN}`],
    ],
  ]);
  assert.deepEqual([client.killpath, client.restricted], ['', 0]);
});

test('a release needs no line; what follows it is written only with all that is missing', () => {
  const { harness, journal } = joined();
  const client = holding(harness, 501);
  journal.full = true;
  const release = () =>
    harness.ask(client, SM_CMD.RELEASE, resource(1, { bare: true }), { data: 1 });
  harness.play([
    [at, release, ['lease1 release R1']],
    [at, () => harness.ran(1, { op: 'release' }), ['c2 answer 8: 0']],
  ]);
  assert.deepEqual(namesIn(recorded(journal)), ['2'], 'the disk will not show it');
  journal.full = false;
  acquire(harness, client);
  assert.equal(
    recorded(journal),
    undefined,
    'beside it a new lease of that place would be taken back',
  );
});

test('a journal that is written anew before a join is begun has that join once', () => {
  const { harness, journal } = joined();
  const { front } = harness;
  let begun = 0;
  for (const [n, name] of ['LT', 'LU'].entries()) {
    const of = { name, hostId: n + 1, path: `/dev/${name}`, offset: 0, ioTimeoutS: 10 };
    addLockspace(front, of, (space) => {
      beginJoin(front, space);
      begun++;
    });
  }
  for (const { lease } of front.lockspaces.slice(0, 2)) {
    assert.ok(rewrite(front));
    harness.event({ kind: 'leaseStarted', lease, process: harness.process(50_000 + lease) });
  }
  assert.equal(begun, 2);
  const contents = noContents();
  for (const line of journal.load().lines) assert.ok(readLine(contents, line), line);
  assert.deepEqual([...contents.survivors.keys()].sort(), [1, 2, 3]);
});
