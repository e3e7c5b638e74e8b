import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { INDEX_LEASE_NAME } from '../format/resource-index.ts';
import type { LeaseCommand, LeaseCommandResult } from '../lease-process/messages.ts';
import { LeaseHost } from '../sim/cluster/lease-host.ts';
import { SimClock } from '../sim/kernel/clock.ts';
import { type FatePlan, type Io, SimStorage } from '../sim/kernel/disk.ts';

// Unfinished work of a lease process on an area, and commands for that area meanwhile.

const LOCKSPACE = 'LS';
const IO_TIMEOUT_S = 2;
const OWN_BLOCK = MIB + 2 * 512; // of host 1, in the area of R1
const COMMON = { sizes: null, writeTimeoutMs: 60_000 };

/** Two hosts; `takes` says how long an operation of host 1 takes, 0 = as ever. */
function pair(takes: { ms: (io: Io) => number }) {
  const plan: FatePlan = (io) => {
    const ms = io.host === 'host1' ? takes.ms(io) || 0.2 : 0.2;
    return { landsInMs: ms, answersInMs: ms, errno: null };
  };
  const clock = new SimClock();
  const storage = new SimStorage();
  storage.add('/lun', 16 * MIB);
  storage.add('/index', 16 * MIB);
  storage.link('/other-path', '/lun');
  const format = new LeaseHost({ name: 'format', storage, clock });
  const area = { path: '/lun', offset: 0 };
  const ioTimeoutS = IO_TIMEOUT_S;
  format.ask({ op: 'writeLockspace', area, name: LOCKSPACE, ioTimeoutS, ...COMMON });
  const at = { path: '/lun', offset: MIB };
  const name = { lockspaceName: LOCKSPACE, resourceName: 'R1' };
  format.ask({ op: 'writeResource', area: at, name, numHosts: 0, clear: false, ...COMMON });
  const [one, two] = [1, 2].map((hostId) => {
    const host = new LeaseHost({ name: `host${hostId}`, storage, clock, plan });
    host.join({ hostId, path: '/lun', lockspaceName: LOCKSPACE, ioTimeoutS });
    return host;
  });
  assert.ok(one && two);
  clock.runUntil(clock.nowMs() + 15_000);
  return { clock, storage, one, two };
}

function acquire(options: { name?: string; path?: string; shared?: boolean } = {}): LeaseCommand {
  return {
    op: 'acquire',
    area: { path: options.path ?? '/lun', offset: MIB },
    name: { lockspaceName: LOCKSPACE, resourceName: options.name ?? 'R1' },
    shared: options.shared ?? false,
    ownerNowait: true,
    wantedLver: null,
    newNumHosts: null,
    readLvb: false,
  };
}

function code(result: LeaseCommandResult): string {
  if (result.ok) return 'granted';
  return result.error.errno === undefined ? result.error.code : `errno ${result.error.errno}`;
}

for (const path of ['/lun', '/other-path']) {
  test(`a read meanwhile lets no acquire past what an earlier one left undone, by ${path}`, () => {
    const takes = { ms: (_: Io) => 0 };
    const { clock, one, two } = pair(takes);
    takes.ms = (io) => (io.write && io.offset === MIB ? 9000 : 0); // the leader
    const startMs = clock.nowMs();
    let first = '';
    one.run(acquire({ shared: true }), (result) => {
      first = code(result);
    });
    clock.runUntil(startMs + 3000);
    takes.ms = (io) => (io.offset === MIB ? 9000 : 0);
    const sizes = null;
    const area = { path: '/lun', offset: MIB };
    const name = { lockspaceName: LOCKSPACE, resourceName: 'R1' };
    let readOwners = '';
    one.run({ op: 'readOwners', area, name, sizes }, (result) => {
      readOwners = code(result);
    });
    clock.runUntil(startMs + 5500);
    assert.equal(first, 'AIO_TIMEOUT');
    assert.equal(readOwners, 'AIO_TIMEOUT');
    takes.ms = () => 0;
    const again = acquire({ path, shared: true });
    assert.equal(code(one.ask(again)), 'errno 11', 'still being released');
    clock.runUntil(startMs + 20_000);
    assert.equal(code(one.ask(again)), 'granted');
    clock.runUntil(startMs + 40_000);
    assert.equal(code(two.ask(acquire())), 'errno 11', 'held shared');
  });
}

test('a lease that gets another name is not taken by it before it is released', () => {
  const takes = { ms: (_: Io) => 0 };
  const { clock, one, two } = pair(takes);
  const held = one.ask(acquire());
  assert.ok(held.ok && held.op === 'acquire');
  const startMs = clock.nowMs();
  takes.ms = (io) => (io.write && io.offset === OWN_BLOCK ? 4500 : 0);
  let released = '';
  one.run({ op: 'release', hold: held.hold.number, lvb: null, rename: 'R2' }, (result) => {
    released = code(result);
  });
  clock.runUntil(startMs + 3900);
  takes.ms = (io) => (io.write || io.offset < MIB ? 0 : 9000); // its read of the leader
  clock.runUntil(startMs + 6100);
  takes.ms = () => 0;
  const shared = acquire({ name: 'R2', shared: true });
  const early = code(one.ask(shared, 1000));
  clock.runUntil(startMs + 12_000);
  assert.equal(released, 'granted');
  if (early !== 'granted') assert.equal(code(one.ask(shared)), 'granted');
  assert.equal(code(two.ask(acquire({ name: 'R2' }))), 'errno 11', 'held shared by host 1');
  assert.equal(early, 'errno 11', 'still being released');
});

test('the index lease is not taken by its name once an index command has come', () => {
  const { clock, one } = pair({ ms: () => 0 });
  const base = {
    op: 'index',
    area: { path: '/index', offset: 0 },
    lockspaceName: LOCKSPACE,
    writeTimeoutMs: 60_000,
  } as const;
  const format = { kind: 'format', sizes: null, maxResources: 4 } as const;
  assert.equal(code(one.ask({ ...base, task: format })), 'granted');
  const asked = acquire({ name: INDEX_LEASE_NAME, path: '/index' });
  // After an error the device is opened anew: commands that come meanwhile wait for that.
  const beyond = { ...base, area: { path: '/index', offset: 99 * MIB } };
  assert.equal(code(one.ask({ ...beyond, task: { kind: 'rebuild' } })), 'errno 90');
  let created = '';
  one.run({ ...base, task: { kind: 'create', name: 'vm1' } }, (result) => {
    created = code(result);
  });
  assert.equal(code(one.ask(asked)), 'errno 11');
  clock.runUntil(clock.nowMs() + 1000);
  assert.equal(created, 'granted');
  assert.equal(code(one.ask(asked)), 'granted');
});

for (const [landsAfterMs, isReleased] of [
  [9000, false],
  [3500, true],
] as const) {
  test(`a write that ends after ${landsAfterMs} ms: host id released: ${isReleased}`, () => {
    const takes = { ms: (_: Io) => 0 };
    const { clock, one } = pair(takes);
    const startMs = clock.nowMs();
    takes.ms = (io) => (io.write && io.offset === OWN_BLOCK ? landsAfterMs : 0);
    assert.equal(code(one.ask(acquire())), 'AIO_TIMEOUT');
    clock.runUntil(startMs + 2500);
    assert.equal(one.last('left'), null);
    one.leave(true);
    clock.runUntil(clock.nowMs() + 4000);
    assert.equal(one.last('left')?.released, isReleased);
    const landed = startMs + landsAfterMs;
    if (isReleased) assert.ok(clock.nowMs() > landed, 'not before it has landed');
  });
}
