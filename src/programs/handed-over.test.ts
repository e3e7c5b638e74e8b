import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { decode, encode, zeroRecord } from '../codec/struct.ts';
import { deltaLeader } from '../format/leader.ts';
import type { Log } from '../ports/log.ts';
import { FrontHost } from '../sim/cluster/front-host.ts';
import { FIRST_LEASE_PID } from '../sim/cluster/sanlock.ts';
import { MemoryJournal } from '../sim/kernel/journal.ts';
import type { SimPeer } from '../sim/kernel/peer.ts';
import { handOver, shutdown } from '../wire/sanlock/daemon-calls.ts';
import { release } from '../wire/sanlock/lease-calls.ts';
import {
  ACQUIRE_FLAGS,
  REM_FLAGS,
  RES_FLAGS,
  SM_CMD,
  sanlkRentry,
  sanlkRindex,
  smHeader,
} from '../wire/sanlock/socket.ts';
import { acquire, Harness, holding, LUN, lockspace, message, T } from './testing/front-harness.ts';

const [EPERM, EAGAIN, EBUSY, EEXIST, ENOENT, ESRCH] = [-1, -11, -16, -17, -2, -3];
const FAIL_MS = 8 * T * 1000;
const DEAD_MS = FAIL_MS + 60_000;
const { SHARED, PERSISTENT } = RES_FLAGS;

function releaseOf(n: number): Uint8Array {
  return release([{ lockspaceName: 'LS', name: `R${n}`, lver: 0n, flags: 0, disks: [] }]).request;
}

function adopt(n: number): Uint8Array {
  const cmdFlags = ACQUIRE_FLAGS.ORPHAN_ONLY;
  return message(SM_CMD.ACQUIRE, acquire(n).subarray(32), { data: 1, cmdFlags });
}

/** A host whose daemon is killed and started again, and another one that wants its leases. */
class Scenario {
  readonly journal = new MemoryJournal();
  readonly harness = new Harness({ journal: this.journal, killGraceS: 5 });
  readonly events: string[] = [];
  readonly #ended = new Set([FIRST_LEASE_PID, FIRST_LEASE_PID + 1]);
  #daemons = 0;
  #running = this.harness.host;
  readonly #other: FrontHost;

