import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRNO } from '../base/errno.ts';
import { Dice } from '../sim/kernel/dice.ts';
import { SANLOCK_CODES } from '../wire/sanlock/codes.ts';
import type {
  Demand,
  GuestEvent,
  GuestState,
  GuestStatus,
  Outcome,
  Verdict,
} from './guest-state.ts';
import { newGuest, nextTickMs, stepGuest } from './guest-step.ts';
import type { DiskLease } from './lease-names.ts';
import type { HostLife, LeaseEffect, LeaseReply, LeaseSteps, Mode, Seen } from './lease-steps.ts';

/**
 * Live migrations between hosts, step by step in every order that chance finds, with aborts and
 * kills, and with answers of sanlock that are lost: the guest never runs without its leases, never
 * on two hosts with one of them exclusive, and a third host never gets one exclusively meanwhile,
 * nor runs the guest, whatever its libvirt has announced to it.
 */
const SEEDS = Number(process.env['GUARD_SEEDS'] ?? 100);
const UUID = 'guest';
const SOON_MS = 90_000;
const LEASES: readonly DiskLease[] = (['r1', 'r2', 'both'] as const).map((name) => ({
  ...{ name, key: name, target: 'vda' },
  mode: name === 'both' ? 'shared' : 'exclusive',
}));

/** What sanlock grants, in a moment; checked against the daemons by the interop tests. */
class Leases {
  readonly #holders = new Map<string, Map<number, Mode>>();
  readonly #lenders = new Map<string, HostLife & { readonly uuid: string }>();
  /** Held by a host whose keeper is gone: 'host name'. */
  readonly #orphans = new Set<string>();

  holdersOf(name: string): Map<number, Mode> {
    const holders = this.#holders.get(name) ?? new Map<number, Mode>();
    this.#holders.set(name, holders);
    return holders;
  }

