import { SECOND_MS } from '../../base/units.ts';
import { decode } from '../../codec/struct.ts';
import { deltaLeader } from '../../format/leader.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import type { Log } from '../../ports/log.ts';
import { writeLockspace, writeResource } from '../../wire/sanlock/area-calls.ts';
import type { SanlockCall } from '../../wire/sanlock/call.ts';
import { addLockspace, register } from '../../wire/sanlock/daemon-calls.ts';
import * as leases from '../../wire/sanlock/lease-calls.ts';
import { ClientLink } from '../cluster/client-link.ts';
import { placeOf, resourceOf } from '../cluster/daemon-calls.ts';
import { NOTHING_DAMAGED } from '../cluster/daemon-ports.ts';
import { SanlockHost } from '../cluster/sanlock-host.ts';
import { type RacePlan, StartRace } from '../cluster/start-race.ts';
import { SimWdmd } from '../cluster/wdmd.ts';
import { watchHostLeases } from '../invariants/client-checks.ts';
import { ClientClaims } from '../invariants/client-claims.ts';
import { SimClock } from '../kernel/clock.ts';
import { Dice } from '../kernel/dice.ts';
import { SimStorage } from '../kernel/disk.ts';
import { withFault } from '../kernel/journal-faults.ts';
import { AREA_BYTES, LUN, sectorAt } from '../kernel/layout.ts';
import { QUIET } from '../kernel/log.ts';
import { ProcessClock } from '../kernel/process-clock.ts';
import { RunDirectory } from '../kernel/run-directory.ts';
import { SimWatchdog } from '../kernel/watchdog.ts';
import { checkAllFree } from './resumption-end.ts';
import {
  type CrashPlan,
  isClosing,
  isSmooth,
  PLANS,
  type ResumptionPlan,
} from './resumption-plan.ts';
import { type LeaseUser, ResumptionUsers } from './resumption-users.ts';

const AREAS = 3;
const USERS = 4;
const RIVAL_PID = 90;
const ADMIN_PID = 1;
/** Requests before the daemon is to die, at most. */
const MOST_REQUESTS = 60;
/** A daemon that has nothing to do any more is killed then. */
const DIES_MS = 15_000;
const ADMIN_MS = 1500;
const DEADLINE_MS = 600_000;
const POLL_MS = 100;

/**
 * A daemon that dies in the middle of whatever it does, its successors, and the processes that hold
 * leases meanwhile; another host that wants what they have; and what may happen besides.
 */
export class Resumption {
  readonly clock = new SimClock();
  readonly storage = new SimStorage();
  readonly claims = new ClientClaims<LeaseUser>();
  readonly dice: Dice;
  readonly plan: ResumptionPlan;
  readonly isSmooth: boolean;
  readonly areas = AREAS;
  readonly trace: string[] = [];
  readonly #owner: SanlockHost;
  readonly #rival: SanlockHost;
  readonly #users: ResumptionUsers;
  readonly #directory = new RunDirectory();
  /** The host whose daemon wrote a generation of the host lease. */
  readonly #writers = new Map<bigint, string>();
  #generation = 0n;
  /** When the owner wrote its host lease last. */
  #renewedMs = 0;
  /** The generation of a membership that no daemon may resume. */
  #isOver: bigint | null = null;
  #wdmd: SimWdmd | null = null;
  /** The clocks of the machine, before that of the world. */
  #aheadMs = 0;
  #watchdog: SimWatchdog | null = null;
  #isReset = false;
  #isQuiet = false;
  #crashes = 0;

  constructor(seed: number, weather: keyof typeof PLANS = 'fair') {
    this.dice = new Dice(seed, 'resumption');
    this.plan = PLANS[weather](this.dice.fork('plan'));
    this.isSmooth = isSmooth(this.plan);
    this.storage.add(LUN, (1 + AREAS) * AREA_BYTES);
    this.#owner = this.#newHost(1, this.plan.watchdog !== 'none');
    this.#rival = this.#newHost(2, false);
    this.#users = new ResumptionUsers(this, this.#owner);
  }

