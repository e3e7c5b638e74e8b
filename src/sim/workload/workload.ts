import { ERRNO } from '../../base/errno.ts';
import { SECOND_MS } from '../../base/units.ts';
import type { SanlockCall } from '../../wire/sanlock/call.ts';
import * as daemon from '../../wire/sanlock/daemon-calls.ts';
import * as leases from '../../wire/sanlock/lease-calls.ts';
import type { SmHeader } from '../../wire/sanlock/socket.ts';
import { RES_FLAGS } from '../../wire/sanlock/socket.ts';
import type { Lockspace, Resource } from '../../wire/sanlock/types.ts';
import { ClientLink } from '../cluster/client-link.ts';
import { NOTHING_DAMAGED } from '../cluster/daemon-ports.ts';
import { SanlockHost } from '../cluster/sanlock-host.ts';
import { ClientClaims, type Holding, isLeaving } from '../invariants/client-claims.ts';
import { SimClock } from '../kernel/clock.ts';
import { Dice } from '../kernel/dice.ts';
import { SimStorage } from '../kernel/disk.ts';
import { AREA_BYTES, LOCKSPACE, LUN, resourceOffset } from '../kernel/layout.ts';
import type { WorkloadClient } from './workload-client.ts';

export const T_S = 1;
/** From the end of a daemon, which may have renewed 2·t before; other hosts wait 8·t + 60 s. */
const WATCHDOG_MS = 60_000;
/** A daemon that was started by then stops the users of what it cannot resume, in time. */
const IN_TIME_MS = 40_000;
const LONGEST_RECONNECT_MS = 3000;
/** Refused writes of the daemon before may land until then; then the last leases are recovered. */
const SETTLED_MS = 90_000;
/** Requests that name what is being resumed wait for 8·t at most. */
const RESUMING_MS = 9000;
export const AREAS = 4;
const AREAS_BYTES = 16 * AREA_BYTES;
const SIGKILL_RESTRICTED = 0x2;

export interface AcquireRequest {
  readonly areas: readonly { readonly area: number; readonly name: string }[];
  readonly flags: readonly number[];
  readonly options: leases.AcquireOptions;
}

/** Two hosts, their daemons and the clients of these; each answer is checked when it comes. */
export class Workload {
  readonly clock = new SimClock();
  readonly storage = new SimStorage();
  readonly claims = new ClientClaims<WorkloadClient>();
  readonly dice: Dice;
  readonly hosts: readonly [SanlockHost, SanlockHost];
  readonly links = new Set<ClientLink>();
  readonly trace: string[] = [];
  /** Of the ends of daemons. */
  readonly fate: Dice;
  readonly #perseverance: Dice;
  /** When the daemon of a host was started last. */
  readonly #startedMs = new Map<SanlockHost, number>();
  /** Hosts whose daemon knows all leases of the one before. */
  readonly #recovered = new Set<SanlockHost>();
  #nextPid = 100;

