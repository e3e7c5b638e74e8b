import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrontHost } from '../sim/cluster/front-host.ts';
import { FIRST_LEASE_PID } from '../sim/cluster/sanlock.ts';
import { MemoryJournal } from '../sim/kernel/journal.ts';
import type { SimPeer } from '../sim/kernel/peer.ts';
import { release } from '../wire/sanlock/lease-calls.ts';
import { ACQUIRE_FLAGS, RES_FLAGS, SM_CMD } from '../wire/sanlock/socket.ts';
import { acquire, Harness, message } from './testing/front-harness.ts';

/** There is an orphan, and the request is not for one. */
const EUCLEAN = -117;
const { SHARED, PERSISTENT } = RES_FLAGS;
const [FIRST, SECOND, ADOPTER] = [101, 102, 103];
/** Connections of one process. */
const LATER = 104;

/** A host with leases, whose daemon is killed and started again while its processes live on. */
class Scenario {
  readonly #journal = new MemoryJournal();
  readonly #harness = new Harness({ journal: this.#journal });
  #running = this.#harness.host;
  readonly #peers = new Map<number, SimPeer>();
  readonly #ended = new Set([FIRST_LEASE_PID, FIRST_LEASE_PID + 1]);
  #daemons = 0;

  constructor() {
    assert.equal(this.#harness.join(), 0);
  }

  ask(pid: number, request: Uint8Array): number {
    const known = this.#peers.get(pid);
    const peer = known ?? this.#running.connect(pid);
    if (known === undefined) peer.send(message(SM_CMD.REGISTER));
    this.#peers.set(pid, peer);
    return this.#harness.result(request, peer);
  }

  takes(pid: number, flags: number, cmdFlags = 0): void {
    const request = message(SM_CMD.ACQUIRE, acquire(1, flags).subarray(32), { data: 1, cmdFlags });
    assert.equal(this.ask(pid, request), 0, `${pid} takes it`);
    this.#harness.run(10);
  }

  releases(pid: number): void {
    assert.equal(this.ask(pid, release([R1]).request), 0, `${pid} releases it`);
  }

  ends(pid: number): void {
    this.#ended.add(pid);
    const peer = this.#peers.get(pid);
    this.#peers.delete(pid);
    if (peer === undefined) this.#running.processEnds(pid);
    else peer.close();
    this.#harness.run(1000);
  }

  /** @param ended processes that end while no daemon runs */
  restart(...ended: readonly number[]): void {
    const { clock, storage } = this.#harness;
    this.#running.kill();
    this.#peers.clear();
    for (const pid of ended) this.#ended.add(pid);
    const firstLeasePid = FIRST_LEASE_PID + 100 * ++this.#daemons;
    const earlier = { journal: this.#journal, ended: new Set(this.#ended), firstLeasePid };
    for (let pid = firstLeasePid; pid < firstLeasePid + 100; pid++) this.#ended.add(pid);
    this.#running = new FrontHost({ name: 'host1', clock, storage, ...earlier });
    this.#harness.run(3000);
  }

  /** What has become of the lease when none of its processes lives. */
  isOrphan(): boolean {
    const result = this.ask(LATER, acquire(1));
    assert.ok(result === 0 || result === EUCLEAN, `it is free, or an orphan: ${result}`);
    return result === EUCLEAN;
  }
}

const R1 = { lockspaceName: 'LS', name: 'R1', lver: 0n, flags: 0, disks: [] };

/** When the daemon is killed and started again. `unseen`: the last process ends meanwhile. */
const RESTARTS = ['never', 'before', 'between', 'unseen', 'after'] as const;

for (const restarted of RESTARTS) {
  test(`of two that share a lease the one that ends last decides; restarted: ${restarted}`, () => {
    for (const first of [0, PERSISTENT]) {
      for (const second of [0, PERSISTENT]) {
        for (const order of [
          [FIRST, SECOND],
          [SECOND, FIRST],
        ] as const) {
          const scenario = new Scenario();
          scenario.takes(FIRST, SHARED | first);
          scenario.takes(SECOND, SHARED | second);
          const [before, last] = order;
          if (restarted === 'before') scenario.restart();
          scenario.ends(before);
          if (restarted === 'between') scenario.restart();
          if (restarted === 'unseen') scenario.restart(last);
          else scenario.ends(last);
          if (restarted === 'after') scenario.restart();
          const wanted = (last === FIRST ? first : second) === PERSISTENT;
          const where = `first ${first}, second ${second}, ${last} is the last`;
          assert.equal(scenario.isOrphan(), wanted, where);
        }
      }
    }
  });

  test(`who adopts an orphan says whether it becomes one again; restarted: ${restarted}`, () => {
    for (const mode of [0, SHARED]) {
      for (const flags of [0, PERSISTENT]) {
        const scenario = new Scenario();
        scenario.takes(FIRST, mode | PERSISTENT);
        scenario.ends(FIRST);
        if (restarted === 'before') scenario.restart();
        scenario.takes(ADOPTER, mode | flags, ACQUIRE_FLAGS.ORPHAN);
        if (restarted === 'between') scenario.restart();
        if (restarted === 'unseen') scenario.restart(ADOPTER);
        else scenario.ends(ADOPTER);
        if (restarted === 'after') scenario.restart();
        assert.equal(scenario.isOrphan(), flags === PERSISTENT, `mode ${mode}, flags ${flags}`);
      }
    }
  });
}

test('both end while no daemon runs, in whatever order: the lease of a persistent holder stays', () => {
  for (const [first, second] of [
    [0, 0],
    [0, PERSISTENT],
    [PERSISTENT, 0],
  ] as const) {
    const scenario = new Scenario();
    scenario.takes(FIRST, SHARED | first);
    scenario.takes(SECOND, SHARED | second);
    scenario.restart(FIRST, SECOND);
    assert.equal(scenario.isOrphan(), (first | second) !== 0, `${first} and ${second}`);
  }
});

test('one ends while no daemon runs: the other one decides, also with the next daemon', () => {
  for (const living of [0, PERSISTENT]) {
    const scenario = new Scenario();
    scenario.takes(FIRST, SHARED | (PERSISTENT - living));
    scenario.takes(SECOND, SHARED | living);
    scenario.restart(FIRST);
    scenario.restart(SECOND);
    assert.equal(scenario.isOrphan(), living === PERSISTENT);
  }
});

test('what a persistent holder releases while others share it is theirs alone', () => {
  for (const isRestarted of [false, true]) {
    const scenario = new Scenario();
    scenario.takes(FIRST, SHARED);
    scenario.takes(SECOND, SHARED | PERSISTENT);
    scenario.releases(SECOND);
    if (isRestarted) scenario.restart();
    scenario.ends(FIRST);
    assert.equal(scenario.isOrphan(), false);
  }
});

test('a process that asks again for what it has from an earlier daemon can make it persistent', () => {
  for (const flags of [0, PERSISTENT]) {
    const scenario = new Scenario();
    scenario.takes(FIRST, 0);
    scenario.restart();
    scenario.takes(FIRST, flags);
    scenario.restart(FIRST);
    assert.equal(scenario.isOrphan(), flags === PERSISTENT);
  }
});
