import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACQUIRE_FLAGS, REL_FLAGS, RES_FLAGS, SM_CMD } from '../../wire/sanlock/socket.ts';
import type { Client } from '../state.ts';
import { acquireBody, Harness, lockspace, resource } from '../testing/harness.ts';

const { ORPHAN, ORPHAN_ONLY } = ACQUIRE_FLAGS;

function joined(): Harness {
  const harness = new Harness();
  harness.join(10);
  return harness;
}

function acquire(harness: Harness, client: Client, resources: Uint8Array[], cmdFlags = 0): void {
  const fields = { data: resources.length, cmdFlags };
  harness.ask(client, SM_CMD.ACQUIRE, acquireBody(resources), fields);
}

function release(harness: Harness, client: Client): void {
  harness.ask(client, SM_CMD.RELEASE, resource(1, { bare: true }), { data: 1 });
}

const shared = (n: number) => resource(n, { flags: RES_FLAGS.SHARED });

test('the state of the resource on this host is answered first', () => {
  const harness = joined();
  const one = harness.connect(501);
  const two = harness.connect(502);
  const at = 100;
  harness.play([
    [at, () => acquire(harness, one, [resource(1)]), ['lease1 acquire R1']],
    [at, () => acquire(harness, two, [resource(1)]), ['c3 answer 7: -16']], // being acquired
    [at, () => harness.granted(1, 1), ['c2 answer 7: 0']],
    [at, () => acquire(harness, two, [resource(1)]), ['c3 answer 7: -17']],
    [at, () => acquire(harness, two, [shared(1)]), ['c3 answer 7: -17']],
    [at, () => harness.close(one), ['lease1 release R1']],
    [at, () => acquire(harness, two, [shared(1)]), []], // being released: its turn comes
    [at, () => harness.ran(1, { op: 'release' }), ['lease1 acquire R1']],
    [at, () => harness.granted(1, 1, true), ['c3 answer 7: 0']],
    [at, () => acquire(harness, harness.connect(503), [shared(1)]), ['c4 answer 7: 0']], // no disk
    [at, () => acquire(harness, harness.connect(504), [resource(1)]), ['c5 answer 7: -17']],
  ]);
});

test('the oldest request gets a lease that is being released, however often others ask', () => {
  const harness = joined();
  const [one, two, three, four] = [501, 502, 503, 504].map((pid) => harness.connect(pid));
  assert.ok(one && two && three && four);
  const at = 100;
  harness.play([
    [at, () => acquire(harness, one, [resource(1)]), ['lease1 acquire R1']],
    [at, () => harness.granted(1, 1), ['c2 answer 7: 0']],
    [at, () => release(harness, one), ['lease1 release R1']],
    [at, () => acquire(harness, two, [resource(1)]), []],
    [at, () => acquire(harness, three, [resource(1)]), []],
    [at, () => acquire(harness, four, [shared(1)]), []],
    [
      at,
      () => harness.ran(1, { op: 'release' }),
      ['lease1 acquire R1', 'c4 answer 7: -16', 'c5 answer 7: -16', 'c2 answer 8: 0'],
    ],
    [at, () => acquire(harness, one, [resource(1)]), ['c2 answer 7: -16']],
    [at, () => harness.granted(1, 1), ['c3 answer 7: 0']],
  ]);
});

test('sharers that come while the first acquire is under way join it without the disk', () => {
  const harness = joined();
  const [one, two, three] = [501, 502, 503].map((pid) => harness.connect(pid));
  assert.ok(one && two && three);
  const at = 100;
  harness.play([
    [at, () => acquire(harness, one, [shared(1)]), ['lease1 acquire R1']],
    [at, () => acquire(harness, two, [shared(1)]), []],
    [at, () => acquire(harness, three, [resource(1)]), ['c4 answer 7: -16']],
    [at, () => harness.granted(1, 1, true), ['c3 answer 7: 0', 'c2 answer 7: 0']],
    [at, () => release(harness, one), ['c2 answer 8: 0']], // the other one shares on
    [at, () => acquire(harness, one, [shared(1), shared(2)]), ['lease1 acquire R2']],
    [at, () => acquire(harness, three, [shared(2)]), []],
    [at, () => harness.ran(1, 'ACQUIRE_IDLIVE'), ['lease1 acquire R2', 'c2 answer 7: -243']],
    [at, () => harness.granted(1, 2, true), ['c4 answer 7: 0']],
  ]);
});