  constructor() {
    assert.equal(this.harness.join(), 0);
    const { clock, storage } = this.harness;
    this.#other = new FrontHost({ name: 'host2', clock, storage });
    const two = lockspace.slice();
    new DataView(two.buffer).setBigUint64(48, 2n, true);
    const join = message(SM_CMD.ADD_LOCKSPACE, two, { data: T });
    assert.equal(this.harness.result(join, this.#other.connect(900)), 0);
  }

  /** The other host has seen this one renew. */
  settle(): void {
    this.harness.run(FAIL_MS / 4);
  }

  kill(ended: readonly number[] = []): void {
    this.#running.kill();
    for (const pid of ended) this.#ended.add(pid);
  }

  /** The next daemon of this boot. */
  restart(
    of: { readonly withoutEndRecords?: boolean; readonly pidsCameRound?: boolean } = {},
  ): FrontHost {
    const { clock, storage } = this.harness;
    const firstLeasePid = FIRST_LEASE_PID + 100 * ++this.#daemons;
    const say = (event: string) => {
      this.events.push(event);
    };
    const log: Log = { error: say, warn: say, info: say, debug: () => {} };
    const ended = of.pidsCameRound === true ? new Set<number>() : new Set(this.#ended);
    for (let pid = firstLeasePid; pid < firstLeasePid + 100; pid++) this.#ended.add(pid);
    const common = { name: 'host1', clock, storage, settings: { killGraceS: 5 } };
    const earlier = { journal: this.journal, ended, firstLeasePid };
    this.#running = new FrontHost({ ...common, ...of, ...earlier, log });
    return this.#running;
  }

  restarted(ended: readonly number[] = []): FrontHost {
    this.settle();
    this.kill(ended);
    return this.restart();
  }

  ask(host: FrontHost, request: Uint8Array, pid = 900): number {
    return this.harness.result(request, host.connect(pid));
  }

  /** The answer to the other host, which wants the lease. */
  elsewhere(n = 1, flags = 0): number {
    const client = this.#other.connect(102);
    client.send(message(SM_CMD.REGISTER));
    const result = this.harness.result(acquire(n, flags), client);
    client.close();
    this.harness.run(1000);
    return result;
  }

  /** Another resource by the index of names, made by the other host. */
  createsElsewhere(): number {
    return this.harness.result(indexed(SM_CMD.CREATE_RESOURCE), this.#other.connect(103));
  }

  record() {
    const device = this.harness.storage.device(LUN);
    assert.ok(device !== undefined);
    return decode(deltaLeader, device, 0);
  }
}

/** About the index of resource names at 3 MiB; the entry is `name`. */
function indexed(cmd: number, name = 'new'): Uint8Array {
  const of = { lockspaceName: 'LS', path: LUN, offset: BigInt(3 * MIB) };
  const rindex = encode(sanlkRindex, { ...zeroRecord(sanlkRindex), ...of });
  const rentry = encode(sanlkRentry, { ...zeroRecord(sanlkRentry), name });
  return message(cmd, Uint8Array.from([...rindex, ...rentry]));
}

/** Of the first answer on it. */
function resultOf({ received }: SimPeer): number {
  return decode(smHeader, Uint8Array.from(received)).data;
}

function registered(host: FrontHost, pid: number): SimPeer {
  const peer = host.connect(pid);
  peer.send(message(SM_CMD.REGISTER));
  return peer;
}

test('a lease outlives the daemon with its holder, and ends with it', () => {
  const scenario = new Scenario();
  holding(scenario.harness, 101);
  const before = scenario.record();
  const host = scenario.restarted();
  assert.equal(scenario.ask(host, message(SM_CMD.ADD_LOCKSPACE, lockspace, { data: T })), EEXIST);
  scenario.harness.run(2 * DEAD_MS);
  assert.equal(scenario.record().ownerGeneration, before.ownerGeneration);
  assert.ok(scenario.elsewhere() < 0);
  assert.deepEqual(host.actions, []);
  host.processEnds(101);
  scenario.harness.run(1000);
  assert.equal(scenario.elsewhere(), 0);
});

test('a process that registers again has its leases at its new connection', () => {
  const scenario = new Scenario();
  holding(scenario.harness, 101);
  holding(scenario.harness, 102, 2);
  const host = scenario.restarted();
  const stranger = registered(host, 103);
  assert.equal(scenario.harness.result(releaseOf(1), stranger), -1);
  assert.equal(scenario.harness.result(acquire(1), stranger), EEXIST);
  const client = registered(host, 101);
  assert.equal(scenario.harness.result(message(SM_CMD.INQUIRE), client), 0);
  assert.ok(scenario.elsewhere() < 0);
  assert.equal(scenario.harness.result(releaseOf(1), client), 0);
  assert.equal(scenario.elsewhere(), 0);
  assert.ok(scenario.elsewhere(2) < 0);
});

test('a request that comes while the membership is resumed waits, and is served', () => {
  const scenario = new Scenario();
  const first = holding(scenario.harness, 101);
  const host = scenario.restarted();
  const client = registered(host, 101);
  // Before anything has been read from the disk.
  client.send(releaseOf(1));
  const status = scenario.ask(host, message(SM_CMD.STATUS));
  assert.equal(status, 0);
  assert.equal(client.received.length, 0, 'not answered yet');
  scenario.harness.run(3000);
  assert.equal(resultOf(client), 0);
  assert.equal(scenario.elsewhere(), 0);
  first.close();
});

/** As libvirt asks, for the process of a guest. */
function forPid(pid: number, cmd: number, body?: Uint8Array): Uint8Array {
  return message(cmd, body?.subarray(32), { data: body === undefined ? 0 : 1, data2: pid });
}

test('a paused guest is known to later daemons, and cannot go on without its lease', () => {
  const scenario = new Scenario();
  const { harness } = scenario;
  registered(harness.host, 101); // never had one
  holding(harness, 102);
  const releases = forPid(102, SM_CMD.RELEASE, releaseOf(1));
  assert.equal(scenario.ask(harness.host, releases), 0);
  for (const _ of [1, 2]) {
    const host = scenario.restarted();
    for (const pid of [101, 102]) {
      assert.equal(scenario.ask(host, forPid(pid, SM_CMD.INQUIRE)), 0, `${pid} is registered`);
    }
    assert.equal(scenario.ask(host, forPid(103, SM_CMD.INQUIRE)), ESRCH);
  }
  assert.equal(scenario.elsewhere(), 0);
  const host = scenario.restarted();
  assert.equal(scenario.ask(host, forPid(101, SM_CMD.ACQUIRE, acquire(2))), 0);
  assert.ok(scenario.elsewhere(2) < 0);
  host.processEnds(101);
  harness.run(1000);
  assert.equal(scenario.elsewhere(2), 0);
  assert.equal(scenario.ask(host, forPid(101, SM_CMD.INQUIRE)), ESRCH);
  const next = scenario.restarted([101, 102]);
  assert.equal(scenario.ask(next, forPid(102, SM_CMD.INQUIRE)), ESRCH);
});

test('a process that held nothing and registers again is of its new connection', () => {
  const scenario = new Scenario();
  const { harness } = scenario;
  registered(harness.host, 101);
  const host = scenario.restarted();
  const client = registered(host, 101);
  assert.equal(scenario.ask(host, forPid(101, SM_CMD.ACQUIRE, acquire(1))), 0);
  client.close();
  harness.run(1000);
  assert.equal(scenario.elsewhere(), 0, 'it was of the connection that ended');
  assert.equal(scenario.ask(host, forPid(101, SM_CMD.INQUIRE)), ESRCH);
  assert.equal(scenario.ask(scenario.restarted(), forPid(101, SM_CMD.INQUIRE)), ESRCH);
});

test('two connections of one process: a lease goes to the one that names it', () => {
  const scenario = new Scenario();
  holding(scenario.harness, 101, 1, PERSISTENT);
  holding(scenario.harness, 101, 2, PERSISTENT);
  const host = scenario.restarted();
  const [one, two] = [registered(host, 101), registered(host, 101)];
  const { harness } = scenario;
  assert.equal(harness.result(acquire(1, SHARED), one), EEXIST, 'in another mode');
  assert.equal(harness.result(acquire(1, PERSISTENT), one), 0);
  assert.equal(harness.result(acquire(2, PERSISTENT), two), 0);
  assert.equal(harness.result(acquire(2, PERSISTENT), one), EEXIST, 'it is of the other one');
  one.close();
  harness.run(1000);
  assert.equal(harness.result(adopt(1), two), 0, 'its end orphaned the lease');
  assert.equal(harness.result(releaseOf(1), two), 0);
  assert.equal(scenario.elsewhere(1), 0);
});

test('a connection that ends leaves what it never named to its process', () => {
  const scenario = new Scenario();
  const { harness } = scenario;
  holding(harness, 101);
  const host = scenario.restarted();
  for (const _ of [1, 2]) {
    registered(host, 101).close(); // of another part of that program
    harness.run(1000);
    assert.ok(scenario.elsewhere() < 0);
  }
  const next = scenario.restarted();
  assert.ok(scenario.elsewhere() < 0);
  next.processEnds(101);
  harness.run(1000);
  assert.equal(scenario.elsewhere(), 0);
});

test('orphans and shared leases go on', () => {
  const scenario = new Scenario();
  const { harness } = scenario;
  holding(harness, 101, 1, PERSISTENT).close();
  holding(harness, 102, 2, SHARED);
  holding(harness, 103, 2, SHARED);
  const host = scenario.restarted([101, 102]);
  const client = registered(host, 104);
  assert.equal(harness.result(adopt(1), client), 0);
  assert.equal(harness.result(acquire(2, SHARED), client), 0);
  assert.ok(scenario.elsewhere(1) < 0);
  assert.ok(scenario.elsewhere(2) < 0);
  assert.equal(harness.result(releaseOf(2), client), 0);
  assert.ok(scenario.elsewhere(2) < 0, 'of process 103');
  host.processEnds(103);
  harness.run(1000);
  assert.equal(scenario.elsewhere(2), 0);
});

test('a lease whose process ended meanwhile is released', () => {
  const scenario = new Scenario();
  holding(scenario.harness, 101);
  scenario.restarted([101]);
  scenario.harness.run(70_000);
  assert.equal(scenario.elsewhere(), 0);
});

test('pids that came round: the processes that have them now are strangers, and are left alone', () => {
  for (const outageMs of [1000, FAIL_MS]) {
    const scenario = new Scenario();
    const { harness, journal } = scenario;
    holding(harness, 101);
    holding(harness, 102, 2, PERSISTENT);
    scenario.settle();
    scenario.kill();
    // Also that of its lease process. All those pids are there, and began at another time.
    const lines = journal.load().lines.map((line) => line.replace(/"started":"/, '"started":"9'));
    journal.become({ lines, damaged: 0 });
    harness.run(outageMs);
    const host = scenario.restart({ pidsCameRound: true });
    const isInTime = outageMs < FAIL_MS;
    harness.run(DEAD_MS);
    const stranger = registered(host, 101);
    assert.equal(harness.result(releaseOf(1), stranger), -1);
    assert.equal(harness.result(message(SM_CMD.INQUIRE), registered(host, 102)), 0);
    assert.equal(scenario.elsewhere(1), 0, 'released, or others have waited for long enough');
    assert.equal(scenario.elsewhere(2) < 0, isInTime, 'an orphan is renewed on');
    if (isInTime) assert.equal(harness.result(adopt(2), registered(host, 102)), 0);
    assert.deepEqual(host.actions, []);
  }
});

test('a lockspace without any holder is resumed, and one that was left is not', () => {
  const scenario = new Scenario();
  const host = scenario.restarted();
  const join = message(SM_CMD.ADD_LOCKSPACE, lockspace, { data: T });
  assert.equal(scenario.ask(host, join), EEXIST);
  assert.equal(scenario.ask(host, message(SM_CMD.REM_LOCKSPACE, lockspace)), 0);
  assert.equal(scenario.record().timestampS, 0n);
  scenario.kill();
  const next = scenario.restart();
  assert.equal(scenario.ask(next, message(SM_CMD.REM_LOCKSPACE, lockspace)), ENOENT);
  assert.equal(scenario.ask(next, join), 0);
});

test('a removal that was asked for goes on with the next daemon', () => {
  const scenario = new Scenario();
  const client = holding(scenario.harness, 101);
  const remove = message(SM_CMD.REM_LOCKSPACE, lockspace, { cmdFlags: REM_FLAGS.ASYNC });
  assert.equal(scenario.harness.result(remove), 0);
  scenario.harness.run(1500);
  const host = scenario.restarted();
  scenario.harness.run(5000);
  assert.ok(host.actions.some(({ kind, pid }) => kind === 'SIGKILL' && pid === 101));
  host.processEnds(101);
  scenario.harness.run(5000);
  assert.equal(scenario.record().timestampS, 0n);
  client.close();
});

test('many daemons, each killed at another moment: the lease and the generation stay', () => {
  const scenario = new Scenario();
  const before = scenario.record();
  holding(scenario.harness, 101);
  scenario.settle();
  scenario.kill();
  for (let n = 0; n < 20; n++) {
    scenario.restart();
    scenario.harness.run(n * 137);
    scenario.kill();
  }
  scenario.restart();
  scenario.harness.run(DEAD_MS);
  assert.equal(scenario.record().ownerGeneration, before.ownerGeneration);
  assert.ok(scenario.elsewhere() < 0);
  assert.ok(!scenario.events.includes('membership.lost'));
});

test('too late: its process is stopped, and another host has the lease in the end', () => {
  const scenario = new Scenario();
  holding(scenario.harness, 101);
  scenario.settle();
  scenario.kill();
  scenario.harness.run(FAIL_MS);
  const host = scenario.restart();
  const join = message(SM_CMD.ADD_LOCKSPACE, lockspace, { data: T });
  assert.equal(scenario.ask(host, join), EAGAIN);
  scenario.harness.run(10_000);
  assert.ok(host.actions.some(({ kind, pid }) => kind === 'SIGKILL' && pid === 101));
  host.processEnds(101);
  assert.equal(scenario.ask(host, join), 0);
  assert.ok(scenario.events.includes('membership.lost'));
});

test('a lease that the disk does not show: its process is stopped, and no other gets it before', () => {
  const scenario = new Scenario();
  const { harness } = scenario;
  const device = harness.storage.device(LUN);
  assert.ok(device !== undefined);
  const before = device.slice(2 ** 20, 2 ** 21);
  holding(harness, 101);
  scenario.settle();
  scenario.kill();
  device.set(before, 2 ** 20); // as an array that lost its cache
  const host = scenario.restart();
  harness.run(1500);
  assert.ok(scenario.events.includes('lease.notHeld'));
  assert.ok(host.actions.some(({ kind, pid }) => kind === 'SIGTERM' && pid === 101));
  assert.equal(harness.result(acquire(1), registered(host, 103)), EBUSY);
  harness.run(6000);
  assert.ok(host.actions.some(({ kind, pid }) => kind === 'SIGKILL' && pid === 101));
  host.processEnds(101);
  harness.run(70_000);
  assert.equal(harness.result(acquire(1), registered(host, 103)), 0);
});

test('lease processes that were killed with their daemon: nothing new is granted for a minute', () => {
  const scenario = new Scenario();
  const { harness } = scenario;
  holding(harness, 101);
  scenario.settle();
  scenario.kill();
  const startedMs = harness.clock.nowMs();
  const host = scenario.restart({ withoutEndRecords: true });
  const client = registered(host, 101);
  assert.equal(harness.result(message(SM_CMD.INQUIRE), client), 0, 'what it had it has');
  while (harness.result(acquire(2), registered(host, 102)) !== 0) harness.run(1000);
  assert.ok(harness.clock.nowMs() >= startedMs + 60_000);
  assert.ok(harness.clock.nowMs() <= startedMs + 63_000);
});

test('a task on the index of names that is cut off anywhere leaves the index to others', () => {
  let isDone = false;
  let cuts = 0;
  for (let steps = 1; !isDone; steps += 2) {
    const scenario = new Scenario();
    const { harness } = scenario;
    const format = indexed(SM_CMD.FORMAT_RINDEX).subarray(0, 32 + sanlkRindex.size);
    assert.equal(harness.result(format), 0);
    scenario.settle();
    const peer = harness.host.connect(900);
    peer.send(indexed(SM_CMD.CREATE_RESOURCE));
    for (let step = 0; step < steps; step++) harness.clock.step();
    isDone = peer.received.length > 0;
    cuts++;
    scenario.kill();
    scenario.restart();
    harness.run(5000);
    scenario.createsElsewhere(); // it may meet a larger ballot, and then knows it
    assert.equal(scenario.createsElsewhere(), 0, `after ${steps} steps`);
  }
  assert.ok(cuts > 10, `only ${cuts} cuts`);
});

test('a daemon that hands over lets commands end, serves no more, and leaves all to the next one', () => {
  const scenario = new Scenario();
  const { harness } = scenario;
  holding(harness, 101);
  scenario.settle();
  const second = harness.client(102);
  second.send(acquire(2));
  const late = harness.host.connect(103);
  const order = harness.host.connect(900);
  order.send(handOver().request);
  late.send(message(SM_CMD.STATUS));
  harness.run(1000);
  assert.equal(resultOf(second), 0, 'it was under way');
  assert.equal(resultOf(order), 0);
  assert.equal(late.received.length, 0, 'for the next daemon');
  assert.equal(harness.host.ended, 75);
  scenario.kill();
  scenario.restart();
  harness.run(2 * DEAD_MS);
  for (const n of [1, 2]) assert.ok(scenario.elsewhere(n) < 0);
});

test('only root may order it, and not while the daemon ends for good', () => {
  const { harness } = new Scenario();
  assert.equal(harness.result(handOver().request, harness.host.connect(900, 36)), EPERM);
  holding(harness, 101);
  harness.host.connect(900).send(shutdown(1).request);
  assert.equal(harness.result(handOver().request, harness.host.connect(900)), EBUSY);
});

test('a command that hangs on its device holds up the end, for 2·t at most', () => {
  const scenario = new Scenario();
  const { harness } = scenario;
  holding(harness, 101);
  harness.hung = true;
  harness.client(102).send(acquire(2));
  const order = harness.host.connect(900);
  order.send(handOver().request);
  harness.run(T * 1000 - 500);
  assert.equal(harness.host.ended, null);
  harness.run(T * 1000 + 1500);
  assert.equal(harness.host.ended, 75);
  harness.hung = false;
  scenario.kill();
  scenario.restart();
  harness.run(2 * DEAD_MS);
  assert.ok(scenario.elsewhere(1) < 0);
  assert.equal(scenario.elsewhere(2), 0, 'what was cut off is taken back');
});
