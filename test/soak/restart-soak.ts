import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Daemon, Host } from '../../src/rig/host.ts';
import { pause, until } from '../../src/rig/run.ts';
import type { Dice } from '../../src/sim/kernel/dice.ts';
import {
  CONTENDED_MS,
  growth,
  type HostLeaseWatch,
  lookAtLogs,
  lookAtRunFolders,
  lookAtUsers,
  lookAtWatchdog,
  type Size,
  sizeOfDaemon,
  UNCONTENDED,
} from './checks.ts';
import { LvmUsers, locksOf, makeVolumes } from './lvm-users.ts';
import { carryOut, chooseOutage, type Outage, outageText } from './outages.ts';
import { dutyAgeS, leasesOf, lookAtOther, notServing } from './service.ts';
import type { SoakWorld } from './soak-world.ts';
import { checkAllSteps, longestGapMs } from './steps.ts';
import { guest, ownCounter, pythonCounter, thief, type User } from './users.ts';
import { Verdict } from './verdict.ts';

/** All daemons are started again when the older host lease is so old, of 8 io timeouts. */
const START_SHARE = 0.4;
/** None is ended while a host lease is older than this. */
const END_SHARE = 0.3;
const LOOK_MS = 250;
const LOOK_AT_HOSTS_MS = 2000;
/** To serve again on a busy machine; a minute of it after lease processes were killed as well. */
const SERVES_MS = 150_000;
const WAIT_MS = 60_000;

const COUNTED = [
  { name: 'c1', isInValueBlock: false },
  { name: 'c2', isInValueBlock: false },
  { name: UNCONTENDED, isInValueBlock: false },
  { name: 'x', isInValueBlock: false },
  { name: 'y', isInValueBlock: false },
  { name: 'v', isInValueBlock: true },
] as const;

/**
 * Of counters; then those of guests of host 1, one of host 2, one that is plugged in and out, and
 * one that is shared.
 */
export const SOAK_LEASES = [
  'c1',
  'c2',
  UNCONTENDED,
  'x',
  'y',
  'v',
  'g1',
  'g2',
  'g3',
  'k1',
  'hot',
  'sh',
] as const;

interface Guest {
  readonly user: User;
  readonly leases: readonly string[];
}

/** The users of both hosts, the outages of host 1, and the eyes on all of it. */
export class RestartSoak {
  readonly verdict = new Verdict((line) => this.#log(line));
  readonly #world: SoakWorld;
  readonly #dice: Dice;
  readonly #seed: string;
  readonly #daemons: readonly Daemon[];
  readonly #lvm: LvmUsers;
  readonly #counters: User[] = [];
  readonly #others: User[] = [];
  readonly #guests: Guest[] = [];
  #locks: readonly string[] = [];
  #watches: readonly HostLeaseWatch[] = [];
  #endMs = Number.POSITIVE_INFINITY;
  #rounds = 0;
  readonly #ends = new Map<string, number>();
  readonly #sizes = new Map<Daemon, Size[]>();
  #starts = 0;
  #carried = 0;
  #longestServiceMs = 0;
  #plugged = 0;

  /** `daemons`: those that are ended. */
  constructor(
    world: SoakWorld,
    of: { readonly dice: Dice; readonly seed: string; readonly daemons: readonly Daemon[] },
  ) {
    this.#daemons = of.daemons;
    this.#world = world;
    this.#dice = of.dice;
    this.#seed = of.seed;
    const isOver = () => this.#isOver;
    this.#lvm = new LvmUsers(world.rig, { verdict: this.verdict, isOver });
  }

  get #isOver(): boolean {
    return !this.verdict.isGood || performance.now() > this.#endMs;
  }

