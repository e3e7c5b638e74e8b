import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '../codec/struct.ts';
import { deltaLeader } from '../format/leader.ts';
import type { Log } from '../ports/log.ts';
import { FrontHost } from '../sim/cluster/front-host.ts';
import { FIRST_LEASE_PID } from '../sim/cluster/sanlock.ts';
import { MemoryJournal } from '../sim/kernel/journal.ts';
import type { SimPeer } from '../sim/kernel/peer.ts';
import { release } from '../wire/sanlock/lease-calls.ts';
import { REM_FLAGS, RES_FLAGS, SM_CMD } from '../wire/sanlock/socket.ts';
import { acquire, Harness, holding, LUN, lockspace, message, T } from './testing/front-harness.ts';

const [EAGAIN, EBUSY] = [-11, -16];
/** lvmlockd, as far as sanlock is concerned. */
const HOLDER = 101;
const LEASE_PIDS = [FIRST_LEASE_PID, FIRST_LEASE_PID + 1];
const FAIL_MS = 8 * T * 1000;
const R2 = { lockspaceName: 'LS', name: 'R2', lver: 0n, flags: 0, disks: [] };
const DEAD_MS = FAIL_MS + 60_000;

/**
 * A daemon with a persistent lease, killed; its successors, which cannot know all its leases; and
 * another host, which wants it.
 */
class Scenario {
  readonly journal = new MemoryJournal();
  readonly harness: Harness;
  readonly holder: SimPeer;
  readonly #settings: { readonly killGraceS: number; readonly ourHostName: string };
  readonly events: string[] = [];
  readonly log: Log;
  readonly #ended = new Set<number>(LEASE_PIDS);
  #daemons = 0;
  readonly #other: FrontHost;