  constructor(seed: number) {
    this.dice = new Dice(seed, 'crowd');
    this.#perseverance = this.dice.fork('perseverance');
    this.fate = this.dice.fork('crashes');
    this.storage.add(LUN, AREAS_BYTES);
    this.hosts = [this.#newHost(1), this.#newHost(2)];
  }

  #newHost(hostId: number): SanlockHost {
    const { clock, storage } = this;
    const host: SanlockHost = new SanlockHost({
      ...{ hostId, clock, storage, dice: this.dice.fork(`host${hostId}`) },
      processes: {
        isAlive: (pid) => this.claims.clients.get(pid)?.isAlive === true,
        signalled: (pid, signal) => this.#signalled(pid, signal),
        killpath: (args) => this.#killpath(host, args),
        daemonEnded: () => this.#daemonEnded(host),
      },
      log: { ...NOTHING_DAMAGED, info: (event) => this.#logged(host, event) },
    });
    return host;
  }

  get nowMs(): number {
    return this.clock.nowMs();
  }

  log(text: string): void {
    this.trace.push(`${(this.nowMs / SECOND_MS).toFixed(3)} ${text}`);
  }

  run(ms: number): void {
    this.clock.runUntil(this.nowMs + ms);
  }

  connect(host: SanlockHost, pid = 9): ClientLink {
    const link = new ClientLink(host, pid, () => this.nowMs);
    this.links.add(link);
    return link;
  }

  newClient(host: SanlockHost): WorkloadClient {
    const pid = this.#nextPid++;
    const client: WorkloadClient = {
      ...{ pid, host, isAlive: true, isKnown: true, restricted: 0, underWay: 0 },
      obeysTerm: this.dice.chance(0.5),
      isPersevering: this.#perseverance.chance(0.6),
      ...{ isUnsure: false, isCut: false },
      link: this.connect(host, pid),
      holdings: [],
      releases: new Set(),
    };
    this.claims.clients.set(pid, client);
    client.link.call(daemon.register(), this.nowMs);
    this.log(`${host.name} pid ${pid} starts`);
    return client;
  }

  /** Sends a request; it and its answer are in the trace. */
  call<T>(
    link: ClientLink,
    call: SanlockCall<T>,
    what: string,
    answered: (header: SmHeader, body: Uint8Array) => void = () => {},
  ): void {
    this.log(`${link.host.name} ${what}`);
    link.call(call, this.nowMs, (header, body) => {
      this.log(`${link.host.name} ${what} -> ${header.data}`);
      answered(header, body);
    });
  }

  /** How long a request may wait for what an earlier daemon left. */
  delayMs(host: SanlockHost): number {
    const startedMs = this.#startedMs.get(host) ?? 0;
    return this.nowMs < startedMs + SETTLED_MS ? RESUMING_MS : 0;
  }

  place(host: SanlockHost): Lockspace {
    return { name: LOCKSPACE, hostId: BigInt(host.hostId), path: LUN, offset: 0n };
  }

  acquire(link: ClientLink, client: WorkloadClient, request: AcquireRequest): void {
    const isSelf = link === client.link;
    const wanted = request.areas.map((one, at) => resourceOf(one, request.flags[at] ?? 0));
    const options = { ...request.options, target: isSelf ? 'self' : client.pid } as const;
    const names = wanted.map(({ name, flags }) => `${name}/${flags}`).join(' ');
    client.underWay++;
    const what = `pid ${client.pid} acquire ${names} ${JSON.stringify(request.options)}`;
    this.call(
      link,
      leases.acquire(wanted, options),
      `${isSelf ? '' : 'by pid: '}${what}`,
      (header) => {
        client.underWay--;
        if (header.data !== 0 || !client.isAlive || !client.isKnown) return;
        for (const [at, { area, name }] of request.areas.entries()) {
          const flags = request.flags[at] ?? 0;
          const shared = (flags & RES_FLAGS.SHARED) !== 0;
          const persistent = (flags & RES_FLAGS.PERSISTENT) !== 0;
          const value = request.options.lvb === true;
          const isSame = (one: Holding) => one.name === name && one.shared === shared;
          const inherited = client.holdings.find((one) => one.isInherited && isSame(one));
          if (inherited !== undefined) {
            // It has it once or twice now, by what it named before: until it releases all.
            client.isCut = true;
            client.isUnsure = true;
            continue;
          }
          this.claims.grant(client, { area, name, shared, persistent, value });
        }
      },
    );
  }

  /** The leases count as held again when the daemon does not serve the request. */
  release(link: ClientLink, client: WorkloadClient, names: readonly string[] | 'all'): void {
    const isSelf = link === client.link;
    const release = { names }; // an object of its own: 'all' may be requested twice
    client.releases.add(release);
    client.underWay++;
    const named = names === 'all' ? [] : names.map((name) => byName(name));
    const options = { target: isSelf ? 'self' : client.pid, all: names === 'all' } as const;
    const what = `pid ${client.pid} release ${names === 'all' ? 'all' : names.join(' ')}`;
    this.call(
      link,
      leases.release(named, options),
      `${isSelf ? '' : 'by pid: '}${what}`,
      (header) => {
        client.underWay--;
        client.releases.delete(release);
        if (header.data !== -ERRNO.EBUSY && header.data !== -ERRNO.ESRCH) {
          if (names === 'all') client.holdings.splice(0);
          if (names === 'all' && header.data === 0) {
            client.isCut = false;
            client.isUnsure &&= !this.#recovered.has(client.host);
          }
          // A shared lease may be held twice, and is released as often as it is named.
          for (const name of names === 'all' ? [] : names) {
            const at = client.holdings.findIndex((one) => one.name === name);
            if (at >= 0) client.holdings.splice(at, 1);
          }
        }
        if (!client.isAlive) return;
        for (const one of client.holdings) this.claims.check(client, one);
      },
    );
  }

  convert(
    link: ClientLink,
    client: WorkloadClient,
    holding: Holding,
    options: { ownerNowait: boolean },
  ): void {
    const toShared = !holding.shared;
    const isSelf = link === client.link;
    if (toShared) holding.shared = true; // it works as a sharer from now on
    client.underWay++;
    const wanted = resourceOf(holding, toShared ? RES_FLAGS.SHARED : 0);
    const target = isSelf ? 'self' : client.pid;
    const what = `pid ${client.pid} convert ${holding.name} ${toShared ? 'SH' : 'EX'}`;
    this.call(link, leases.convert(wanted, { ...options, target }), what, (header) => {
      client.underWay--;
      if (!client.isAlive || !client.holdings.includes(holding)) return;
      if (header.data === 0) holding.shared = toShared;
      else if (toShared) holding.shared = false;
      this.claims.check(client, holding);
    });
  }

  /** Its connection closes: for the daemon the process has ended. */
  hangUp(client: WorkloadClient): void {
    this.log(`${client.host.name} pid ${client.pid} closes its connection`);
    client.isKnown = false;
    client.holdings.splice(0);
    client.link.close();
    this.#end(client);
  }

  #end(client: WorkloadClient): void {
    if (!client.isAlive) return;
    this.log(`${client.host.name} pid ${client.pid} ends`);
    client.isAlive = false;
    client.isKnown = false;
    client.holdings.splice(0);
    client.link.close();
    client.host.processEnded(client.pid);
  }

