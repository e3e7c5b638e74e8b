import { BrokenInvariant } from '../base/assert.ts';
import { SECOND_MS } from '../base/units.ts';
import { DaemonSite } from './cluster/daemon-site.ts';
import { LeaseHost } from './cluster/lease-host.ts';
import { LeaseSite } from './cluster/lease-site.ts';
import type { WorldOptions } from './cluster/options.ts';
import type { Site } from './cluster/site.ts';
import type { SiteSettings } from './cluster/site-world.ts';
import { scheduleHostFaults } from './faults/host-faults.ts';
import { StraySectors } from './faults/stray-sectors.ts';
import { InvariantChecker } from './invariants/checker.ts';
import type { Claim, Incarnation } from './invariants/claims.ts';
import { Violation } from './invariants/violation.ts';
import { SimClock } from './kernel/clock.ts';
import { Dice } from './kernel/dice.ts';
import { PROMPT, SimStorage } from './kernel/disk.ts';
import { AREA_BYTES, LOCKSPACE, LUN, resourceName, resourceOffset } from './kernel/layout.ts';
import { Users, type UsersWorld } from './workload/users.ts';

export interface Outcome {
  readonly options: WorldOptions;
  readonly steps: number;
  readonly virtualMs: number;
  readonly grants: number;
  readonly answers: ReadonlyMap<string, number>;
  /** Leaders that a late write put back: allowed, and repaired. */
  readonly staleLeaders: number;
  readonly broken: { readonly item: number | null; readonly text: string } | null;
  readonly trace: readonly string[];
}

const IO_TIMEOUTS_S = [1, 2, 3, 10] as const;
const START_MS = 1_000_000;
const TRACE_LINES = 400;
/** The hosts are powered on within this time. */
const FIRST_BOOTS_MS = 20_000;
/** Spec 10 §6: joining at most 14·o + 60 s, taking over at most 15·o + 60 s, with o <= 10 s. */
const RECOVERY_MS = 420_000;
/** From the first boot after the end of the run to the first join. */
const LONGEST_START_MS = 200_000;
const RETRY_ACQUIRE_MS = 1000;

/** A host of the world and its users. */
interface Member {
  readonly site: Site;
  readonly users: Users;
}

/** Hosts that share one LUN: their programs, their users, their faults; from one seed. */
export class World implements UsersWorld {
  readonly options: WorldOptions;
  readonly dice: Dice;
  readonly clock: SimClock = new SimClock(START_MS);
  readonly storage: SimStorage = new SimStorage();
  readonly checker: InvariantChecker;
  readonly #members: Member[];
  readonly #strays: StraySectors;
  readonly #grantedMs = new WeakMap<Claim, number>();
  readonly #lun: Uint8Array;
  readonly #trace: string[] = [];
  readonly #answers = new Map<string, number>();
  #grants = 0;
  #steps = 0;
  isQuiet = false;

