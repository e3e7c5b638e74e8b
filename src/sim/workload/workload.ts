import { ERRNO } from '../../base/errno.ts';
import type { SanlockCall } from '../../wire/sanlock/call.ts';
import * as daemon from '../../wire/sanlock/daemon-calls.ts';
import * as leases from '../../wire/sanlock/lease-calls.ts';
import type { SmHeader } from '../../wire/sanlock/socket.ts';
import { RES_FLAGS } from '../../wire/sanlock/socket.ts';
import type { Lockspace, Resource } from '../../wire/sanlock/types.ts';
import { AREA_BYTES, LOCKSPACE, LUN, resourceOffset } from '../cluster/layout.ts';
import { CrowdClaims, type Holding, type Person } from '../invariants/workload-claims.ts';
import { SimClock } from '../kernel/clock.ts';
import { Dice } from '../kernel/dice.ts';
import { SimStorage } from '../kernel/disk.ts';
import { CrowdHost } from './host.ts';
import { Link } from './link.ts';

export const T_S = 1;
/** From the death of a daemon, which may have renewed 2·t before; the others wait 8·t + 60 s. */
const WATCHDOG_MS = 60_000;
export const AREAS = 4;
const AREAS_BYTES = 16 * AREA_BYTES;
const SIGKILL_RESTRICTED = 0x2;

export interface AcquireWish {
  readonly areas: readonly { readonly area: number; readonly name: string }[];
  readonly flags: readonly number[];
  readonly options: leases.AcquireOptions;
}

/** Two hosts, their daemons and all who talk to them; what clients were told is judged at once. */
export class Crowd {
  readonly clock = new SimClock();
  readonly storage = new SimStorage();
  readonly claims = new CrowdClaims();
  readonly dice: Dice;
  readonly hosts: readonly CrowdHost[];
  readonly links = new Set<Link>();
  readonly trace: string[] = [];
  #nextPid = 100;

  constructor(seed: number) {
    this.dice = new Dice(seed, 'crowd');
    this.storage.add(LUN, AREAS_BYTES);
    const { clock, storage } = this;
    this.hosts = [1, 2].map((hostId): CrowdHost => {
      const host: CrowdHost = new CrowdHost({
        ...{ hostId, clock, storage, dice: this.dice.fork(`host${hostId}`) },
        neighbours: {
          isAlive: (pid) => this.claims.people.get(pid)?.isAlive === true,
          signalled: (pid, signal) => this.#signalled(pid, signal),
          killpath: (args) => this.#killpath(host, args),
          daemonEnded: () => this.#daemonEnded(host),
        },
      });
      return host;
    });
  }

  get nowMs(): number {
    return this.clock.nowMs();
  }

  say(text: string): void {
    this.trace.push(`${(this.nowMs / 1000).toFixed(3)} ${text}`);
  }

  run(ms: number): void {
    this.clock.runUntil(this.nowMs + ms);
  }

  connect(host: CrowdHost, pid = 9): Link {
    const link = new Link(host, pid, () => this.nowMs);
    this.links.add(link);
    return link;
  }

  newPerson(host: CrowdHost): Person {
    const pid = this.#nextPid++;
    const person: Person = {
      ...{ pid, host, isAlive: true, isKnown: true, restricted: 0, underWay: 0 },
      obeysTerm: this.dice.chance(0.5),
      link: this.connect(host, pid),
      holdings: [],
      releases: new Set(),
    };
    this.claims.people.set(pid, person);
    person.link.ask(daemon.register(), this.nowMs);
    this.say(`${host.name} pid ${pid} comes`);
    return person;
  }

  /** As `ask`, telling the trace. */
  ask<T>(
    link: Link,
    call: SanlockCall<T>,
    what: string,
    answered: (header: SmHeader, body: Uint8Array) => void = () => {},
  ): void {
    this.say(`${link.host.name} ${what}`);
    link.ask(call, this.nowMs, (header, body) => {
      this.say(`${link.host.name} ${what} -> ${header.data}`);
      answered(header, body);
    });
  }

  place(host: CrowdHost): Lockspace {
    return { name: LOCKSPACE, hostId: BigInt(host.hostId), path: LUN, offset: 0n };
  }

  acquire(link: Link, person: Person, wish: AcquireWish): void {
    const isSelf = link === person.link;
    const wanted = wish.areas.map((one, at) => resourceOf(one, wish.flags[at] ?? 0));
    const options = { ...wish.options, target: isSelf ? 'self' : person.pid } as const;
    const names = wanted.map(({ name, flags }) => `${name}/${flags}`).join(' ');
    person.underWay++;
    const what = `pid ${person.pid} acquire ${names} ${JSON.stringify(wish.options)}`;
    this.ask(
      link,
      leases.acquire(wanted, options),
      `${isSelf ? '' : 'by pid: '}${what}`,
      (header) => {
        person.underWay--;
        if (header.data !== 0 || !person.isAlive || !person.isKnown) return;
        for (const [at, { area, name }] of wish.areas.entries()) {
          const flags = wish.flags[at] ?? 0;
          const shared = (flags & RES_FLAGS.SHARED) !== 0;
          const persistent = (flags & RES_FLAGS.PERSISTENT) !== 0;
          const value = wish.options.lvb === true;
          this.claims.grant(person, { area, name, shared, persistent, value });
        }
      },
    );
  }

