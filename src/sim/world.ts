import { BrokenInvariant } from '../base/assert.ts';
import { DaemonSite } from './cluster/daemon-site.ts';
import { LeaseHost } from './cluster/lease-host.ts';
import { LeaseSite } from './cluster/lease-site.ts';
import type { Site } from './cluster/site.ts';
import { STORAGE_FAULTS, type StorageFaults } from './faults/schedule.ts';
import { type StrayKind, StraySectors } from './faults/stray-sectors.ts';
import { InvariantChecker } from './invariants/checker.ts';
import type { Claim, Incarnation } from './invariants/claims.ts';
import { Violation } from './invariants/violation.ts';
import { SimClock } from './kernel/clock.ts';
import { Dice } from './kernel/dice.ts';
import { type Io, type IoFate, PROMPT, SimStorage } from './kernel/disk.ts';
import {
  AREA_BYTES,
  LOCKSPACE,
  LUN,
  resourceName,
  resourceOffset,
  sectorAt,
} from './kernel/layout.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly hosts: number;
  readonly resources: number;
  /** Events of the world until its end. */
  readonly steps: number;
  /** Between two wishes of one machine's users, on average. */
  readonly pauseMs: number;
  /** The slowest answer of the storage in fair weather. */
  readonly latencyMs: number;
  /** What may come when it is not fair. */
  readonly storageFaults: StorageFaults;
  /** How often a write that the storage refuses lands all the same. */
  readonly refusedWritesLand: number;
  /** Between two sectors that read as no host has written them, at most; 0 = there are none. */
  readonly straysMs: number;
  readonly strayKind: StrayKind;
  /** How often a user asks the owner to let go, and not for the lease. */
  readonly requests: number;
  /** How often a machine is told, by mistake, the host id of another. */
  readonly mistakenIds: number;
  /** So many of the hosts, the last ones, are images of the first ones: same host id and name. */
  readonly clones: number;
  /** Programs stand still or die by themselves, not only with their machine. */
  readonly stalls: boolean;
  /** How many of the machines run the whole daemon, front and all, and not a simple front. */
  readonly daemons: number;
  /** Between two misfortunes of one machine, at most. */
  readonly faultIntervalMs: number;
  /** A machine that was reset stays off for so long, at most. */
  readonly outageMs: number;
  /** How often wdmd's standing still comes with a daemon that is killed. */
  readonly killWithLag: number;
  /** How much faster or slower a host's clock may run: 0.0001 = 100 ppm. */
  readonly clockDrift: number;
  /** Run directories fill up at times; what a killed daemon wrote there is damaged at times. */
  readonly journals: 'sound' | 'full' | 'damaged';
  /** Keep every line of the trace, not only the last ones. */
  readonly traceAll: boolean;
}

/** The world of a seed, as far as nothing else is said. */
export function optionsOf(seed: number, wanted: Partial<WorldOptions> = {}): WorldOptions {
  const dice = new Dice(seed, 'options');
  return {
    seed,
    hosts: 2 + dice.below(5),
    resources: dice.pick([1, 1, 2, 3]),
    steps: 20_000,
    pauseMs: dice.pick([20, 200, 2000]),
    latencyMs: dice.pick([2, 20, 300]),
    storageFaults: STORAGE_FAULTS,
    refusedWritesLand: dice.pick([0, 0.3, 0.6]),
    mistakenIds: dice.pick([0, 0, 0.15]),
    faultIntervalMs: dice.pick([20_000, 80_000, 300_000]),
    daemons: dice.pick([0, 0.5, 1]),
    outageMs: dice.pick([60_000, 60_000, 600_000]),
    killWithLag: 0.2,
    clones: 0,
    stalls: true,
    clockDrift: 0.0001,
    straysMs: dice.pick([0, 5000, 60_000]),
    strayKind: 'any',
    requests: dice.pick([0, 0.06]),
    journals: dice.pick(['sound', 'sound', 'full', 'damaged']),
    traceAll: false,
    ...wanted,
  };
}

export interface Outcome {
  readonly options: WorldOptions;
  readonly steps: number;
  readonly virtualMs: number;
  readonly grants: number;
  readonly answers: ReadonlyMap<string, number>;
  /** Leader writes of dead hosts that landed over newer ones: allowed, and survived. */
  readonly fallen: number;
  readonly broken: { readonly item: number | null; readonly text: string } | null;
  readonly trace: readonly string[];
}