  constructor(flags: number = RES_FLAGS.PERSISTENT, ourHostName = 'host1') {
    this.#settings = { killGraceS: 5, ourHostName };
    this.harness = new Harness({ journal: this.journal, ...this.#settings });
    const say = (event: string) => {
      this.events.push(event);
    };
    this.log = { error: say, warn: say, info: say, debug: () => {} };
    assert.equal(this.harness.join(), 0);
    this.holder = holding(this.harness, HOLDER, 1, flags);
    const { clock, storage } = this.harness;
    this.#other = new FrontHost({ name: 'host2', clock, storage });
    const two = lockspace.slice();
    new DataView(two.buffer).setBigUint64(48, 2n, true);
    const join = message(SM_CMD.ADD_LOCKSPACE, two, { data: T });
    assert.equal(this.harness.result(join, this.#other.connect(900)), 0);
    this.harness.run(FAIL_MS / 4); // it has seen the first one renew
  }

  /** What it leaves is as of a version that did not record the places of leases. */
  kill(): void {
    this.harness.frontTime.stop();
    this.harness.leaseTime.stop();
    const { lines } = this.journal.load();
    this.journal.replace(lines.map((line) => asBefore(line)));
  }

  ends(pid: number): void {
    this.#ended.add(pid);
  }

  /** The next daemon of this boot; every process of the one before is gone. */
  restart(): FrontHost {
    const { clock, storage } = this.harness;
    const firstLeasePid = FIRST_LEASE_PID + 100 * ++this.#daemons;
    const { journal, log } = this;
    const ended = new Set(this.#ended);
    for (let pid = firstLeasePid; pid < firstLeasePid + 100; pid++) this.#ended.add(pid);
    const common = { name: 'host1', clock, storage, settings: this.#settings };
    return new FrontHost({ ...common, journal, log, ended, firstLeasePid });
  }

  join(host: FrontHost): number {
    return this.harness.result(
      message(SM_CMD.ADD_LOCKSPACE, lockspace, { data: T }),
      host.connect(900),
    );
  }

  remove(host: FrontHost, cmdFlags = 0, asker = 900): number {
    const request = message(SM_CMD.REM_LOCKSPACE, lockspace, { cmdFlags });
    return this.harness.result(request, host.connect(asker));
  }

  /** The answer to another host that wants the lease. */
  elsewhere(): number {
    const client = this.#other.connect(102);
    client.send(message(SM_CMD.REGISTER));
    const result = this.harness.result(acquire(1), client);
    client.close();
    return result;
  }

  record() {
    const device = this.harness.storage.device(LUN);
    assert.ok(device !== undefined);
    return decode(deltaLeader, device, 0);
  }
}

/** A line as that version wrote it: whether a client had only persistent leases stood with it. */
function asBefore(line: string): string {
  if (line.includes(`"pid":${HOLDER},`)) {
    return line.replace('"persistent":false', '"persistent":true');
  }
  return line.replace('"allLeases":true', '"allLeases":false');
}

test('a persistent lease outlives both daemons, and no other host gets it until it is released', () => {
  const scenario = new Scenario();
  const before = scenario.record();
  scenario.kill();
  scenario.ends(HOLDER);
  const host = scenario.restart();
  assert.equal(scenario.join(host), EBUSY);
  assert.ok(scenario.events.includes('lockspace.keptLeases'));
  scenario.harness.run(2 * DEAD_MS);
  const now = scenario.record();
  assert.equal(now.ownerGeneration, before.ownerGeneration, 'renewed on, not joined again');
  assert.ok(Number(now.timestampS) * 1000 > scenario.harness.clock.nowMs() - 3 * T * 1000);
  assert.ok(scenario.elsewhere() < 0);
  assert.equal(scenario.join(host), EBUSY);
  assert.equal(scenario.remove(host, REM_FLAGS.UNUSED), EBUSY);

  assert.equal(scenario.remove(host), 0);
  assert.equal(scenario.record().timestampS, 0n, 'free at once');
  assert.equal(scenario.elsewhere(), 0);
  assert.equal(scenario.join(host), 0);
  assert.equal(scenario.remove(scenario.restart()), 0, 'it is resumed as any other');
});

test('each next daemon keeps it, also while its holder outlives them all', () => {
  const scenario = new Scenario();
  scenario.kill();
  for (let n = 0; n < 3; n++) {
    const host = scenario.restart();
    scenario.harness.run(FAIL_MS / 2);
    assert.equal(scenario.join(host), EBUSY);
    host.freezeLeaseProcesses();
  }
  const last = scenario.restart();
  scenario.harness.run(2 * DEAD_MS);
  assert.ok(scenario.elsewhere() < 0);
  assert.deepEqual(last.actions, [], 'no process is stopped while its lease is good');
  assert.equal(scenario.remove(last), EBUSY, 'its holder may use it');
  assert.equal(scenario.remove(last, 0, HOLDER), 0, 'asked by the holder: lvmlockctl --drop');
  assert.equal(scenario.join(last), 0);
});

test('the process that resumed the membership is killed: another one resumes it', () => {
  const scenario = new Scenario();
  scenario.kill();
  const host = scenario.restart();
  for (let n = 0; n < 10; n++) {
    scenario.harness.run(FAIL_MS);
    host.killLeaseProcesses();
  }
  assert.ok(scenario.elsewhere() < 0);
});

test('a lease released before the crash is not kept, nor one that ended with its process', () => {
  for (const flags of [RES_FLAGS.PERSISTENT, 0]) {
    const scenario = new Scenario(flags);
    if (flags !== 0) {
      const other = scenario.harness.client(103);
      assert.equal(scenario.harness.result(acquire(2, flags), other), 0);
      assert.equal(scenario.harness.result(release([R2]).request, other), 0);
    }
    scenario.kill();
    scenario.ends(HOLDER);
    const host = scenario.restart();
    assert.equal(scenario.join(host), flags === 0 ? 0 : EBUSY);
    if (flags === 0) assert.equal(scenario.elsewhere(), 0);
  }
});

test('a holder that released an ordinary lease may still ask to release the kept ones', () => {
  const scenario = new Scenario();
  assert.equal(scenario.harness.result(acquire(2), scenario.holder), 0); // as lvmlockd's init_lv
  assert.equal(scenario.harness.result(release([R2]).request, scenario.holder), 0);
  scenario.kill();
  const host = scenario.restart();
  scenario.harness.run(1000);
  assert.equal(scenario.remove(host, 0, HOLDER), 0);
  assert.equal(scenario.join(host), 0);
});

test('a process with an ordinary lease keeps the lockspace closed after the persistent ones went', () => {
  const scenario = new Scenario();
  holding(scenario.harness, 104, 2);
  scenario.kill();
  scenario.ends(HOLDER);
  const host = scenario.restart();
  scenario.harness.run(1000);
  assert.equal(scenario.remove(host), EBUSY, 'it would lose its lease at work');
  host.processEnds(104);
  assert.equal(scenario.remove(host), 0);
  assert.equal(scenario.join(host), 0);
});

test('a membership is resumed also with a host name whose last byte the disk does not keep', () => {
  const scenario = new Scenario(RES_FLAGS.PERSISTENT, 'h'.repeat(48));
  assert.equal(scenario.record().hostName.length, 47);
  scenario.kill();
  scenario.ends(HOLDER);
  scenario.restart();
  scenario.harness.run(2 * DEAD_MS);
  assert.ok(scenario.events.includes('membership.resumed'));
  assert.ok(scenario.elsewhere() < 0);
});

test('a membership that cannot be resumed stays closed, and that is logged: too late, or another record', () => {
  const late = new Scenario();
  late.kill();
  late.ends(HOLDER);
  late.harness.run(FAIL_MS);
  const host = late.restart();
  assert.ok(late.events.includes('leases.unprotected'));
  assert.equal(late.join(host), EBUSY);
  late.harness.run(DEAD_MS);
  assert.equal(late.elsewhere(), 0, 'as documented: without a watchdog nothing keeps it now');
  assert.equal(late.join(host), EBUSY);
  assert.equal(late.remove(host), 0);
  assert.equal(late.join(host), 0);

  const taken = new Scenario();
  taken.kill();
  taken.ends(HOLDER);
  const { clock, storage } = taken.harness;
  const same = new FrontHost({ name: 'host1', clock, storage }); // without the journal: a clone
  assert.equal(taken.join(same), 0);
  const next = taken.restart();
  taken.harness.run(1000);
  assert.ok(taken.events.includes('leases.unprotected'));
  const generation = taken.record().ownerGeneration;
  taken.harness.run(DEAD_MS);
  assert.equal(taken.record().ownerGeneration, generation, "and the other's is left alone");
  assert.equal(taken.join(next), EBUSY);
});

test('a lease process that may still write is awaited, then the membership is resumed', () => {
  const scenario = new Scenario();
  scenario.kill();
  scenario.ends(HOLDER);
  const [first = 0, second = 0] = LEASE_PIDS;
  const { clock, storage } = scenario.harness;
  const settings = { killGraceS: 5 };
  const common = { name: 'host1', clock, storage, settings, journal: scenario.journal };
  const host = new FrontHost({ ...common, log: scenario.log, ended: new Set([first, HOLDER]) });
  scenario.harness.run(FAIL_MS / 2);
  assert.ok(!scenario.events.includes('membership.resumed'));
  host.processEnds(second);
  scenario.harness.run(1000);
  assert.ok(scenario.events.includes('membership.resumed'));
  scenario.harness.run(2 * DEAD_MS);
  assert.ok(scenario.elsewhere() < 0);
});

test('a renewal that the daemon before was refused lands late, over a newer one: it goes on', () => {
  const scenario = new Scenario();
  const device = scenario.harness.storage.device(LUN);
  assert.ok(device !== undefined);
  const old = device.slice(0, 512);
  scenario.kill();
  scenario.ends(HOLDER);
  scenario.restart();
  scenario.harness.run(FAIL_MS / 2);
  device.set(old);
  scenario.harness.run(2 * DEAD_MS);
  assert.ok(!scenario.events.includes('leases.unprotected'));
  assert.ok(scenario.elsewhere() < 0);
});

test('nothing is granted by a resumed membership', () => {
  const scenario = new Scenario();
  scenario.kill();
  scenario.ends(HOLDER);
  const host = scenario.restart();
  scenario.harness.run(1000);
  const client = host.connect(105);
  client.send(message(SM_CMD.REGISTER));
  for (const n of [1, 2]) assert.ok(scenario.harness.result(acquire(n), client) < 0);
  assert.notEqual(scenario.harness.result(acquire(2), client), EAGAIN);
});

test('a persistent lease that cannot be recorded is not granted', () => {
  const journal = new MemoryJournal();
  const harness = new Harness({ journal });
  assert.equal(harness.join(), 0);
  const client = holding(harness, HOLDER, 2);
  journal.full = true;
  assert.equal(harness.result(acquire(1, RES_FLAGS.PERSISTENT), client), EAGAIN);
  journal.full = false;
  assert.equal(harness.result(acquire(1, RES_FLAGS.PERSISTENT), client), 0);
});

test('the storage does not answer for a while: the membership is resumed when it does, in time', () => {
  const scenario = new Scenario();
  scenario.kill();
  scenario.ends(HOLDER);
  const { clock, storage } = scenario.harness;
  const { journal } = scenario;
  const openMs = clock.nowMs() + FAIL_MS / 2;
  const plan = () => ({
    landsInMs: 1,
    answersInMs: 1,
    errno: clock.nowMs() < openMs ? 5 : null,
  });
  const settings = { killGraceS: 5 };
  const common = { name: 'host1', clock, storage, settings, journal, plan, log: scenario.log };
  new FrontHost({ ...common, ended: new Set([...LEASE_PIDS, HOLDER]), firstLeasePid: 60_000 });
  scenario.harness.run(2 * DEAD_MS);
  assert.ok(scenario.events.includes('membership.notResumed'));
  assert.ok(scenario.events.includes('membership.resumed'));
  assert.ok(scenario.elsewhere() < 0);
});

test('however many leases are kept, the journal is not written anew for each line', () => {
  const scenario = new Scenario();
  scenario.kill();
  scenario.ends(HOLDER);
  const { journal } = scenario;
  const space = journal.load().lines.find((line) => line.includes('"kind":"space"')) ?? '';
  const { id } = JSON.parse(space) as { id: number };
  for (let lease = 1000; lease < 6000; lease++) {
    journal.append(JSON.stringify({ kind: 'lease', id, lease, resource: `LV${lease}` }));
  }
  scenario.restart();
  let anew = 0;
  const replace = journal.replace.bind(journal);
  journal.replace = (lines) => {
    anew++;
    return replace(lines);
  };
  scenario.harness.run(100 * FAIL_MS);
  assert.ok(journal.load().lines.length > 5300, 'it renewed on');
  assert.equal(anew, 0);
});
