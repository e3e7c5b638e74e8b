import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimClock } from '../sim/kernel/clock.ts';
import { Dice } from '../sim/kernel/dice.ts';
import type { SimPeer } from '../sim/kernel/peer.ts';
import { leaseNameOf, SimHost, type SimProcess } from './testing/guard-host.ts';
import { SimDisk, SimSanlock } from './testing/guard-sanlock.ts';

/**
 * The guards of two hosts, and all that happens to them by chance: guests are started (now and then
 * on both hosts at once, and two of one disk), stopped, paused, migrated, crash, get disks and lose
 * them; guards and keepers are killed, together or alone; records are lost, answers of sanlock, and
 * lockspaces. No disk is written by two guests at any time; no guest is ended without need; in the
 * end each guest that runs has its leases, and nobody else has any.
 */
const SEEDS = Number(process.env['GUARD_SEEDS'] ?? 20);
const FIRST = Number(process.env['GUARD_FIRST'] ?? 0);
/** 1131: a QEMU that hung, and of which neither a record nor libvirt knew any more. */
const FOUND = [1131];
const BUSY_MS = 500_000;
const QUIET_MS = 1_500_000;

interface Status {
  readonly state: 'running' | 'paused';
  /** Of one that runs: its own. */
  readonly reason?: string;
  readonly job?: 'start' | 'migration in' | 'migration out' | '';
}

interface Faults {
  readonly killed: number;
  readonly lost: number;
  readonly losses: number;
}

/** Answers with how long it waits, in milliseconds. */
type Job<T = void> = Generator<number, T>;

class Qemu {
  readonly process: SimProcess;
  readonly host: SimHost;
  readonly disks: Set<string>;
  /** Its CPUs run. */
  runs = false;
  /** Why, as libvirt says. */
  reason: 'booted' | 'migrated' | 'unpaused' = 'booted';
  /** libvirt ends it, and is not heard of it any more. */
  isGivenUp = false;
  /** Its lockspace was lost: the guard may end it. */
  hasLost = false;
  /** And it had no keeper then: another guest may have its disks before the guard has ended it. */
  isExcused = false;

  constructor(host: SimHost, process_: SimProcess, disks: Iterable<string>) {
    this.host = host;
    this.process = process_;
    this.disks = new Set(disks);
  }
}

class Guest {
  readonly name: string;
  readonly uuid: string;
  readonly disks: readonly string[];
  readonly pauses: boolean;
  isBusy = false;

  constructor(n: number, of: { readonly disks: readonly string[]; readonly pauses: boolean }) {
    this.name = `g${n}`;
    this.uuid = `6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f1${n}`;
    this.disks = of.disks;
    this.pauses = of.pauses;
  }
}

/** It goes on. */
function verdictIn({ received }: SimPeer): boolean {
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(received))).text === null;
}

const isShared = (disk: string) => disk.startsWith('s');

class World {
  readonly clock = new SimClock();
  readonly dice: Dice;
  readonly disk = new SimDisk(() => this.clock.nowMs());
  readonly hosts: readonly [SimHost, SimHost];
  readonly qemus = new Set<Qemu>();
  readonly guests: readonly [Guest, ...Guest[]] = [
    new Guest(1, { disks: ['a', 's'], pauses: false }),
    new Guest(2, { disks: ['b', 's', 'c'], pauses: true }),
    new Guest(3, { disks: ['a'], pauses: false }), // the same disk as the first one
    new Guest(4, { disks: ['s'], pauses: false }),
  ];
  readonly done = new Map<string, number>();
  readonly #faults: Faults;
  isBusy = true;

  constructor(seed: number, faults: Faults) {
    this.dice = new Dice(seed, 'guards');
    this.#faults = faults;
    this.hosts = [this.#host(1), this.#host(2)];
  }

  #host(hostId: number): SimHost {
    const sanlock = new SimSanlock(hostId, this.disk);
    const host = new SimHost(sanlock, this.clock, this.dice);
    host.lost = this.#faults.lost;
    host.onGuestEnded = (process_) => {
      const qemu = [...this.qemus].find((one) => one.process === process_);
      assert.ok(qemu?.hasLost, `${process_.uuid.at(-1)} was ended`);
      this.count('conflict');
    };
    host.suspend = (uuid) => this.#suspend(host, uuid);
    host.startGuard();
    return host;
  }

  count(what: string): number {
    const n = (this.done.get(what) ?? 0) + 1;
    this.done.set(what, n);
    return n;
  }

  run(job: Job): void {
    const turn = job.next();
    if (turn.done !== true) this.clock.after(turn.value, () => this.run(job));
  }