test('a request that waits for a second is refused; that of a dead client is passed over', () => {
  const harness = joined();
  const [one, two, three, four] = [501, 502, 503, 504].map((pid) => harness.connect(pid));
  assert.ok(one && two && three && four);
  harness.play([
    [100, () => acquire(harness, one, [resource(1)]), ['lease1 acquire R1']],
    [100, () => harness.granted(1, 1), ['c2 answer 7: 0']],
    [100, () => release(harness, one), ['lease1 release R1']],
    [100, () => acquire(harness, two, [resource(1)]), []],
    [100, () => harness.tick(), []],
    [101, () => harness.tick(), ['c3 answer 7: -11']],
    [101, () => acquire(harness, three, [resource(1)]), []],
    [101, () => acquire(harness, four, [resource(1)]), []],
    [101, () => harness.close(three), []],
    [
      101,
      () => harness.ran(1, { op: 'release' }),
      ['c4 answer 7: -11', 'lease1 acquire R1', 'c2 answer 8: 0'],
    ],
    [101, () => harness.granted(1, 1), ['c5 answer 7: 0']],
  ]);
});

test('an orphan is taken over only by a request for it, in its mode', () => {
  const harness = joined();
  const one = harness.connect(501);
  const two = harness.connect(502);
  const persistent = resource(1, { flags: RES_FLAGS.PERSISTENT });
  const at = 100;
  harness.play([
    [at, () => acquire(harness, one, [resource(1)], ORPHAN_ONLY), ['c2 answer 7: -2']],
    [at, () => acquire(harness, one, [persistent]), ['lease1 acquire R1']],
    [at, () => harness.granted(1, 1), ['c2 answer 7: 0']],
    [at, () => harness.close(one), []], // nothing is written
    [at, () => acquire(harness, two, [resource(1)]), ['c3 answer 7: -117']],
    [at, () => acquire(harness, two, [shared(1)], ORPHAN), ['c3 answer 7: -117']],
    [at, () => acquire(harness, two, [persistent], ORPHAN_ONLY), ['c3 answer 7: 0']],
    [at, () => harness.close(two), []],
  ]);
  const cleaner = harness.connect(503);
  const orphans = () =>
    harness.ask(cleaner, SM_CMD.RELEASE, resource(0, { bare: true }), {
      cmdFlags: REL_FLAGS.ORPHAN,
      data: 1,
    });
  harness.play([[at, orphans, ['lease1 release R1', 'c4 answer 8: 1']]]); // their number
});

test('an orphan that is adopted without PERSISTENT ends with its new holder', () => {
  const harness = joined();
  const [one, two] = [harness.connect(501), harness.connect(502)];
  const at = 100;
  harness.play([
    [
      at,
      () => acquire(harness, one, [resource(1, { flags: RES_FLAGS.PERSISTENT })]),
      ['lease1 acquire R1'],
    ],
    [at, () => harness.granted(1, 1), ['c2 answer 7: 0']],
    [at, () => harness.close(one), []],
    [at, () => acquire(harness, two, [resource(1)], ORPHAN), ['c3 answer 7: 0']],
    [at, () => harness.close(two), ['lease1 release R1']],
  ]);
});