  constructor(options: WorldOptions) {
    this.options = options;
    this.dice = new Dice(options.seed, 'world');
    this.#lun = this.storage.add(LUN, (1 + options.resources) * AREA_BYTES);
    this.#format();
    this.checker = new InvariantChecker(this.storage, this.clock);
    const log = (text: string) => this.log('lun', text);
    this.#strays = new StraySectors({ ...this, ...options, dice: this.dice.fork('strays'), log });
    const common = this.dice.pick([...IO_TIMEOUTS_S]);
    const mixed = this.dice.chance(0.3);
    this.#members = Array.from({ length: options.hosts }, (_, index) => {
      const ioTimeoutS = mixed ? this.dice.pick([...IO_TIMEOUTS_S]) : common;
      const isClone = index >= options.hosts - options.clones;
      const hostId = 1 + (isClone ? options.hosts - 1 - index : index);
      return this.#newMember({ hostId, hostName: `host-${hostId}`, ioTimeoutS, isClone });
    });
  }

  #newMember(settings: SiteSettings): Member {
    const hooks = {
      start: () => users.start(),
      resume: () => users.resume(),
      stop: () => users.stop(),
    };
    const site: Site = this.dice.chance(this.options.daemons)
      ? new DaemonSite(this, settings, hooks)
      : new LeaseSite(this, settings, hooks);
    const users = new Users(site, this, site.hardware.dice.fork('users'));
    return { site, users };
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
      for (const { site } of this.#members) this.#begin(site);
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
      virtualMs: this.clock.nowMs() - START_MS,
      grants: this.#grants,
      answers: this.#answers,
      staleLeaders: this.checker.leases.staleLeaders,
      broken,
      trace: this.#trace,
    };
  }

  #begin(site: Site): void {
    this.clock.after(this.dice.between(0, FIRST_BOOTS_MS), () => site.hardware.boot());
    scheduleHostFaults(site, {
      clock: this.clock,
      dice: this.dice.fork(`misfortune ${site.name}`),
      intervalMs: this.options.faultIntervalMs,
      stalls: this.options.stalls,
      isOver: () => this.isQuiet,
    });
  }

  /** Item 12: in whatever state the hosts ended, one that comes back gets every lease in time. */
  #recover(): void {
    this.isQuiet = true;
    this.#strays.heal();
    for (const { site } of this.#members) {
      site.hardware.storageFaults.heal();
      site.hardware.crash('at the end of the run');
    }
    const [first] = this.#members;
    if (first === undefined) return;
    this.log('world', 'heals; host 1 must get every lease');
    const open = new Set(Array.from({ length: this.options.resources }, (_, n) => n));
    this.#acquireAll(first, open);
    if (open.size === 0) return;
    throw new Violation(12, `host 1 could not get R${[...open].join(' R')} after everybody's end`);
  }

  /** @param open the resources, each taken out once it is acquired */
  #acquireAll({ site, users }: Member, open: Set<number>): void {
    const endMs = this.clock.nowMs() + LONGEST_START_MS + this.options.outageMs + RECOVERY_MS;
    const requested = new Set<number>();
    while (open.size > 0 && this.clock.nowMs() < endMs && this.clock.step()) {
      const { incarnation } = site;
      if (incarnation === null) continue;
      for (const resource of open) {
        if (this.checker.claims.find(incarnation, resource) !== null) open.delete(resource);
        else if (!requested.has(resource)) {
          requested.add(resource);
          this.clock.after(RETRY_ACQUIRE_MS, () => requested.delete(resource));
          users.acquire(incarnation, resource, { shared: false });
        }
      }
    }
  }

  granted(claim: Claim): void {
    this.#grants++;
    if (!this.#grantedMs.has(claim)) this.#grantedMs.set(claim, this.clock.nowMs());
    this.checker.granted(claim, this.#lun);
  }

  /** A leader that could not be read while it was held may still name it (spec 10 §4.6). */
  released(claim: Claim): void {
    if (this.#strays.lastOfLeader(claim.resource) >= (this.#grantedMs.get(claim) ?? 0)) return;
    this.checker.leases.checkReleased(claim, this.#lun);
  }

  answered(incarnation: Incarnation, request: string, outcome: string): void {
    this.log(incarnation.label, `${request} -> ${outcome}`);
    const kind = `${request.replace(/ R\d+/, '')}: ${outcome.replace(/, lver.*| \(.*/, '')}`;
    this.#answers.set(kind, (this.#answers.get(kind) ?? 0) + 1);
  }

  log(actor: string, text: string): void {
    const atS = ((this.clock.nowMs() - START_MS) / SECOND_MS).toFixed(3).padStart(10);
    this.#trace.push(`${atS} ${actor.padEnd(6)} ${text}`);
    if (!this.options.traceAll && this.#trace.length > 2 * TRACE_LINES) {
      this.#trace.splice(0, TRACE_LINES);
    }
  }
}

function stackOf(error: Error): string {
  return error.stack ?? error.message;
}