  qemusOf(guest: Guest): readonly Qemu[] {
    return [...this.qemus].filter((one) => one.process.uuid === guest.uuid && !one.isGivenUp);
  }

  /** Of each disk at most one guest writes. */
  check(): void {
    const writers = new Map<string, Qemu>();
    for (const qemu of this.qemus) {
      if (!qemu.runs || !qemu.process.isAlive || qemu.isExcused) continue;
      for (const disk of [...qemu.disks].filter((one) => !isShared(one))) {
        assert.ok(!writers.has(disk), `two guests write ${disk}`);
        writers.set(disk, qemu);
      }
    }
  }

  resume(qemu: Qemu): void {
    qemu.runs = qemu.process.isAlive;
    this.check();
  }

  write(guest: Guest, qemu: Qemu, { job = '', reason = qemu.reason, state }: Status): void {
    if (!qemu.process.isAlive) return;
    const inside = job === '' ? '' : `<job async='${job}'/>`;
    const from = `state='${state}' reason='${reason}' pid='${qemu.process.pid}'`;
    const xml = `<domstatus ${from}>${inside}${this.xml(guest, qemu.disks)}</domstatus>`;
    qemu.host.writeStatus(guest.name, xml);
  }

  xml({ name, pauses, uuid }: Guest, disks: Iterable<string>): string {
    const devices = [...disks].map((disk) => {
      const source = `<source protocol='nbd' name='${disk}'><host name='s'/></source>`;
      const shared = isShared(disk) ? '<shareable/>' : '';
      return `<disk type='network'>${source}${shared}<target dev='${disk}'/></disk>`;
    });
    const loss = pauses ? '<on_lockfailure>pause</on_lockfailure>' : '';
    const head = `<name>${name}</name><uuid>${uuid}</uuid>${loss}`;
    return `<domain>${head}<devices>${devices.join('')}</devices></domain>`;
  }

  /** As libvirtd runs it, with a guard that may be killed meanwhile. */
  *hook(host: SimHost, operation: string, guest: Guest, disks = guest.disks): Job<boolean> {
    const isStart = operation === 'start' || operation === 'migrate';
    const untilMs = this.clock.nowMs() + (operation === 'release' ? 15_000 : 120_000);
    let missedMs: number | null = null;
    yield this.dice.between(1, 50);
    while (this.clock.nowMs() < untilMs) {
      const peer = host.connect();
      const { life } = host;
      const call = { operation, xml: this.xml(guest, disks) };
      peer?.send(new TextEncoder().encode(`${JSON.stringify(call)}\n`));
      while (peer !== null && host.life === life && this.clock.nowMs() < untilMs) {
        if (peer.received.length > 0) return verdictIn(peer);
        yield 50;
      }
      if (this.clock.nowMs() >= untilMs) peer?.close();
      missedMs ??= this.clock.nowMs();
      if (this.clock.nowMs() > missedMs + 5000) break;
      yield 100;
    }
    return !isStart;
  }

  /** libvirt is done with a QEMU that has ended, or ends it, or has tried to. */
  *cleanUp(guest: Guest, qemu: Qemu): Job {
    const hangs = this.isBusy && qemu.process.isAlive && this.dice.chance(0.1);
    if (hangs) this.count('hung');
    qemu.isGivenUp = true;
    this.clock.after(hangs ? this.dice.between(1000, 30_000) : 0, () => {
      qemu.process.kill();
      this.qemus.delete(qemu);
    });
    yield this.dice.between(1, 200);
    qemu.host.writeStatus(guest.name, null);
    yield* this.hook(qemu.host, 'release', guest);
  }

  *start(guest: Guest, host: SimHost): Job {
    this.count('start');
    if (!(yield* this.hook(host, 'start', guest))) {
      this.count('refused');
      yield* this.hook(host, 'release', guest);
      return;
    }
    yield this.dice.between(1, 200);
    const qemu = this.#fork(guest, host, guest.disks);
    this.write(guest, qemu, { state: 'paused', reason: 'starting up', job: 'start' });
    yield this.dice.between(500, 1500);
    this.resume(qemu);
    this.write(guest, qemu, { state: 'running' });
  }