  apply(host: number, effect: LeaseEffect, uuid: string): Omit<LeaseReply, 'nowMs'> {
    switch (effect.kind) {
      case 'ensure':
      case 'sleep':
        return { code: 0 };
      case 'acquire':
        return { code: this.#adopt(host, effect) ?? this.acquire(host, effect.name, effect.mode) };
      case 'convert':
        return { code: this.#convert(host, effect.name, effect.mode) };
      case 'release': {
        if (this.#orphans.has(`${host} ${effect.name}`)) return { code: -ERRNO.EPERM };
        return { code: this.holdersOf(effect.name).delete(host) ? 0 : -ERRNO.EPERM };
      }
      case 'releaseOrphan': {
        if (!this.#orphans.delete(`${host} ${effect.name}`)) return { code: 0 };
        this.holdersOf(effect.name).delete(host);
        return { code: 1 };
      }
      case 'setLender': {
        const by = { uuid, hostId: BigInt(host), generation: 1n };
        this.#lenders.set(effect.lease.name, by);
        return { code: 0 };
      }
      case 'getLender': {
        const by = this.#lenders.get(effect.name) ?? null;
        const others = [...this.holdersOf(effect.name).keys()]
          .filter((one) => one !== host)
          .map((one) => ({ hostId: BigInt(one), generation: 1n }));
        return { code: 0, lent: { by, others } };
      }
      case 'look':
        return { code: 0, seen: this.#seen(host, effect.names) };
      default:
        throw new Error('no such effect');
    }
  }

  #seen(host: number, names: readonly string[]): Seen {
    const held = new Map<string, Mode>();
    const orphans = new Map<string, Mode>();
    for (const name of names) {
      const mode = this.holdersOf(name).get(host);
      const isOrphan = this.#orphans.has(`${host} ${name}`);
      if (mode !== undefined) (isOrphan ? orphans : held).set(name, mode);
    }
    return { held, orphans, byOthers: new Map(), isRegistered: true, isGone: false };
  }

  /** All that the keeper of a host has. */
  orphan(host: number): void {
    for (const [name, holders] of this.#holders) {
      if (holders.has(host)) this.#orphans.add(`${host} ${name}`);
    }
  }

  /** null: there is none. */
  #adopt(
    host: number,
    { name, mode, adopts }: Extract<LeaseEffect, { kind: 'acquire' }>,
  ): number | null {
    const orphan = `${host} ${name}`;
    if (!this.#orphans.has(orphan)) return null;
    if (!adopts || this.holdersOf(name).get(host) !== mode) return -ERRNO.EUCLEAN;
    this.#orphans.delete(orphan);
    return 0;
  }

  acquire(host: number, name: string, mode: Mode): number {
    const holders = this.holdersOf(name);
    if (holders.has(host)) return -ERRNO.EEXIST;
    const modes = [...holders.values()];
    const isFree = mode === 'exclusive' ? modes.length === 0 : !modes.includes('exclusive');
    if (!isFree) return SANLOCK_CODES.ACQUIRE_IDLIVE;
    holders.set(host, mode);
    return 0;
  }

  #convert(host: number, name: string, mode: Mode): number {
    const holders = this.holdersOf(name);
    if (!holders.has(host) || this.#orphans.has(`${host} ${name}`)) return -ERRNO.ENOENT;
    if (mode === 'exclusive' && holders.size > 1) return -ERRNO.EAGAIN;
    holders.set(host, mode);
    return 0;
  }
}

/** A host with its guard; its libvirt is the test. */
class Host {
  readonly id: number;
  readonly #world: World;
  #guest: GuestState = newGuest();
  #running: { readonly steps: LeaseSteps<Outcome>; next: LeaseEffect | null } | null = null;
  readonly verdicts = new Map<number, Verdict['kind']>();
  #keeperIsDue = false;
  #hasKeeper = false;
  /** What is under way began for a keeper that is gone. */
  #isForAnother = false;
  /** QEMU's CPUs run here. */
  runs = false;
  /** No migration brought the guest. */
  startsHere = false;
  /** The guard had QEMU ended before its CPUs ran. */
  wasEnded = false;

  constructor(id: number, world: World) {
    this.id = id;
    this.#world = world;
  }

  get isBusy(): boolean {
    return this.#running !== null || this.#dueMs !== null || this.#keeperIsDue;
  }

  /** null: none, or only the end of an announcement that nothing follows. */
  get #dueMs(): number | null {
    const dueMs = nextTickMs(this.#guest);
    return dueMs === null || dueMs > this.#world.nowMs + SOON_MS ? null : dueMs;
  }

  tell(event: GuestEvent): void {
    const at = { uuid: UUID, nowMs: this.#world.nowMs, isAnothers: () => false };
    for (const effect of stepGuest(this.#guest, event, at)) {
      if (effect.kind === 'work') this.#running = { steps: effect.steps, next: null };
      if (effect.kind === 'startKeeper') this.#keeperIsDue = true;
      if (effect.kind === 'verdict') this.verdicts.set(effect.hook, effect.verdict.kind);
      if (effect.kind === 'over') {
        this.#guest = newGuest();
        this.#hasKeeper = false;
      }
      if (effect.kind === 'notArrived') this.wasEnded = true;
      assert.notEqual(effect.kind, 'conflict', 'no disk is plugged here');
    }
  }

  demand(kind: Demand['kind']): number {
    const hook = this.#world.nextHook++;
    this.tell({ kind: 'demanded', demand: { hook, kind, leases: LEASES } });
    return hook;
  }

  status(of: Omit<GuestStatus, 'leases' | 'startsHere'>): void {
    const { startsHere } = this;
    this.tell({ kind: 'statusRead', status: { ...of, startsHere, leases: LEASES } });
  }

  /** Its keeper is killed; what is under way for it goes on, and is refused. */
  keeperKilled(): void {
    if (!this.#hasKeeper) return;
    this.#hasKeeper = false;
    this.#world.leases.orphan(this.id);
    this.#isForAnother = this.#running !== null;
    this.tell({ kind: 'keeperEnded' });
  }

  #reply(next: LeaseEffect | null): Omit<LeaseReply, 'nowMs'> {
    if (next === null || next.kind === 'ensure' || next.kind === 'sleep') return { code: 0 };
    if (this.#isForAnother && next.kind !== 'releaseOrphan' && next.kind !== 'look') {
      return { code: -ERRNO.ESRCH };
    }
    const reply = this.#world.leases.apply(this.id, next, UUID);
    // It was done, or refused, and nobody hears of it.
    return this.#world.losesAnswer() ? { code: -ERRNO.ETIMEDOUT, isUnsure: true } : reply;
  }

  /** One step of what is under way here. */
  go(): void {
    if (this.#keeperIsDue) {
      this.#keeperIsDue = false;
      this.#hasKeeper = true;
      this.tell({ kind: 'keeperStarted' });
      return;
    }
    if (this.#running === null) {
      const due = this.#dueMs;
      if (due === null) return;
      this.#world.nowMs = Math.max(this.#world.nowMs, due);
      this.tell({ kind: 'tick' });
      return;
    }
    const { steps, next } = this.#running;
    if (next?.kind === 'sleep') this.#world.nowMs += next.forMs;
    const reply = this.#reply(next);
    const turn = steps.next({ ...reply, nowMs: this.#world.nowMs });
    if (turn.done === true) {
      this.#running = null;
      this.#isForAnother = false;
      this.tell({ kind: 'worked', outcome: turn.value });
    } else {
      this.#running.next = turn.value;
    }
  }
}

/** The thief has no guard. */
const THIEF = 9;

class World {
  readonly leases = new Leases();
  /** A migration to it was announced, and never came; its user starts the guest there. */
  readonly third: Intruder | null;
  readonly hosts: readonly [Host, Host];
  readonly #dice: Dice;
  /** How often a keeper is killed, of each step. */
  readonly #killed: number;
  nowMs = 1000;
  nextHook = 1;
  stolen = 0;

  /** How often an answer of sanlock is lost. */
  readonly #lost: number;

  constructor(
    seed: string,
    of: { readonly killed: number; readonly lost: number; readonly hasThird?: boolean },
  ) {
    this.#dice = new Dice(seed, 'migration');
    this.#killed = of.killed;
    this.#lost = of.lost;
    this.hosts = [new Host(1, this), new Host(2, this)];
    this.third = of.hasThird === true ? new Intruder(new Host(3, this)) : null;
  }

  /** Some steps of the guards, and a third host that wants everything. */
  some(): void {
    for (let n = this.#dice.between(0, 12); n > 0; n--) this.step();
  }

  step(): void {
    const host = this.#dice.pick(this.hosts);
    if (this.#dice.chance(this.#killed)) host.keeperKilled();
    host.go();
    if (this.third !== null && this.#dice.chance(0.5)) this.third.go();
    this.#thief();
    this.check();
  }

  until(what: string, isTrue: () => boolean): void {
    for (let n = 0; n < 5000; n++) {
      if (isTrue()) return;
      this.step();
    }
    assert.fail(`in vain: ${what}`);
  }

  losesAnswer(): boolean {
    return this.chance(this.#lost);
  }

  /** A verdict that was not to be, but for an answer that was lost. */
  granted(host: Host, hook: number): boolean {
    this.until('a verdict', () => host.verdicts.has(hook));
    const isGranted = host.verdicts.get(hook) === 'granted';
    const isExcused = this.#lost > 0 || this.third !== null;
    assert.ok(isGranted || isExcused, `${host.verdicts.get(hook)}`);
    return isGranted;
  }

  chance(p: number): boolean {
    return this.#dice.chance(p);
  }

  #thief(): void {
    for (const { name } of LEASES) {
      if (this.leases.acquire(THIEF, name, 'exclusive') !== 0) continue;
      assert.ok(!this.hosts.some(({ runs }) => runs), `a third host got ${name}`);
      this.leases.holdersOf(name).delete(THIEF);
      this.stolen++;
    }
  }

  check(): void {
    const third = this.third?.host;
    assert.ok(third?.runs !== true || !this.hosts.some(({ runs }) => runs), 'it runs twice');
    for (const host of this.hosts) {
      if (!host.runs) continue;
      for (const { name, mode } of LEASES) {
        const holders = this.leases.holdersOf(name);
        assert.ok(holders.has(host.id), `host ${host.id} runs without ${name}`);
        const others = [...holders.keys()].filter((one) => one !== host.id);
        if (mode === 'exclusive' && others.length > 0) {
          assert.equal(holders.get(host.id), 'shared', `${name} is exclusive on two hosts`);
        }
      }
    }
  }
}

/** libvirt takes half a second from a status to CPUs that run; sanlock a few milliseconds. */
const BOOT_STEPS = 10;

/** The libvirt of a third host. */
class Intruder {
  readonly host: Host;
  #hook: number | null = null;
  #isGranted = false;
  /** Of the guard, since libvirt wrote the first status. */
  #steps = 0;
  /** Starts that got their leases from a lender. */
  lent = 0;

  constructor(host: Host) {
    this.host = host;
    host.startsHere = true;
  }

  /** A start that is refused, or whose QEMU ends, is followed by another one. */
  go(): void {
    const { host } = this;
    const hook = this.#hook;
    if (hook === null) {
      host.tell({ kind: 'announced' });
      this.#hook = host.demand('start');
      return;
    }
    if (this.#isGranted && (host.wasEnded || host.runs)) this.#over();
    else if (!this.#isGranted && host.verdicts.has(hook)) this.#answered(hook);
    else if (this.#isGranted && this.#steps > BOOT_STEPS) host.runs = true;
    else {
      this.#steps++;
      host.go();
    }
  }

  #answered(hook: number): void {
    this.#isGranted = this.host.verdicts.get(hook) === 'granted';
    if (!this.#isGranted) {
      this.#over();
      return;
    }
    this.lent++;
    this.#steps = 0;
    this.host.status({ isRunning: false, migration: null }); // before its QEMU runs
  }

  #over(): void {
    const { host } = this;
    host.runs = false;
    host.wasEnded = false;
    this.#hook = null;
    this.#isGranted = false;
    host.tell({ kind: 'ended' });
  }
}

const QUIET = { isRunning: true, migration: null } as const;

function started(world: World, host: Host): void {
  while (!world.granted(host, host.demand('start'))) host.tell({ kind: 'ended' });
  host.runs = true;
  host.startsHere = true;
  host.status(QUIET);
}

/** @returns where it runs afterwards */
function migrated(world: World, source: Host, target: Host): Host {
  source.status({ isRunning: true, migration: 'out' });
  world.some();
  if (world.chance(0.1)) return aborted(world, source, null);
  target.tell({ kind: 'announced' });
  world.some();
  const hook = target.demand('start');
  if (!world.granted(target, hook)) return aborted(world, source, target);
  world.some();
  target.startsHere = false;
  target.status({ isRunning: false, migration: 'in' });
  world.some();
  if (world.chance(0.2)) return aborted(world, source, target);
  source.runs = false; // paused: the target has all of its memory
  if (world.chance(0.1)) {
    world.some();
    source.runs = true; // the target did not take over
    return aborted(world, source, target);
  }
  target.runs = true;
  const ends = [
    () => source.tell({ kind: 'ended' }),
    () => target.status({ isRunning: true, migration: 'in' }),
  ];
  if (world.chance(0.5)) ends.reverse();
  for (const end of ends) {
    world.some();
    end();
  }
  world.some();
  target.status(QUIET);
  return target;
}

function aborted(world: World, source: Host, target: Host | null): Host {
  const ends = [() => target?.tell({ kind: 'ended' }), () => source.status(QUIET)];
  if (world.chance(0.5)) ends.reverse();
  for (const end of ends) {
    world.some();
    end();
  }
  return source;
}

test('a guest migrates to and fro, and is never without its leases, nor with them twice', () => {
  let stolen = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const [killed, lost] = [seed % 2 === 0 ? 0 : 0.03, seed % 3 === 0 ? 0.1 : 0];
    const world = new World(`${seed}`, { killed, lost });
    try {
      let at = world.hosts[0];
      started(world, at);
      for (let n = 0; n < 4; n++) {
        const other = world.hosts.find((host) => host !== at) ?? at;
        at = migrated(world, at, other);
        // A host that it left may still be letting go when it comes back.
        if (world.chance(0.5)) world.some();
        else world.until('a quiet moment', () => world.hosts.every((host) => !host.isBusy));
      }
      world.until('an end', () => world.hosts.every((host) => !host.isBusy));
      for (const { name, mode } of LEASES) {
        assert.deepEqual([...world.leases.holdersOf(name)], [[at.id, mode]], name);
      }
      at.runs = false;
      at.tell({ kind: 'ended' });
      world.until('a release', () => world.hosts.every((host) => !host.isBusy));
      for (const { name } of LEASES) assert.equal(world.leases.holdersOf(name).size, 0, name);
      stolen += world.stolen;
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`);
    }
  }
  assert.ok(stolen > 0, 'the third host gets what nobody needs');
});

test('a third host with a stale announcement never runs the guest beside another', () => {
  let lent = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const world = new World(`third ${seed}`, { killed: 0, lost: 0, hasThird: true });
    const { third } = world;
    assert.ok(third !== null);
    try {
      let at = world.hosts[0];
      started(world, at);
      for (let n = 0; n < 4; n++) {
        at = migrated(world, at, world.hosts.find((host) => host !== at) ?? at);
        world.some();
      }
      lent += third.lent;
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`);
    }
  }
  assert.ok(lent > 0, 'what is lent is now and then got by the wrong host');
});