  /** A signal takes a moment: the process may be in the kernel. */
  #signalled(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
    const client = this.claims.clients.get(pid);
    this.log(`pid ${pid} gets ${signal}`);
    if (client === undefined || !client.isAlive) return;
    const spared = (client.restricted & SIGKILL_RESTRICTED) !== 0;
    if (signal === 'SIGTERM' && !client.obeysTerm && !spared) return;
    this.clock.after(this.dice.between(0, 2000), () => this.#end(client));
  }

  /** The killpath program of a client releases all its leases by its pid. */
  #killpath(host: SanlockHost, args: readonly string[]): void {
    const client = this.claims.clients.get(Number(args.at(-1)));
    if (client === undefined || !client.isAlive) return;
    this.clock.after(this.dice.between(0, 3000), () => {
      if (host.isRunning && client.isAlive) this.release(this.connect(host), client, 'all');
    });
  }

  #daemonEnded(host: SanlockHost): void {
    this.log(`${host.name} daemon ended`);
    this.daemonGone(host);
  }

  /**
   * Its clients work on by what they hold. Where no daemon is started in time, a watchdog ends them
   * all. What was requested and not answered never will be.
   */
  daemonGone(host: SanlockHost): void {
    const survivors = this.claims.of(host);
    const goneMs = this.nowMs;
    this.clock.after(WATCHDOG_MS, () => {
      const startedMs = this.#startedMs.get(host) ?? 0;
      if (startedMs > goneMs && startedMs < goneMs + IN_TIME_MS) return;
      for (const client of survivors) this.#end(client);
    });
    for (const link of [...this.links]) {
      if (link.host !== host) continue;
      link.isOver = true;
      link.unanswered.splice(0);
      this.links.delete(link);
    }
    for (const client of survivors) {
      client.isKnown = false;
      client.isCut ||= client.underWay > 0;
      client.isUnsure = client.isCut || client.holdings.length > 0;
      client.underWay = 0;
      const kept = client.holdings.filter((one) => !isLeaving(client, one));
      client.holdings.splice(0, Infinity, ...kept);
      for (const one of kept) one.isInherited = true;
      client.releases.clear();
    }
  }

  /** Some of its clients come back, and release all that they may have. */
  daemonStarted(host: SanlockHost): void {
    this.#startedMs.set(host, this.nowMs);
    this.#recovered.delete(host);
    for (const client of this.claims.of(host)) {
      if (!client.isPersevering) continue;
      this.clock.after(this.#perseverance.between(0, LONGEST_RECONNECT_MS), () => {
        if (client.isAlive && !client.isKnown && host.isRunning) this.#connectAgain(client);
      });
    }
  }

  #connectAgain(client: WorkloadClient): void {
    this.log(`${client.host.name} pid ${client.pid} connects again`);
    client.link = this.connect(client.host, client.pid);
    client.link.call(daemon.register(), this.nowMs);
    client.isKnown = true;
    if (client.isCut || this.#perseverance.chance(0.2)) this.release(client.link, client, 'all');
  }

  #logged(host: SanlockHost, event: string): void {
    this.log(`${host.name} ${event}`);
    if (event !== 'leases.recovered') return;
    this.#recovered.add(host);
    for (const client of this.claims.of(host)) client.isUnsure = client.isCut;
  }
}

export function resourceOf(
  { area, name }: { readonly area: number; readonly name: string },
  flags: number,
): Resource {
  const disks = [{ path: LUN, offset: BigInt(resourceOffset(area)) }];
  return { lockspaceName: LOCKSPACE, name, lver: 0n, flags, disks };
}

/** A resource named without its disks. */
export function byName(name: string): Resource {
  return { lockspaceName: LOCKSPACE, name, lver: 0n, flags: 0, disks: [] };
}