  #fork(guest: Guest, host: SimHost, disks: Iterable<string>): Qemu {
    const qemu = new Qemu(host, host.spawn(guest.uuid), disks);
    host.qemus.add(qemu.process);
    this.qemus.add(qemu);
    return qemu;
  }

  *migrate(guest: Guest, source: Qemu): Job {
    const { dice } = this;
    const to = this.hosts.find((host) => host !== source.host) ?? source.host;
    this.write(guest, source, { state: 'running', job: 'migration out' });
    yield dice.between(6, 4000);
    yield* this.hook(to, 'migrate', guest, [...source.disks]);
    if (!(yield* this.hook(to, 'start', guest, [...source.disks]))) {
      yield* this.hook(to, 'release', guest);
      this.write(guest, source, { state: 'running' });
      return;
    }
    const target = this.#fork(guest, to, source.disks);
    this.write(guest, target, { state: 'paused', reason: 'migration', job: 'migration in' });
    yield dice.between(100, 3000);
    const isLost = !target.process.isAlive || !source.process.isAlive;
    source.runs = false;
    if (isLost || dice.chance(0.3)) {
      yield dice.between(0, 100);
      const isKilledFirst = dice.chance(0.5);
      if (isKilledFirst) yield* this.cleanUp(guest, target);
      this.resume(source);
      this.write(guest, source, { state: 'running' });
      if (!isKilledFirst) yield* this.cleanUp(guest, target);
      return;
    }
    this.count('migrated');
    this.resume(target);
    target.reason = 'migrated';
    this.write(guest, target, { state: 'running', job: 'migration in' });
    const isQuick = dice.chance(0.5);
    if (isQuick) this.write(guest, target, { state: 'running' });
    yield dice.between(0, 500);
    yield* this.cleanUp(guest, source);
    if (!isQuick) this.write(guest, target, { state: 'running' });
  }

  *pause(guest: Guest, qemu: Qemu): Job {
    qemu.runs = false;
    this.write(guest, qemu, { state: 'paused', reason: 'user' });
    yield this.dice.between(100, 60_000);
    yield* this.unpause(guest, qemu);
  }

  /** When its leases are there, as the page for users says. */
  *unpause(guest: Guest, qemu: Qemu): Job {
    while (qemu.process.isAlive && this.missing(qemu).length > 0) yield 1000;
    this.resume(qemu);
    qemu.reason = 'unpaused';
    this.write(guest, qemu, { state: 'running' });
    this.count('resumed');
  }

  *plug(guest: Guest, qemu: Qemu): Job {
    const own = [...qemu.disks].find((disk) => disk.startsWith('x'));
    if (own === undefined) qemu.disks.add(`x${this.count('plugged')}`);
    else qemu.disks.delete(own);
    this.write(guest, qemu, { state: 'running' });
    yield 100;
  }

  /** libvirtd was restarted. */
  *reconnect(guest: Guest, qemu: Qemu): Job {
    if (yield* this.hook(qemu.host, 'reconnect', guest, [...qemu.disks])) return;
    assert.ok(qemu.hasLost || !qemu.process.isAlive, 'it has its leases');
    yield* this.cleanUp(guest, qemu);
  }

  /** What its keeper does not hold. */
  missing(qemu: Qemu): readonly string[] {
    const { sanlock } = qemu.host;
    const pid = qemu.host.keeperOf(qemu.process.uuid)?.pid ?? -1;
    return [...qemu.disks].filter((disk) => {
      const mode = sanlock.modeOf(leaseNameOf(disk), pid);
      return mode !== (isShared(disk) ? 'shared' : 'exclusive');
    });
  }

  #suspend(host: SimHost, uuid: string): boolean {
    const guest = this.guests.find((one) => one.uuid === uuid);
    if (guest === undefined || guest.isBusy) return false;
    const qemu = this.qemusOf(guest).find((one) => one.host === host);
    if (qemu === undefined) return false;
    qemu.runs = false;
    this.write(guest, qemu, { state: 'paused', reason: 'user' });
    this.count('paused');
    return true;
  }

  *#alone(guest: Guest, job: Job): Job {
    guest.isBusy = true;
    yield* job;
    guest.isBusy = false;
  }

  /** What libvirt, or its user, does next with a guest. */
  act(guest: Guest): void {
    if (guest.isBusy) return;
    const [qemu] = this.qemusOf(guest);
    const { dice } = this;
    const job = (one: Job) => this.run(this.#alone(guest, one));
    if (qemu === undefined) {
      if (!this.isBusy) return;
      const isAlone = guest.disks.some((disk) => !isShared(disk));
      if (isAlone && dice.chance(0.2)) job(this.#twice(guest));
      else job(this.start(guest, dice.pick(this.hosts)));
      return;
    }
    if (!qemu.process.isAlive) job(this.cleanUp(guest, qemu));
    else if (!qemu.runs) job(this.unpause(guest, qemu));
    else if (this.isBusy) job(this.#any(guest, qemu));
  }

  #any(guest: Guest, qemu: Qemu): Job {
    const { dice } = this;
    if (dice.chance(0.4)) return this.migrate(guest, qemu);
    if (dice.chance(0.3)) return this.pause(guest, qemu);
    if (dice.chance(0.3)) return this.plug(guest, qemu);
    if (dice.chance(0.3)) return this.reconnect(guest, qemu);
    if (dice.chance(0.5)) qemu.process.kill();
    return this.cleanUp(guest, qemu);
  }

  /** On both hosts at once. */
  *#twice(guest: Guest): Job {
    let left = this.hosts.length;
    const one = function* (job: Job): Job {
      yield* job;
      left--;
    };
    for (const host of this.hosts) this.run(one(this.start(guest, host)));
    while (left > 0) yield 100;
  }

  /** Something breaks. */
  fault(): void {
    const { dice } = this;
    const host = dice.pick(this.hosts);
    const { killed, losses } = this.#faults;
    if (dice.chance(killed)) this.#killGuard(host);
    if (dice.chance(killed)) this.#killKeepers(host);
    if (dice.chance(killed)) host.restartSanlock(dice.between(500, 5000));
    if (!dice.chance(losses) || !host.sanlock.joined) return;
    for (const qemu of this.qemus) {
      if (qemu.host !== host) continue;
      qemu.hasLost = true;
      qemu.isExcused ||= host.keeperOf(qemu.process.uuid) === null || this.missing(qemu).length > 0;
    }
    this.count('lost');
    host.loseLockspace(dice.between(1000, 200_000));
  }

  #killGuard(host: SimHost): void {
    host.killGuard();
    if (this.dice.chance(0.3)) this.#killKeepers(host);
    this.clock.after(this.dice.between(200, 3000), () => {
      if (!host.hasGuard && this.dice.chance(0.2)) this.#loseRecords(host);
      host.startGuard();
    });
  }

  /** What neither a keeper nor libvirt knows would be known by nobody. */
  #loseRecords(host: SimHost): void {
    if (host.sanlock.orphans.size > 0) return;
    for (const { isAlive, uuid } of host.keepers) if (isAlive) host.records.delete(uuid);
  }

  #killKeepers(host: SimHost): void {
    for (const keeper of host.keepers) if (this.dice.chance(0.5)) keeper.kill();
  }
}