const IO_TIMEOUTS_S = [1, 2, 3, 10] as const;
const TRACE_LINES = 400;
/** Spec 10 §6: joining at most 14·o + 60 s, taking over at most 15·o + 60 s, with o <= 10 s. */
const RECOVERY_MS = 420_000;

/** Hosts that share one LUN: their programs, their users, their misfortunes; from one seed. */
export class World {
  readonly options: WorldOptions;
  readonly dice: Dice;
  readonly clock: SimClock = new SimClock(1_000_000);
  readonly storage: SimStorage = new SimStorage();
  readonly checker: InvariantChecker;
  readonly #machines: Site[];
  readonly #strays: StraySectors;
  readonly #grantedMs = new WeakMap<Claim, number>();
  readonly #lun: Uint8Array;
  readonly #trace: string[] = [];
  readonly #answers = new Map<string, number>();
  #grants = 0;
  #steps = 0;
  /** The end of a run: no new wishes, no new misfortunes. */
  isQuiet = false;

  constructor(options: WorldOptions) {
    this.options = options;
    this.dice = new Dice(options.seed, 'world');
    this.#lun = this.storage.add(LUN, (1 + options.resources) * AREA_BYTES);
    this.#format();
    this.checker = new InvariantChecker(this.storage, this.clock);
    const say = (text: string) => this.say('lun', text);
    this.#strays = new StraySectors({ ...this, ...options, dice: this.dice.fork('strays'), say });
    const common = this.dice.pick([...IO_TIMEOUTS_S]);
    const mixed = this.dice.chance(0.3);
    this.#machines = Array.from({ length: options.hosts }, (_, index) => {
      const ioTimeoutS = mixed ? this.dice.pick([...IO_TIMEOUTS_S]) : common;
      const isClone = index >= options.hosts - options.clones;
      const hostId = 1 + (isClone ? options.hosts - 1 - index : index);
      const of = { hostId, hostName: `host-${hostId}`, ioTimeoutS, isClone };
      return this.dice.chance(options.daemons) ? new DaemonSite(this, of) : new LeaseSite(this, of);
    });
  }

  #format(): void {
    const { storage, clock, options } = this;
    const host = new LeaseHost({ name: 'format', storage, clock, plan: PROMPT });
    const common = { sizes: null, writeTimeoutMs: 60_000 };
    const area = { path: LUN, offset: 0 };
    host.ask({ op: 'writeLockspace', area, name: LOCKSPACE, ioTimeoutS: 1, ...common });
    for (let n = 0; n < options.resources; n++) {
      host.ask({
        op: 'writeResource',
        area: { path: LUN, offset: resourceOffset(n) },
        name: { lockspaceName: LOCKSPACE, resourceName: resourceName(n) },
        numHosts: Math.max(6, options.hosts),
        clear: false,
        ...common,
      });
    }
  }

  run(): Outcome {
    let broken: Outcome['broken'] = null;
    try {
      for (const machine of this.#machines) this.#begin(machine);
      this.#strays.begin(this.options.straysMs, this.options.strayKind);
      while (this.#steps < this.options.steps && this.clock.step()) this.#steps++;
      this.#recover();
    } catch (error) {
      if (error instanceof Violation) broken = { item: error.item, text: error.message };
      else if (error instanceof BrokenInvariant) broken = { item: null, text: stackOf(error) };
      else throw error;
    }
    return {
      options: this.options,
      steps: this.#steps,
      virtualMs: this.clock.nowMs() - 1_000_000,
      grants: this.#grants,
      answers: this.#answers,
      fallen: this.checker.leases.fallen,
      broken,
      trace: this.#trace,
    };
  }

  #begin(machine: Site): void {
    this.clock.after(this.dice.between(0, 20_000), () => machine.hardware.boot());
    this.#misfortune(machine, this.dice.fork(`misfortune ${machine.name}`));
  }

  #misfortune(machine: Site, dice: Dice): void {
    this.clock.after(dice.between(0.02, 1) * this.options.faultIntervalMs, () => {
      if (this.isQuiet) return;
      const what = dice.next();
      if (what < 0.25) machine.hardware.armCrashPoint();
      else if (what < 0.4) machine.hardware.crash('by a power cut');
      else if (what > 0.8 || !this.options.stalls) machine.leave();
      else if (what < 0.55) machine.killProgram();
      else if (what < 0.7) machine.pauseProgram(dice.between(0, 1) ** 3 * 200_000);
      else machine.pauseAll(dice.between(0, 1) ** 3 * 200_000);
      this.#misfortune(machine, dice);
    });
  }

  /** Item 12: whatever state the hosts left behind, one that comes back gets every lease in time. */
  #recover(): void {
    this.isQuiet = true;
    this.#strays.heal();
    for (const machine of this.#machines) {
      machine.hardware.weather.heal();
      machine.hardware.crash('at the end of the run');
    }
    const endMs = this.clock.nowMs() + 200_000 + this.options.outageMs + RECOVERY_MS;
    const open = new Set(Array.from({ length: this.options.resources }, (_, n) => n));
    const first = this.#machines[0];
    if (first === undefined) return;
    this.say('world', 'heals; host 1 must get every lease');
    const asked = new Set<number>();
    while (open.size > 0 && this.clock.nowMs() < endMs && this.clock.step()) {
      const incarnation = first.incarnation;
      if (incarnation === null) continue;
      for (const resource of open) {
        if (this.checker.claims.find(incarnation, resource) !== null) open.delete(resource);
        else if (!asked.has(resource)) {
          asked.add(resource);
          this.clock.after(1000, () => asked.delete(resource));
          first.want(incarnation, resource);
        }
      }
    }
    if (open.size === 0) return;
    throw new Violation(12, `host 1 could not get R${[...open].join(' R')} after everybody's end`);
  }

  granted(claim: Claim): void {
    this.#grants++;
    if (!this.#grantedMs.has(claim)) this.#grantedMs.set(claim, this.clock.nowMs());
    this.checker.granted(claim.incarnation, claim.resource, this.#lun);
  }

  /** A leader that could not be read while it was held may still name it (spec 10 §4.6). */
  released(claim: Claim): void {
    if (this.#strays.lastOfLeader(claim.resource) >= (this.#grantedMs.get(claim) ?? 0)) return;
    this.checker.leases.checkReleased(claim, this.#lun);
  }

  claimsOf(incarnation: Incarnation): Claim[] {
    const found: Claim[] = [];
    for (let n = 0; n < this.options.resources; n++) {
      const claim = this.checker.claims.find(incarnation, n);
      if (claim !== null) found.push(claim);
    }
    return found;
  }

  answered(incarnation: Incarnation, what: string, outcome: string): void {
    this.say(incarnation.label, `${what} -> ${outcome}`);
    const kind = `${what.replace(/ R\d+/, '')}: ${outcome.replace(/, lver.*| \(.*/, '')}`;
    this.#answers.set(kind, (this.#answers.get(kind) ?? 0) + 1);
  }

  traced(io: Io, fate: IoFate): IoFate {
    if (io.write) this.say(io.host, `writes ${whereIs(io.offset)} ${fateText(fate)}`);
    return fate;
  }

  say(who: string, what: string): void {
    const atS = ((this.clock.nowMs() - 1_000_000) / 1000).toFixed(3).padStart(10);
    this.#trace.push(`${atS} ${who.padEnd(6)} ${what}`);
    if (!this.options.traceAll && this.#trace.length > 2 * TRACE_LINES) {
      this.#trace.splice(0, TRACE_LINES);
    }
  }
}

function whereIs(offset: number): string {
  const at = sectorAt(offset);
  if (at.kind === 'hostLease') return `host lease ${at.hostId}`;
  if (at.kind === 'block') return `R${at.resource} block[${at.hostId}]`;
  return at.kind === 'nothing' ? `sector at ${offset}` : `R${at.resource} ${at.kind}`;
}

function fateText(fate: IoFate): string {
  if (fate.errno !== null) {
    const { refusedLandsInMs: inMs } = fate;
    const lands = inMs === undefined ? '' : `, lands in ${Math.round(inMs)} ms`;
    return `(errno ${fate.errno}${lands})`;
  }
  if (fate.landsInMs === Infinity) return '(lost)';
  if (fate.answersInMs === Infinity) return '(lands, answer lost)';
  return fate.landsInMs > 100 ? `(lands in ${Math.round(fate.landsInMs)} ms)` : '';
}

function stackOf(error: Error): string {
  return error.stack ?? error.message;
}
