import assert from 'node:assert/strict';
import { test } from 'node:test';
import { release } from '../client/sanlock-lease-calls.ts';
import { decode } from '../codec/struct.ts';
import { deltaLeader } from '../format/leader.ts';
import type { Log } from '../ports/log.ts';
import { FIRST_LEASE_PID, FrontHost, type SimPeer } from '../sim/front-host.ts';
import { MemoryJournal } from '../sim/memory-journal.ts';
import { REM_FLAGS, RES_FLAGS, SM_CMD } from '../wire/sanlock-socket.ts';
import { acquire, holding, LUN, lockspace, message, Stage, T } from './testing/front-stage.ts';

const [EAGAIN, EBUSY, ENOENT] = [-11, -16, -2];
/** lvmlockd, as far as sanlock is concerned. */
const HOLDER = 101;
const LEASE_PIDS = [FIRST_LEASE_PID, FIRST_LEASE_PID + 1];
const FAIL_MS = 8 * T * 1000;
const R2 = { lockspaceName: 'LS', name: 'R2', lver: 0n, flags: 0, disks: [] };
const DEAD_MS = FAIL_MS + 60_000;

/** A daemon with a persistent lease, killed; its successors; and another host, which wants it. */
class Story {
  readonly journal = new MemoryJournal();
  readonly stage: Stage;
  readonly holder: SimPeer;
  readonly #settings: { readonly killGraceS: number; readonly ourHostName: string };
  readonly events: string[] = [];
  readonly log: Log;
  readonly #ended = new Set<number>(LEASE_PIDS);
  #daemons = 0;
  readonly #other: FrontHost;