function* chance(world: World, untilMs: number): Job {
  while (world.clock.nowMs() < untilMs) {
    world.act(world.dice.pick(world.guests));
    if (world.isBusy) world.fault();
    yield world.dice.between(10, 3000);
  }
}

function ended(world: World): void {
  for (const host of world.hosts) {
    const { sanlock } = host;
    const qemus = [...world.qemus].filter((one) => one.host === host);
    for (const qemu of qemus) {
      const missing = world.missing(qemu);
      assert.deepEqual(missing, [], `${qemu.process.uuid.at(-1)} runs without its leases`);
    }
    const pids = new Set(qemus.map((qemu) => host.keeperOf(qemu.process.uuid)?.pid));
    assert.ok(
      sanlock.pidsWithTokens().every((pid) => pids.has(pid)),
      'a keeper has leases still',
    );
    assert.deepEqual([...sanlock.orphans], [], 'orphans');
    assert.equal([...host.keepers].filter(({ isAlive }) => isAlive).length, qemus.length);
    assert.equal(host.records.size, qemus.length, 'records');
  }
}

function simulated(seed: number, faults: Faults): World {
  const world = new World(seed, faults);
  const from = world.clock.nowMs();
  world.run(chance(world, from + BUSY_MS + QUIET_MS));
  try {
    world.clock.runUntil(from + BUSY_MS);
    world.isBusy = false;
    world.clock.runUntil(from + BUSY_MS + QUIET_MS);
    ended(world);
  } catch (error) {
    const at = (world.clock.nowMs() - from) / 1000;
    const reason = error instanceof Error ? error.stack : error;
    throw new Error(`seed ${seed}, after ${at} s: ${reason}`);
  }
  return world;
}

test('whatever happens to guards, keepers and sanlock, a disk has one writer', () => {
  const done = new Map<string, number>();
  const seeds = Array.from({ length: SEEDS }, (_, n) => FIRST + n);
  for (const seed of [...FOUND, ...seeds]) {
    const killed = seed % 2 === 0 ? 0 : 0.03;
    const lost = seed % 3 === 0 ? 0 : 0.01;
    const losses = seed % 4 === 0 ? 0.003 : 0;
    const world = simulated(seed, { killed, lost, losses });
    for (const [what, n] of world.done) done.set(what, (done.get(what) ?? 0) + n);
  }
  for (const what of ['refused', 'migrated', 'resumed', 'hung', 'lost', 'paused']) {
    assert.ok((done.get(what) ?? 0) > 0, what);
  }
});
