import type { CrowdHost } from '../workload/host.ts';
import type { Link } from '../workload/link.ts';

/** What a process was told that it holds. */
export interface Holding {
  readonly area: number;
  readonly name: string;
  shared: boolean;
  readonly persistent: boolean;
  readonly value: boolean;
}

/** A client process of one host. */
export interface Person {
  readonly pid: number;
  readonly host: CrowdHost;
  link: Link;
  isAlive: boolean;
  /** Its connection, by which the daemon knows it, is open. */
  isKnown: boolean;
  restricted: number;
  /** SIGTERM makes it end. */
  readonly obeysTerm: boolean;
  readonly holdings: Holding[];
  /** Releases that are not answered yet: what they name it works by no more. */
  readonly releases: Set<{ readonly names: readonly string[] | 'all' }>;
  /** Requests about it that are not answered yet. */
  underWay: number;
}

/** Who was told to hold what, over all hosts: what the daemons are there to protect. */
export class CrowdClaims {
  readonly people = new Map<number, Person>();

  living(): Person[] {
    return [...this.people.values()].filter(({ isAlive }) => isAlive);
  }

  of(host: CrowdHost): Person[] {
    return this.living().filter((person) => person.host === host);
  }

  /** Somebody on this host works by a lease. */
  isHeldAt(host: CrowdHost): Person | undefined {
    return this.of(host).find((person) => person.holdings.some((one) => !isLeaving(person, one)));
  }

  grant(person: Person, holding: Holding): void {
    this.check(person, holding);
    person.holdings.push(holding);
  }

  /** (spec 10 §16 item 1) */
  check(person: Person, holding: Holding): void {
    if (isLeaving(person, holding)) return;
    for (const other of this.living()) {
      for (const rival of other.holdings) {
        const isSame = rival === holding || rival.area !== holding.area || isLeaving(other, rival);
        if (isSame || (rival.shared && holding.shared)) continue;
        throw new Error(
          `pid ${person.pid} of ${person.host.name} was given ${textOfHolding(holding)} ` +
            `while pid ${other.pid} of ${other.host.name} has ${textOfHolding(rival)}`,
        );
      }
    }
  }
}

export function textOfHolding({ name, shared }: Pick<Holding, 'name' | 'shared'>): string {
  return `${name}${shared ? ' SH' : ' EX'}`;
}

export function isLeaving(person: Person, { name }: Holding): boolean {
  return [...person.releases].some(({ names }) => names === 'all' || names.includes(name));
}
