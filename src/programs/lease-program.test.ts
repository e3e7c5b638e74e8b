import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import type { LeaseCommand, LeaseCommandResult } from '../lease-process/messages.ts';
import { LeaseHost } from '../sim/cluster/lease-host.ts';
import { SimClock } from '../sim/kernel/clock.ts';
import { type FatePlan, PROMPT, SimStorage } from '../sim/kernel/disk.ts';

const LOCKSPACE = 'LS';

function cluster(hosts: number, plan: FatePlan = PROMPT) {
  const clock = new SimClock();
  const storage = new SimStorage();
  storage.add('/lun', 16 * MIB);
  const format = new LeaseHost({ name: 'format', storage, clock });
  const area = { path: '/lun', offset: 0 };
  const common = { sizes: null, writeTimeoutMs: 60_000 };
  good(format.ask({ op: 'writeLockspace', area, name: LOCKSPACE, ioTimeoutS: 2, ...common }));
  for (let n = 1; n <= 4; n++) {
    const name = { lockspaceName: LOCKSPACE, resourceName: `R${n}` };
    const at = { path: '/lun', offset: n * MIB };
    good(format.ask({ op: 'writeResource', area: at, name, numHosts: 0, clear: false, ...common }));
  }
  const members = Array.from({ length: hosts }, (_, i) => {
    const host = new LeaseHost({ name: `host${i + 1}`, storage, clock, plan });
    host.join({ hostId: i + 1, path: '/lun', lockspaceName: LOCKSPACE, ioTimeoutS: 2 });
    return host;
  });
  clock.runUntil(clock.nowMs() + 15_000);
  for (const host of members) assert.ok(host.last('joined'), `${host.name} joined`);
  return { clock, storage, members };
}

function good(result: LeaseCommandResult): Extract<LeaseCommandResult, { ok: true }> {
  if (!result.ok) assert.fail(`refused: ${JSON.stringify(result.error, bigints)}`);
  return result;
}

function code(result: LeaseCommandResult): string {
  if (result.ok) return 'granted';
  return result.error.errno === undefined ? result.error.code : `errno ${result.error.errno}`;
}

function bigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}` : value;
}

function acquire(n: number, options: { shared?: boolean; nowait?: boolean } = {}): LeaseCommand {
  return {
    op: 'acquire',
    area: { path: '/lun', offset: n * MIB },
    name: { lockspaceName: LOCKSPACE, resourceName: `R${n}` },
    shared: options.shared ?? false,
    ownerNowait: options.nowait ?? false,
    wantedLver: null,
    newNumHosts: null,
    readLvb: false,
  };
}

function holdOf(result: LeaseCommandResult) {
  const granted = good(result);
  assert.ok(granted.op === 'acquire' || granted.op === 'convert');
  return granted.hold;
}

function release(result: LeaseCommandResult): LeaseCommand {
  return { op: 'release', hold: holdOf(result).number, lvb: null, rename: null };
}

test('an exclusive lease is refused elsewhere while held and granted after its release', () => {
  const [one, two] = cluster(2).members;
  assert.ok(one && two);
  const held = one.ask(acquire(1));
  assert.equal(holdOf(held).lver, 1n);
  assert.equal(code(two.ask(acquire(1))), 'ACQUIRE_IDLIVE');
  good(one.ask(release(held)));
  assert.equal(holdOf(two.ask(acquire(1))).lver, 2n);
});

test('shared leases live side by side and keep an exclusive request out', () => {
  const [one, two, three] = cluster(3).members;
  assert.ok(one && two && three);
  const first = one.ask(acquire(2, { shared: true }));
  const second = two.ask(acquire(2, { shared: true }));
  assert.equal(code(three.ask(acquire(2))), 'errno 11');
  const refused = one.ask({
    op: 'convert',
    hold: holdOf(first).number,
    toShared: false,
    ownerNowait: true,
    lvb: null,
  });
  assert.equal(code(refused), 'errno 11');
  good(two.ask(release(second)));
  const converted = one.ask({
    op: 'convert',
    hold: holdOf(first).number,
    toShared: false,
    ownerNowait: true,
    lvb: null,
  });
  assert.equal(holdOf(converted).shared, false);
  assert.equal(code(two.ask(acquire(2, { shared: true, nowait: true }))), 'ACQUIRE_IDLIVE');
  const back = one.ask({
    op: 'convert',
    hold: holdOf(converted).number,
    toShared: true,
    ownerNowait: true,
    lvb: null,
  });
  good(two.ask(acquire(2, { shared: true })));
  good(one.ask(release(back)));
});

test('a hold is named until its release is answered, and its number never used again', () => {
  const [one] = cluster(1).members;
  assert.ok(one);
  const first = one.ask(acquire(1));
  good(one.ask(release(first)));
  assert.equal(code(one.ask(release(first))), 'errno 2');
  const second = one.ask(acquire(1));
  assert.notEqual(holdOf(second).number, holdOf(first).number);
  assert.equal(code(one.ask({ op: 'readRequest', hold: holdOf(first).number })), 'errno 2');
  good(one.ask({ op: 'readRequest', hold: holdOf(second).number }));
  good(one.ask(release(second)));
});

test("a dead host's lease is granted no sooner than 8·t + 60 s after its last renewal", () => {
  const { clock, members } = cluster(2);
  const [one, two] = members;
  assert.ok(one && two);
  good(one.ask(acquire(3)));
  one.crash();
  const lastRenewalS = one.last('renewed')?.timestampS ?? 0;
  assert.equal(code(two.ask(acquire(3, { nowait: true }))), 'ACQUIRE_IDLIVE');
  clock.runUntil(clock.nowMs() + 6000); // a renewal's read that no longer sees it move
  assert.equal(code(two.ask(acquire(3, { nowait: true }))), 'ACQUIRE_OWNED_RETRY');
  good(two.ask(acquire(3)));
  const afterMs = clock.nowMs() - lastRenewalS * 1000;
  assert.ok(afterMs > 76_000, `granted ${afterMs} ms after the last renewal`);
  assert.ok(afterMs < 90_000, `granted ${afterMs} ms after the last renewal`);
});

test('the leases of a host that left cleanly are free at once', () => {
  const { clock, members } = cluster(2);
  const [one, two] = members;
  assert.ok(one && two);
  good(one.ask(acquire(4)));
  one.leave(true);
  clock.runUntil(clock.nowMs() + 1000);
  assert.equal(one.last('left')?.released, true);
  good(two.ask(acquire(4), 1000));
});

/** Host 1's writes to the leader of resource 1 take `ms` from now on. */
function slowLeader(ms: { value: number }): FatePlan {
  return (io) => {
    const isSlow = io.write && io.host === 'host1' && io.offset === MIB && ms.value > 0;
    const takes = isSlow ? ms.value : 0.2;
    return { landsInMs: takes, answersInMs: takes, errno: null };
  };
}

test('an acquire with an unanswered leader write is rolled back when that has ended', () => {
  const slow = { value: 0 };
  const { clock, members } = cluster(2, slowLeader(slow));
  const [one, two] = members;
  assert.ok(one && two);
  slow.value = 9000;
  const startedMs = clock.nowMs();
  assert.equal(code(one.ask(acquire(1))), 'AIO_TIMEOUT');
  assert.ok(clock.nowMs() - startedMs < 6000, 'the caller does not wait for the disk');
  assert.equal(code(one.ask(acquire(1))), 'errno 11', 'still being released');
  assert.notEqual(code(two.ask(acquire(1, { nowait: true }))), 'granted');
  slow.value = 0;
  clock.runUntil(startedMs + 20_000);
  good(two.ask(acquire(1, { nowait: true }), 1000));
});

test('after own expiry nothing is granted and no lease write starts', () => {
  let isHung = false;
  const plan: FatePlan = (io) =>
    isHung && io.host === 'host1' && io.offset < MIB
      ? { landsInMs: 1e9, answersInMs: Infinity, errno: null }
      : PROMPT(io);
  const { clock, storage, members } = cluster(2, plan);
  const [one] = members;
  assert.ok(one);
  const held = one.ask(acquire(1));
  const lastRenewalS = one.last('renewed')?.timestampS ?? 0;
  isHung = true; // the lockspace hangs; the resources do not
  clock.runUntil((lastRenewalS + 15) * 1000);
  good(one.ask(acquire(2)));
  clock.runUntil((lastRenewalS + 16) * 1000 + 1);
  const writes: string[] = [];
  storage.onWrite = (io) => writes.push(`${io.host} ${io.offset}`);
  assert.equal(code(one.ask(acquire(3))), 'ERROR');
  assert.equal(code(one.ask(release(held))), 'errno 28');
  assert.deepEqual(
    writes.filter((write) => write.startsWith('host1')),
    [],
  );
});

test('many requests waiting for a dead owner do not keep a release waiting', () => {
  const { clock, members } = cluster(3);
  const [one, two] = members;
  assert.ok(one && two);
  const held = two.ask(acquire(2));
  good(one.ask(acquire(1)));
  one.crash();
  clock.runUntil(clock.nowMs() + 6000);
  for (let i = 0; i < 100; i++) two.run(acquire(1), () => {});
  good(two.ask(release(held), 1000));
});