  get #first(): Host {
    return this.#world.rig.host(1);
  }

  /** Every user of both hosts has what it is to have. */
  async prepare(): Promise<void> {
    const { rig, places } = this.#world;
    await this.#world.start();
    await makeVolumes(rig);
    this.#locks = await locksOf(rig, this.#first);
    const [a, b] = [rig.host(1), rig.host(2)];
    await this.#guest(a, 'guest-1', ['g1', 'g2']);
    await this.#guest(a, 'guest-2', ['g3']);
    await this.#guest(b, 'guest-3', ['k1']);
    for (const host of rig.hosts) {
      const user = await guest(host, places, 'sharing');
      await this.#world.acquireFor(user, 'sh', 'shared');
      this.#guests.push({ user, leases: ['sh'] });
    }
    for (const lease of ['g1', 'g2', 'g3', 'sh']) this.#others.push(thief(b, places, lease));
    for (const lease of ['k1', 'sh']) this.#others.push(thief(a, places, lease));
    const seed = this.#seed;
    for (const host of rig.hosts) {
      this.#counters.push(pythonCounter(host, places, { lease: 'c1', number: 1, seed }));
      this.#counters.push(pythonCounter(host, places, { lease: 'c2', number: 1, seed }));
      this.#counters.push(ownCounter(host, places, { leases: ['x', 'y', 'v'], seed }));
    }
    this.#counters.push(pythonCounter(a, places, { lease: 'c1', number: 2, seed }));
    this.#counters.push(pythonCounter(a, places, { lease: UNCONTENDED, number: 1, seed }));
    for (const counter of this.#counters) await counter.says('step', CONTENDED_MS);
    this.#watches = rig.hosts.flatMap((host) => this.#world.hostLeases(host));
  }

  async #guest(host: Host, name: string, leases: readonly string[]): Promise<void> {
    const user = await guest(host, this.#world.places, name);
    for (const lease of leases) await this.#world.acquireFor(user, lease);
    this.#guests.push({ user, leases });
  }

  async run(minutes: number): Promise<void> {
    this.#endMs = performance.now() + minutes * 60_000;
    await Promise.all([
      this.#look(),
      this.#lookAtHosts(),
      this.#plug(),
      this.#outages(),
      this.#lvm.run(this.#dice.fork('lvm')),
    ]);
  }

  async #look(): Promise<void> {
    const users = [...this.#counters, ...this.#others, ...this.#guests.map(({ user }) => user)];
    while (!this.#isOver) {
      for (const watch of this.#watches) watch.look(this.verdict);
      lookAtUsers(users, this.verdict);
      lookAtRunFolders(this.#first, this.verdict);
      if (this.#world.device !== null) {
        lookAtWatchdog(this.#world.device, this.#first, this.verdict);
      }
      await pause(LOOK_MS);
    }
  }

  async #lookAtHosts(): Promise<void> {
    const [a, b] = [this.#world.rig.host(1), this.#world.rig.host(2)];
    while (!this.#isOver) {
      for (const lockspace of [this.#world.places.lockspace, `lvm_${this.#world.rig.vg}`]) {
        await lookAtOther(b, a, lockspace, this.verdict);
      }
      await pause(LOOK_AT_HOSTS_MS);
    }
  }

  /** A disk of a guest is plugged in and out, by its pid; whether a daemon is there or not. */
  async #plug(): Promise<void> {
    const dice = this.#dice.fork('plug');
    const resource = this.#world.places.resource('hot');
    const [first] = this.#guests;
    if (first === undefined) return;
    const { host, pid } = first.user;
    const ask = async (action: 'acquire' | 'release') => {
      const words = ['client', action, '-r', resource, '-p', `${pid}`];
      return (await host.run('/usr/sbin/sanlock', words)).stdout;
    };
    while (!this.#isOver) {
      const plugged = await ask('acquire');
      if (/done (0|-17)\b/.test(plugged)) this.#plugged++;
      await pause(dice.between(0, 3000));
      while (!this.#isOver && !/done (0|-1)\b/.test(await ask('release'))) await pause(100);
      await pause(dice.between(0, 1000));
    }
  }

  async #outages(): Promise<void> {
    while (!this.#isOver) {
      await this.#calm();
      if (this.#isOver) break;
      const outage = chooseOutage(this.#dice, this.#daemons);
      this.#rounds++;
      this.#log(`round ${this.#rounds}: ${outageText(outage)}`);
      try {
        await this.#outage(outage);
        if (outage.restMs !== null) {
          await this.#serves();
          await pause(outage.restMs);
        }
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        this.verdict.fail(`round ${this.#rounds} (${outageText(outage)}): ${reason}`);
      }
    }
    if (this.verdict.isGood) await this.#serves().catch((error) => this.verdict.fail(`${error}`));
  }

  /** Of the host leases of host 1 on the disk, and of what its wdmd was told. */
  async #oldestS(): Promise<number> {
    const duty = await dutyAgeS(this.#first, this.#allowedS(1));
    return Math.max(duty, ...this.#watches.slice(0, 2).map((watch) => watch.ageS()));
  }

  #allowedS(share: number): number {
    return share * 8 * this.#world.rig.ioTimeoutS;
  }

  /** Both memberships of host 1 are renewed as they should. */
  async #calm(): Promise<void> {
    const isCalm = async () => this.#isOver || (await this.#oldestS()) < this.#allowedS(END_SHARE);
    await until('the renewals of host-1 to be young', isCalm, { withinMs: WAIT_MS });
  }

  async #outage(outage: Outage): Promise<void> {
    const startedMs = performance.now();
    const allowedMs = Math.max(0, this.#allowedS(START_SHARE) - (await this.#oldestS())) * 1000;
    const leftMs = () => allowedMs - (performance.now() - startedMs);
    await carryOut(outage, this.#first, leftMs, {
      ended: (daemon, how) => this.#ended(daemon, how),
      started: (daemon) => this.#started(daemon),
    });
  }

  #ended(daemon: Daemon, how: string): void {
    const what = `${daemon} ${how}`;
    this.#ends.set(what, (this.#ends.get(what) ?? 0) + 1);
    this.#log(what);
  }

  #started(daemon: Daemon): void {
    this.#starts++;
    this.#log(`${daemon} started`);
  }

  /** Everything that host 1 had is there again. */
  async #serves(): Promise<void> {
    const startedMs = performance.now();
    const of = { locks: this.#locks, hasWatchdog: this.#world.device !== null };
    let lacking: string | null = null;
    const serves = async () => {
      lacking = await notServing(this.#first, of);
      return lacking === null || !this.verdict.isGood;
    };
    try {
      await until('host-1 to serve', serves, { withinMs: SERVES_MS, everyMs: 200 });
    } catch {
      throw new Error(`host-1 does not serve ${SERVES_MS / 1000} s later: ${lacking}`);
    }
    const tookMs = performance.now() - startedMs;
    this.#longestServiceMs = Math.max(this.#longestServiceMs, tookMs);
    await this.#lookAtGuests();
    const leases = await leasesOf(this.#first);
    this.#carried += leases;
    this.#log(`serves after ${(tookMs / 1000).toFixed(1)} s, ${leases} leases`);
    for (const daemon of ['sanlock', 'lvmlockd', 'wdmd'] as const) {
      const sizes = this.#sizes.get(daemon) ?? [];
      this.#sizes.set(daemon, [...sizes, sizeOfDaemon(this.#first.pid(daemon))]);
    }
  }

  async #lookAtGuests(): Promise<void> {
    for (const { user, leases } of this.#guests) {
      const words = ['client', 'inquire', '-p', `${user.pid}`];
      let held = '';
      const isTold = async () => {
        held = (await user.host.run('/usr/sbin/sanlock', words)).stdout;
        return !/done -16\b/.test(held); // while something is plugged in or out
      };
      await until(`what ${user.name} holds`, isTold, { withinMs: WAIT_MS });
      const missing = leases.find((lease) => !held.includes(`:${lease}:`));
      if (missing !== undefined) {
        throw new Error(`${user.name} has no lease ${missing} any more: ${held.trim()}`);
      }
    }
  }

  /** All users are killed, and their steps compared. @returns the figures of the run, in a line */
  async finish(): Promise<string> {
    await Promise.all(this.#counters.map((counter) => counter.kill()));
    const { places, rig } = this.#world;
    const steps = checkAllSteps(this.#counters, places, COUNTED, this.verdict);
    const lvSteps = this.#lvm.checkSteps();
    for (const host of rig.hosts) lookAtLogs(host, rig.dir, this.verdict);
    for (const [daemon, sizes] of this.#sizes) {
      const more = growth(sizes);
      if (more !== null) this.verdict.fail(`${daemon} of host-1 has grown: ${more}`);
    }
    const { figures } = this.#lvm;
    const alone = this.#counters.filter((user) => user.counts.includes(UNCONTENDED));
    const seconds = (ms: number) => (ms / 1000).toFixed(1);
    const ages = this.#watches.map((watch) => `${watch.name} ${watch.longestAgeS.toFixed(1)} s`);
    const again = this.#counters.reduce((sum, user) => sum + user.saying('again').length, 0);
    const refused = this.#others.reduce(
      (sum, user) => sum + Number(user.saying('refused').at(-1)?.value ?? 0),
      0,
    );
    return [
      `${this.#rounds} outages (${[...this.#ends].map(([what, n]) => `${n} ${what}`).join(', ')})`,
      `${this.#starts} starts, ${this.#carried} leases carried over`,
      `${steps} steps and ${lvSteps} under LV locks: none lost`,
      `${again} leases taken back, ${this.#plugged} plugged in, ${refused} refused to others`,
      `lvm: ${figures.done} done, ${figures.refused} refused, ${figures.failed} failed`,
      `longest lvm command ${seconds(figures.longestMs)} s`,
      `longest gap of a user ${seconds(longestGapMs(this.#counters))} s`,
      `of one alone with its lease ${seconds(longestGapMs(alone))} s`,
      `longest until all served ${seconds(this.#longestServiceMs)} s`,
      `longest without renewal: ${ages.join(', ')}`,
    ].join('; ');
  }

  #log(line: string): void {
    const path = join(this.#world.places.dir, 'rounds.log');
    appendFileSync(path, `${(performance.now() / 1000).toFixed(1)} ${line}\n`);
  }
}