  constructor(flags: number = RES_FLAGS.PERSISTENT, ourHostName = 'host1') {
    this.#settings = { killGraceS: 5, ourHostName };
    this.stage = new Stage({ journal: this.journal, ...this.#settings });
    const say = (event: string) => {
      this.events.push(event);
    };
    this.log = { error: say, warn: say, info: say, debug: () => {} };
    assert.equal(this.stage.join(), 0);
    this.holder = holding(this.stage, HOLDER, 1, flags);
    const { clock, storage } = this.stage;
    this.#other = new FrontHost({ name: 'host2', clock, storage });
    const two = lockspace.slice();
    new DataView(two.buffer).setBigUint64(48, 2n, true);
    const join = message(SM_CMD.ADD_LOCKSPACE, two, { data: T });
    assert.equal(this.stage.result(join, this.#other.connect(900)), 0);
    this.stage.run(FAIL_MS / 4); // it has seen the first one renew
  }

  kill(): void {
    this.stage.frontTime.stop();
    this.stage.leaseTime.stop();
  }

  ends(pid: number): void {
    this.#ended.add(pid);
  }

  /** The next daemon of this boot; every process of the one before is gone. */
  restart(): FrontHost {
    const { clock, storage } = this.stage;
    const firstLeasePid = FIRST_LEASE_PID + 100 * ++this.#daemons;
    const { journal, log } = this;
    const ended = new Set(this.#ended);
    for (let pid = firstLeasePid; pid < firstLeasePid + 100; pid++) this.#ended.add(pid);
    const common = { name: 'host1', clock, storage, settings: this.#settings };
    return new FrontHost({ ...common, journal, log, ended, firstLeasePid });
  }

  join(host: FrontHost): number {
    return this.stage.result(
      message(SM_CMD.ADD_LOCKSPACE, lockspace, { data: T }),
      host.connect(900),
    );
  }

  remove(host: FrontHost, cmdFlags = 0, asker = 900): number {
    const request = message(SM_CMD.REM_LOCKSPACE, lockspace, { cmdFlags });
    return this.stage.result(request, host.connect(asker));
  }

  /** What another host is told that wants the lease. */
  elsewhere(): number {
    const client = this.#other.connect(102);
    client.send(message(SM_CMD.REGISTER));
    const result = this.stage.result(acquire(1), client);
    client.close();
    return result;
  }

  record() {
    const device = this.stage.storage.device(LUN);
    assert.ok(device !== undefined);
    return decode(deltaLeader, device, 0);
  }
}

test('a persistent lease outlives both daemons, and nobody else gets it until it is given back', () => {
  const story = new Story();
  const before = story.record();
  story.kill();
  story.ends(HOLDER);
  const host = story.restart();
  assert.equal(story.join(host), EBUSY);
  assert.ok(story.events.includes('lockspace.keptLeases'));
  story.stage.run(2 * DEAD_MS);
  const now = story.record();
  assert.equal(now.ownerGeneration, before.ownerGeneration, 'renewed on, not joined again');
  assert.ok(Number(now.timestampS) * 1000 > story.stage.clock.nowMs() - 3 * T * 1000);
  assert.ok(story.elsewhere() < 0);
  assert.equal(story.join(host), EBUSY);
  assert.equal(story.remove(host, REM_FLAGS.UNUSED), EBUSY);

  assert.equal(story.remove(host), 0);
  assert.equal(story.record().timestampS, 0n, 'free at once');
  assert.equal(story.elsewhere(), 0);
  assert.equal(story.join(host), 0);
  assert.equal(story.remove(story.restart()), ENOENT);
});

test('daemon after daemon keeps it, and the holder that outlives them as well', () => {
  const story = new Story();
  story.kill();
  for (let n = 0; n < 3; n++) {
    const host = story.restart();
    story.stage.run(FAIL_MS / 2);
    assert.equal(story.join(host), EBUSY);
    host.freezeLeaseProcesses();
  }
  const last = story.restart();
  story.stage.run(2 * DEAD_MS);
  assert.ok(story.elsewhere() < 0);
  assert.deepEqual(last.deeds, [], 'nobody is stopped whose lease is good');
  assert.equal(story.remove(last), EBUSY, 'its holder may use it');
  assert.equal(story.remove(last, 0, HOLDER), 0, 'its own word: lvmlockctl --drop');
  assert.equal(story.join(last), 0);
});

test('the process that renews on is killed: another one goes on', () => {
  const story = new Story();
  story.kill();
  const host = story.restart();
  for (let n = 0; n < 10; n++) {
    story.stage.run(FAIL_MS);
    host.killLeaseProcesses();
  }
  assert.ok(story.elsewhere() < 0);
});

test('a lease given back before the end is not kept, nor one that ended with its process', () => {
  for (const flags of [RES_FLAGS.PERSISTENT, 0]) {
    const story = new Story(flags);
    if (flags !== 0) {
      const other = story.stage.client(103);
      assert.equal(story.stage.result(acquire(2, flags), other), 0);
      assert.equal(story.stage.result(release([R2]).request, other), 0);
    }
    story.kill();
    story.ends(HOLDER);
    const host = story.restart();
    assert.equal(story.join(host), flags === 0 ? 0 : EBUSY);
    if (flags === 0) assert.equal(story.elsewhere(), 0);
  }
});

test('who let go of a lease of its own still gives back what is kept, by its own word', () => {
  const story = new Story();
  assert.equal(story.stage.result(acquire(2), story.holder), 0); // as lvmlockd's init_lv
  assert.equal(story.stage.result(release([R2]).request, story.holder), 0);
  story.kill();
  const host = story.restart();
  story.stage.run(1000);
  assert.equal(story.remove(host, 0, HOLDER), 0);
  assert.equal(story.join(host), 0);
});

test('a process of its own lease keeps the lockspace closed after the persistent ones went', () => {
  const story = new Story();
  holding(story.stage, 104, 2);
  story.kill();
  story.ends(HOLDER);
  const host = story.restart();
  story.stage.run(1000);
  assert.equal(story.remove(host), EBUSY, 'it would lose its lease at work');
  host.processEnds(104);
  assert.equal(story.remove(host), 0);
  assert.equal(story.join(host), 0);
});

test('a membership is resumed also under a host name of which the disk keeps all but the last byte', () => {
  const story = new Story(RES_FLAGS.PERSISTENT, 'h'.repeat(48));
  assert.equal(story.record().hostName.length, 47);
  story.kill();
  story.ends(HOLDER);
  story.restart();
  story.stage.run(2 * DEAD_MS);
  assert.ok(story.events.includes('membership.resumed'));
  assert.ok(story.elsewhere() < 0);
});

test('what cannot be resumed stays closed, and says so: too late, or another record', () => {
  const late = new Story();
  late.kill();
  late.ends(HOLDER);
  late.stage.run(FAIL_MS);
  const host = late.restart();
  assert.ok(late.events.includes('leases.unprotected'));
  assert.equal(late.join(host), EBUSY);
  late.stage.run(DEAD_MS);
  assert.equal(late.elsewhere(), 0, 'as documented: without a watchdog nothing keeps it now');
  assert.equal(late.join(host), EBUSY);
  assert.equal(late.remove(host), 0);
  assert.equal(late.join(host), 0);

  const taken = new Story();
  taken.kill();
  taken.ends(HOLDER);
  const { clock, storage } = taken.stage;
  const same = new FrontHost({ name: 'host1', clock, storage }); // without the journal: a clone
  assert.equal(taken.join(same), 0);
  const next = taken.restart();
  taken.stage.run(1000);
  assert.ok(taken.events.includes('leases.unprotected'));
  const generation = taken.record().ownerGeneration;
  taken.stage.run(DEAD_MS);
  assert.equal(taken.record().ownerGeneration, generation, "and the other's is left alone");
  assert.equal(taken.join(next), EBUSY);
});

test('a lease process that may still write is awaited, then the membership is resumed', () => {
  const story = new Story();
  story.kill();
  story.ends(HOLDER);
  const [first = 0, second = 0] = LEASE_PIDS;
  const { clock, storage } = story.stage;
  const settings = { killGraceS: 5 };
  const common = { name: 'host1', clock, storage, settings, journal: story.journal };
  const host = new FrontHost({ ...common, log: story.log, ended: new Set([first, HOLDER]) });
  story.stage.run(FAIL_MS / 2);
  assert.ok(!story.events.includes('membership.resumed'));
  host.processEnds(second);
  story.stage.run(1000);
  assert.ok(story.events.includes('membership.resumed'));
  story.stage.run(2 * DEAD_MS);
  assert.ok(story.elsewhere() < 0);
});

test('a renewal that the daemon before was refused lands late, over a newer one: it goes on', () => {
  const story = new Story();
  const device = story.stage.storage.device(LUN);
  assert.ok(device !== undefined);
  const old = device.slice(0, 512);
  story.kill();
  story.ends(HOLDER);
  story.restart();
  story.stage.run(FAIL_MS / 2);
  device.set(old);
  story.stage.run(2 * DEAD_MS);
  assert.ok(!story.events.includes('leases.unprotected'));
  assert.ok(story.elsewhere() < 0);
});

test('nothing is granted by a resumed membership', () => {
  const story = new Story();
  story.kill();
  story.ends(HOLDER);
  const host = story.restart();
  story.stage.run(1000);
  const client = host.connect(105);
  client.send(message(SM_CMD.REGISTER));
  for (const n of [1, 2]) assert.ok(story.stage.result(acquire(n), client) < 0);
  assert.notEqual(story.stage.result(acquire(2), client), EAGAIN);
});

test('a persistent lease that cannot be written down is not granted', () => {
  const journal = new MemoryJournal();
  const stage = new Stage({ journal });
  assert.equal(stage.join(), 0);
  const client = holding(stage, HOLDER, 2);
  journal.full = true;
  assert.equal(stage.result(acquire(1, RES_FLAGS.PERSISTENT), client), EAGAIN);
  journal.full = false;
  assert.equal(stage.result(acquire(1, RES_FLAGS.PERSISTENT), client), 0);
});

test('the storage does not answer for a while: it is resumed when it does, in time', () => {
  const story = new Story();
  story.kill();
  story.ends(HOLDER);
  const { clock, storage } = story.stage;
  const { journal } = story;
  const openMs = clock.nowMs() + FAIL_MS / 2;
  const plan = () => ({
    landsInMs: 1,
    answersInMs: 1,
    errno: clock.nowMs() < openMs ? 5 : null,
  });
  const settings = { killGraceS: 5 };
  const common = { name: 'host1', clock, storage, settings, journal, plan, log: story.log };
  new FrontHost({ ...common, ended: new Set([...LEASE_PIDS, HOLDER]), firstLeasePid: 60_000 });
  story.stage.run(2 * DEAD_MS);
  assert.ok(story.events.includes('membership.notResumed'));
  assert.ok(story.events.includes('membership.resumed'));
  assert.ok(story.elsewhere() < 0);
});

test('however many leases are kept, the journal is not written anew for each line', () => {
  const story = new Story();
  story.kill();
  story.ends(HOLDER);
  const { journal } = story;
  const space = journal.load().lines.find((line) => line.includes('"kind":"space"')) ?? '';
  const { id } = JSON.parse(space) as { id: number };
  for (let lease = 1000; lease < 6000; lease++) {
    journal.append(JSON.stringify({ kind: 'lease', id, lease, resource: `LV${lease}` }));
  }
  story.restart();
  let anew = 0;
  const replace = journal.replace.bind(journal);
  journal.replace = (lines) => {
    anew++;
    return replace(lines);
  };
  story.stage.run(100 * FAIL_MS);
  assert.ok(journal.load().lines.length > 5300, 'it renewed on');
  assert.equal(anew, 0);
});