test('all or nothing: the first refusal is the answer, granted leases are released', () => {
  const harness = joined();
  const client = harness.connect(501);
  const at = 100;
  const four = [resource(1), resource(2), resource(3), resource(4)];
  harness.play([
    [at, () => acquire(harness, client, four), ['lease1 acquire R1']],
    [at, () => harness.granted(1, 1), ['lease1 acquire R2']],
    [at, () => harness.granted(1, 2), ['lease1 acquire R3']],
    [at, () => harness.ran(1, 'ACQUIRE_IDLIVE'), ['lease1 release R2']],
    [at, () => harness.ran(1, 'AIO_TIMEOUT'), ['lease1 release R1']],
    [at, () => harness.ran(1, { op: 'release' }), ['c2 answer 7: -243']],
  ]);
  assert.equal(client.tokens.length, 0);
  assert.equal(harness.front.resources.length, 0);
});

test('a client that died while it waited keeps nothing', () => {
  const harness = joined();
  const client = harness.connect(501);
  const at = 100;
  harness.play([
    [at, () => acquire(harness, client, [resource(1), resource(2)]), ['lease1 acquire R1']],
    [at, () => harness.close(client), []],
    [at, () => harness.granted(1, 1), ['lease1 acquire R2']],
    [
      at,
      () => harness.granted(1, 2),
      ['lease1 release R1', 'lease1 release R2', 'c2 answer 7: -25'],
    ],
  ]);
});

test('a grant after our own expiry is released, also before the next tick', () => {
  const harness = joined();
  const client = harness.connect(501);
  harness.play([
    [179, () => acquire(harness, client, [resource(1)]), ['lease1 acquire R1']],
    [180, () => harness.granted(1, 1), ['lease1 release R1']],
    [180.1, () => harness.ran(1, { op: 'release' }), ['c2 answer 7: -28']],
    [180.2, () => acquire(harness, client, [resource(2)]), ['c2 answer 7: -28']],
  ]);
});

test('a grant for a lockspace that is being removed is dropped, and no release is written', () => {
  const harness = joined();
  const client = harness.connect(501);
  const remover = harness.connect(900, false);
  harness.play([
    [101, () => acquire(harness, client, [resource(1)]), ['lease1 acquire R1']],
    [102, () => harness.ask(remover, SM_CMD.REM_LOCKSPACE, lockspace('LS')), []],
    [103, () => harness.tick(), ['lease1 refuse', 'lease1 leave release=true']],
    [104, () => harness.granted(1, 1), ['c2 answer 7: -28']],
  ]);
});

test('more than one disk, no path and an unknown lockspace are refused without any process', () => {
  const harness = joined();
  const client = harness.connect(501);
  const two = resource(1);
  two[124] = 2; // num_disks
  const disk = two.slice(128);
  const noPath = resource(1);
  noPath.fill(0, 128);
  const elsewhere = resource(1);
  elsewhere[0] = 'X'.charCodeAt(0);
  const at = 100;
  harness.play([
    [
      at,
      () => acquire(harness, client, [Uint8Array.from([...two, ...disk])]),
      ['c2 answer 7: -22'],
    ],
    [at, () => acquire(harness, client, [noPath]), ['c2 answer 7: -2']],
    [at, () => acquire(harness, client, [elsewhere]), ['c2 answer 7: -28']],
    [at, () => acquire(harness, client, []), ['c2 answer 7: 0']],
  ]);
});

test('one command at a time for a process, whichever connection sends it', () => {
  const harness = joined();
  const client = harness.connect(501);
  const other = harness.connect(900, false);
  const at = 100;
  const ask = (pid: number) => () =>
    harness.ask(other, SM_CMD.INQUIRE, new Uint8Array(0), { data2: pid });
  harness.play([
    [at, () => acquire(harness, client, [resource(1)]), ['lease1 acquire R1']],
    [at, ask(501), ['c3 answer 9: -16']],
    [at, ask(777), ['c3 answer 9: -3']],
    [at, ask(-1), ['c3 answer 9: -16']], // not registered itself
    [at, () => harness.granted(1, 1), ['c2 answer 7: 0']],
    [at, ask(501), ['c3 answer 9: 0']],
  ]);
});