  #newHost(hostId: number, hasWatchdog: boolean, hostName?: string): SanlockHost {
    const name = hostName === undefined ? `host${hostId}` : 'usurper';
    const watchdog = (time: ProcessClock) => this.#newWdmd().socketsOf(time);
    const host = new SanlockHost({
      ...{ hostId, name, clock: this.clock, storage: this.storage, dice: this.dice.fork(name) },
      ...(hostName === undefined ? {} : { hostName }),
      ...(hasWatchdog ? { watchdog } : {}),
      log: this.#logOf(name),
      processes: {
        isAlive: (pid) => this.claims.clients.get(pid)?.isAlive === true,
        signalled: (pid, signal) => this.#users.signalled(pid, signal),
        killpath: () => {},
        daemonEnded: () => {},
      },
    });
    host.hasIoFaults = false;
    return host;
  }

  #logOf(name: string): Log {
    const isWhole = ['whole', 'full', 'removed', 'older'].includes(this.plan.journal);
    const damage = isWhole ? NOTHING_DAMAGED : QUIET;
    const log =
      (then: Log['error']): Log['error'] =>
      (event, fields = {}) => {
        this.log(`${name} ${event} ${JSON.stringify(fields, bigintText)}`);
        then(event, fields);
      };
    return {
      error: log(damage.error),
      warn: log(QUIET.warn),
      info: log(QUIET.info),
      debug: () => {},
    };
  }

  #newWdmd(): SimWdmd {
    const baseMs = this.clock.nowMs() + this.#aheadMs;
    const host = new ProcessClock(this.clock, { baseMs, rate: 1 });
    const watchdog = this.#watchdog ?? new SimWatchdog(this.clock, () => this.#reset());
    this.#watchdog = watchdog;
    const isOriginal = this.plan.watchdog === 'original';
    this.#wdmd ??= new SimWdmd({ host, watchdog, time: host.sibling(), isOriginal });
    return this.#wdmd;
  }

  connect(host: SanlockHost, pid: number): ClientLink {
    return new ClientLink(host, pid, () => this.clock.nowMs());
  }

  log(text: string): void {
    this.trace.push(`${(this.clock.nowMs() / SECOND_MS).toFixed(3)} ${text}`);
  }

  /** @returns what was broken; null = nothing */
  run(): string | null {
    try {
      this.log(JSON.stringify(this.plan));
      this.#begin();
      this.#use(1 + this.dice.below(MOST_REQUESTS));
      for (const crash of this.plan.crashes) this.#crash(crash);
      this.#settle();
      return null;
    } catch (error) {
      return error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
  }

  #begin(): void {
    const { ioTimeoutS } = this.plan;
    for (const host of [this.#owner, this.#rival]) host.start();
    const admin = this.connect(this.#owner, ADMIN_PID);
    this.#call(admin, writeLockspace(placeOf(1), { ioTimeoutS }));
    for (let area = 0; area < AREAS; area++) {
      this.#call(admin, writeResource(resourceOf(area, 0)));
    }
    // Host names are unique: what a copy takes is not checked (docs/reliability.md).
    const hosts = this.#isFreeForAll ? [] : [this.#owner];
    watchHostLeases({ storage: this.storage, hosts, claims: this.claims });
    this.storage.onWrite = (io, bytes) => this.#hostLeaseWritten(io, bytes);
    this.#call(admin, addLockspace(placeOf(1), { ioTimeoutS }));
    this.#call(this.connect(this.#rival, ADMIN_PID), addLockspace(placeOf(2), { ioTimeoutS }));
    for (let n = 0; n < USERS; n++) this.#users.begin();
  }

  /** A copy takes the host lease of a host whose processes live: others get what they have. */
  get #isFreeForAll(): boolean {
    return this.plan.usurper === 'copy' && this.plan.meetsUsers;
  }

  /** Each generation of a host lease is of one host, and none comes back. */
  #hostLeaseWritten(
    { host, offset }: { readonly host: string; readonly offset: number },
    bytes: Uint8Array,
  ): void {
    const sector = sectorAt(offset);
    if (sector.kind !== 'hostLease' || sector.hostId !== 1) return;
    const { ownerGeneration } = decode(deltaLeader, bytes);
    const writer = this.#writers.get(ownerGeneration) ?? host;
    this.#writers.set(ownerGeneration, writer);
    if (writer !== host || ownerGeneration < this.#generation || ownerGeneration === this.#isOver) {
      throw new Error(`${host} writes generation ${ownerGeneration}, which is ${writer}'s`);
    }
    this.#generation = ownerGeneration;
    if (host === this.#owner.name) this.#renewedMs = this.clock.nowMs();
  }

  #use(requests: number): void {
    for (let n = 0; n < requests; n++) {
      this.#users.act();
      this.#run(this.dice.between(0, this.dice.chance(0.8) ? 60 : 1000));
    }
  }

  #crash(crash: CrashPlan): void {
    const { refusesWrites } = this.plan;
    const [owner, dice] = [this.#owner, this.dice];
    const before = ++this.#crashes;
    owner.refusesWrites = refusesWrites;
    const leaseProcesses = crash.leaseProcess === 'killed' ? 'killed' : 'end';
    owner.crashAt(crash, leaseProcesses, () => this.#died(crash));
    if (crash.lingersMs > 0) {
      this.clock.after(dice.between(0, 500), () => {
        if (owner.isRunning) owner.hangOwnPath(this.clock.nowMs() + crash.lingersMs);
      });
    }
    const untilMs = this.clock.nowMs() + dice.between(0, DIES_MS);
    this.#killWdmdBefore(crash, untilMs);
    while (owner.isRunning && this.clock.nowMs() < untilMs) this.#use(1);
    if (owner.isRunning) {
      owner.kill(leaseProcesses);
      this.#died(crash);
    }
    this.log(`${owner.name} daemon has died for the ${before}. time`);
    this.#wantAll();
    this.#run(crash.downMs);
    if (this.#isReset) return;
    this.#start(crash);
  }

  #died({ leaseProcess, sleepsMs, downMs, wdmd }: CrashPlan): void {
    const [owner, dice] = [this.#owner, this.dice];
    owner.refusesWrites = 0;
    this.#wdmd?.daemonKilled();
    this.#users.daemonDied();
    if (leaseProcess === 'killedLater') {
      this.clock.after(dice.between(0, 300), () => {
        if (!owner.isRunning) owner.killLeaseProcesses();
      });
    }
    if (wdmd !== null && wdmd.afterMs >= 0) {
      this.clock.after(wdmd.afterMs, () => this.#killWdmd(wdmd.downMs));
    }
    if (sleepsMs > 0) {
      this.clock.after(dice.between(0, downMs - sleepsMs), () => this.#suspend(sleepsMs));
    }
    if (this.plan.usurper !== null) this.#usurp(this.plan.usurper);
    if (this.plan.isRebooted) this.#reboot();
    this.#changeJournal(downMs);
  }

  /** At the latest then the daemon dies. */
  #killWdmdBefore({ wdmd }: CrashPlan, diesMs: number): void {
    if (wdmd === null || wdmd.afterMs >= 0) return;
    const inMs = Math.max(0, diesMs + wdmd.afterMs - this.clock.nowMs());
    this.clock.after(inMs, () => this.#killWdmd(wdmd.downMs));
  }

  #killWdmd(downMs: number): void {
    const wdmd = this.#wdmd;
    if (this.#isReset || wdmd === null) return;
    this.log('wdmd is killed');
    wdmd.kill();
    this.clock.after(downMs, () => {
      if (!this.#isReset) this.log(`wdmd is started: ${wdmd.start() ?? 'it serves'}`);
    });
  }

  #suspend(forMs: number): void {
    this.log(`${this.#owner.name} sleeps for ${Math.round(forMs)} ms`);
    this.#owner.suspend(forMs);
    this.#wdmd?.suspend(forMs, this.clock);
  }

  #changeJournal(downMs: number): void {
    const { journal: fault, watchdog } = this.plan;
    const { dice } = this;
    const { journal } = this.#owner;
    switch (fault) {
      case 'whole':
        return;
      case 'damaged':
        journal.damage(dice);
        return;
      case 'full':
        journal.full = true;
        this.clock.after(downMs + dice.between(0, 20_000), () => {
          journal.full = false;
        });
        return;
      default: {
        const of = { fault, mayLoseUsers: watchdog !== 'none', dice: dice.fork('damage') };
        journal.become(withFault(journal.load().lines, of));
      }
    }
  }

  /** What its journal says is of no process and no membership any more. */
  #reboot(): void {
    this.log(`${this.#owner.name} boots anew`);
    this.#users.endAll();
    const dice = this.dice.fork('reboot');
    // The clocks begin anew: by chance they show what those of the boot before did.
    const nowMs = this.clock.nowMs();
    const sameMs = nowMs + dice.between(0, this.plan.ioTimeoutS * SECOND_MS);
    const baseMs = dice.chance(0.5) ? sameMs : dice.between(0, nowMs);
    this.#owner.reboot(baseMs);
    this.#aheadMs = baseMs - nowMs;
    this.#wdmd?.powerLost();
    this.#watchdog?.powerLost();
    this.#wdmd = null;
    this.#isOver = this.#generation;
  }

  #usurp(usurper: 'copy' | 'mistaken'): void {
    if (!this.plan.meetsUsers) this.#users.endAll();
    const host = this.#newHost(1, false, usurper === 'copy' ? this.#owner.hostName : 'another');
    host.start();
    const { ioTimeoutS } = this.plan;
    const link = this.connect(host, ADMIN_PID);
    link.call(addLockspace(placeOf(1), { ioTimeoutS }), this.clock.nowMs(), ({ data }) => {
      this.log(`the usurper joins: ${data}`);
    });
  }

  #start({ hasSecond, race }: CrashPlan): void {
    this.log(`${this.#owner.name} daemon starts`);
    if (race !== null) {
      this.#race(race);
      return;
    }
    this.#owner.start();
    if (hasSecond) this.#owner.startSecond();
    this.#serves();
  }

  #race(plan: RacePlan): void {
    const race = new StartRace({
      ...{ plan, clock: this.clock, host: this.#owner, directory: this.#directory },
      dice: this.dice.fork(`race ${this.#crashes}`),
      log: (text) => this.log(text),
      served: () => this.#serves(),
      died: () => {
        this.#wdmd?.daemonKilled();
        this.#users.daemonDied();
      },
    });
    while (!race.isOver && !this.#isReset) this.#run(1);
  }

  #serves(): void {
    this.#users.daemonStarted();
    this.#administer(this.connect(this.#owner, ADMIN_PID));
  }

  /** Adds the lockspace again and again, as who needs it does. */
  #administer(link: ClientLink): void {
    const { ioTimeoutS } = this.plan;
    // Who removes a journal and adds the lockspace says that nothing uses its leases.
    if (!link.isOpen || this.plan.journal === 'removed') return;
    link.call(addLockspace(placeOf(1), { ioTimeoutS }), this.clock.nowMs(), ({ data }) => {
      this.log(`add_lockspace -> ${data}`);
      this.clock.after(ADMIN_MS, () => this.#administer(link));
    });
  }

  /** The rival wants whatever it can get, from now on. */
  #wantAll(): void {
    if (this.#crashes > 1 || this.#isFreeForAll) return;
    const pid = RIVAL_PID;
    const link = this.#registered(this.#rival, pid);
    const rival: LeaseUser = {
      ...{ pid, host: this.#rival, isAlive: true, isKnown: true, underWay: 0, request: null },
      ...{ holdings: [], releases: new Set(), isPersevering: false, obeysTerm: true, link },
      isUnsure: false,
    };
    this.claims.clients.set(pid, rival);
    this.#want(rival, 0);
  }

  #want(rival: LeaseUser, area: number): void {
    const options = { ownerNowait: true, lvb: true };
    const call = leases.acquire([resourceOf(area, 0)], options);
    if (this.#isQuiet) return;
    const again = () => this.#want(rival, (area + 1) % AREAS);
    rival.link.call(call, this.clock.nowMs(), ({ data }) => {
      const laterMs = this.dice.between(0, SECOND_MS);
      if (data !== 0) {
        this.clock.after(laterMs, again);
        return;
      }
      this.log(`the rival has R${area}`);
      const holding = { area, name: `R${area}`, shared: false, persistent: false, value: true };
      this.claims.grant(rival, holding);
      this.#readValue(rival, area);
      this.clock.after(laterMs, () => {
        rival.holdings.splice(0);
        rival.link.call(leases.release([resourceOf(area, 0)]), this.clock.nowMs(), again);
      });
    });
  }

  #readValue(rival: LeaseUser, area: number): void {
    const call = leases.getLvb(resourceOf(area, 0), 1);
    rival.link.call(call, this.clock.nowMs(), (_header, body) => {
      const known = this.#users.values.get(area);
      const value = body[0];
      if (!this.isSmooth || !known || value === undefined || known.has(value)) return;
      throw new Error(`the value of R${area} is ${value}, not ${[...known].join(' or ')}`);
    });
  }

  #reset(): void {
    this.log(`${this.#owner.name} is reset`);
    this.#isReset = true;
    this.#owner.kill('killed');
    this.#wdmd?.powerLost();
    this.#users.endAll();
  }

  #settle(): void {
    const { hostDeadMs, renewalFailMs } = leaseTimes(this.plan.ioTimeoutS);
    const untilMs = this.clock.nowMs() + renewalFailMs + this.dice.between(0, hostDeadMs);
    while (this.clock.nowMs() < untilMs) {
      this.#use(1);
      this.#run(this.dice.between(0, SECOND_MS));
    }
    this.#isQuiet = true;
    if (this.isSmooth) this.#checkNothingLost();
    if (this.plan.meetsUsers) this.#checkStopped();
    this.#users.endAll();
    if (this.plan.usurper !== null) return;
    checkAllFree({
      ...{ clock: this.clock, owner: this.#owner, areas: AREAS, ioTimeoutS: this.plan.ioTimeoutS },
      isClosed: isClosing(this.plan),
      isReset: () => this.#isReset,
      boot: () => {
        this.#reboot();
        this.#isReset = false;
      },
      connect: (host, pid) => this.connect(host, pid),
      clients: () => [this.#registered(this.#rival, RIVAL_PID), this.#users.begin().link],
      result: (link, call) => this.#result(link, call),
      run: (ms) => this.#run(ms),
      log: (text) => this.log(text),
    });
  }

  #registered(host: SanlockHost, pid: number): ClientLink {
    const link = this.connect(host, pid);
    link.call(register(), this.clock.nowMs());
    return link;
  }

  #checkNothingLost(): void {
    if (this.#isReset) throw new Error('the host was reset');
    if (this.#users.stopped > 0) throw new Error('a process was stopped');
    const generations = [...this.#writers.keys()].join(' ');
    if (this.#writers.size > 1) throw new Error(`it has had the generations ${generations}`);
  }

  /** Processes of a membership that another host has ended are stopped before its time is over. */
  #checkStopped(): void {
    const overMs = this.#renewedMs + leaseTimes(this.plan.ioTimeoutS).hostDeadMs;
    while (!this.#isReset && this.clock.nowMs() < overMs) this.#run(POLL_MS);
    const isUsurped = this.#writers.get(this.#generation) !== this.#owner.name;
    const living = this.claims.of(this.#owner).find(({ holdings }) => holdings.length > 0);
    if (!isUsurped || living === undefined) return;
    throw new Error(`pid ${living.pid} works on in a host lease that is another host's`);
  }

  #call<T>(link: ClientLink, call: SanlockCall<T>): void {
    const result = this.#result(link, call);
    if (result !== 0) throw new Error(`${link.host.name}: ${call.name} -> ${result}`);
  }

  #result<T>(link: ClientLink, call: SanlockCall<T>): number | null {
    let result: number | null = null;
    link.call(call, this.clock.nowMs(), ({ data }) => {
      result = data;
    });
    const endMs = this.clock.nowMs() + DEADLINE_MS;
    while (result === null && !this.#isReset && this.clock.nowMs() < endMs) this.#run(POLL_MS);
    return result;
  }

  #run(ms: number): void {
    this.clock.runUntil(this.clock.nowMs() + ms);
  }
}

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}` : value;
}