  /** What a request of it makes of the holdings is taken back when it was not served. */
  release(link: Link, person: Person, names: readonly string[] | 'all'): void {
    const isSelf = link === person.link;
    const release = { names }; // one of its own: 'all' may be asked twice
    person.releases.add(release);
    person.underWay++;
    const named = names === 'all' ? [] : names.map((name) => named0(name));
    const options = { target: isSelf ? 'self' : person.pid, all: names === 'all' } as const;
    const what = `pid ${person.pid} release ${names === 'all' ? 'all' : names.join(' ')}`;
    this.ask(
      link,
      leases.release(named, options),
      `${isSelf ? '' : 'by pid: '}${what}`,
      (header) => {
        person.underWay--;
        person.releases.delete(release);
        if (header.data !== -ERRNO.EBUSY && header.data !== -ERRNO.ESRCH) {
          if (names === 'all') person.holdings.splice(0);
          // A shared lease may be held twice, and is released as often as it is named.
          for (const name of names === 'all' ? [] : names) {
            const at = person.holdings.findIndex((one) => one.name === name);
            if (at >= 0) person.holdings.splice(at, 1);
          }
        }
        if (!person.isAlive) return;
        for (const one of person.holdings) this.claims.check(person, one);
      },
    );
  }

  convert(link: Link, person: Person, holding: Holding, options: { ownerNowait: boolean }): void {
    const toShared = !holding.shared;
    const isSelf = link === person.link;
    if (toShared) holding.shared = true; // it works as a sharer from now on
    person.underWay++;
    const wanted = resourceOf(holding, toShared ? RES_FLAGS.SHARED : 0);
    const target = isSelf ? 'self' : person.pid;
    const what = `pid ${person.pid} convert ${holding.name} ${toShared ? 'SH' : 'EX'}`;
    this.ask(link, leases.convert(wanted, { ...options, target }), what, (header) => {
      person.underWay--;
      if (!person.isAlive || !person.holdings.includes(holding)) return;
      if (header.data === 0) holding.shared = toShared;
      else if (toShared) holding.shared = false;
      this.claims.check(person, holding);
    });
  }

  /** Its connection closes, as far as the daemon knows the process has ended with it. */
  hangUp(person: Person): void {
    this.say(`${person.host.name} pid ${person.pid} hangs up`);
    person.isKnown = false;
    person.holdings.splice(0);
    person.link.close();
    this.#ends(person);
  }

  #ends(person: Person): void {
    if (!person.isAlive) return;
    this.say(`${person.host.name} pid ${person.pid} ends`);
    person.isAlive = false;
    person.isKnown = false;
    person.holdings.splice(0);
    person.link.close();
    person.host.processEnded(person.pid);
  }

  /** SIGKILL takes a moment, a process may stand in the kernel. */
  #signalled(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
    const person = this.claims.people.get(pid);
    this.say(`pid ${pid} gets ${signal}`);
    if (person === undefined || !person.isAlive) return;
    const spared = (person.restricted & SIGKILL_RESTRICTED) !== 0;
    if (signal === 'SIGTERM' && !person.obeysTerm && !spared) return;
    this.clock.after(this.dice.between(0, 2000), () => this.#ends(person));
  }

  /** The program of a client lets go of everything by its pid. */
  #killpath(host: CrowdHost, args: readonly string[]): void {
    const person = this.claims.people.get(Number(args.at(-1)));
    if (person === undefined || !person.isAlive) return;
    this.clock.after(this.dice.between(0, 3000), () => {
      if (host.isRunning && person.isAlive) this.release(this.connect(host), person, 'all');
    });
  }

  #daemonEnded(host: CrowdHost): void {
    this.say(`${host.name} daemon ended`);
    this.daemonGone(host);
  }

  /** Its processes live on, and work by what they were told, until a watchdog ends them all. */
  daemonGone(host: CrowdHost): void {
    const bereft = this.claims.of(host);
    this.clock.after(WATCHDOG_MS, () => {
      for (const person of bereft) this.#ends(person);
    });
    for (const link of [...this.links]) {
      if (link.host !== host) continue;
      link.isOver = true;
      link.asked.splice(0);
      this.links.delete(link);
    }
    for (const person of this.claims.of(host)) {
      person.isKnown = false;
      person.underWay = 0;
    }
  }
}

export function resourceOf(
  { area, name }: { readonly area: number; readonly name: string },
  flags: number,
): Resource {
  const disks = [{ path: LUN, offset: BigInt(resourceOffset(area)) }];
  return { lockspaceName: LOCKSPACE, name, lver: 0n, flags, disks };
}

/** Named without its disks. */
export function named0(name: string): Resource {
  return { lockspaceName: LOCKSPACE, name, lver: 0n, flags: 0, disks: [] };
}
