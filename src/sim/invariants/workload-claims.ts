import type { ClientLink } from '../cluster/client-link.ts';
import type { SanlockHost } from '../cluster/sanlock-host.ts';

/** What a process was told that it holds. */
export interface Holding {
  readonly area: number;
  readonly name: string;
  shared: boolean;
  readonly persistent: boolean;
  readonly value: boolean;
}

/** A client process of one host. */
export interface WorkloadClient {
  readonly pid: number;
  readonly host: SanlockHost;
  link: ClientLink;
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
export class WorkloadClaims {
  readonly clients = new Map<number, WorkloadClient>();

  living(): WorkloadClient[] {
    return [...this.clients.values()].filter(({ isAlive }) => isAlive);
  }

  of(host: SanlockHost): WorkloadClient[] {
    return this.living().filter((client) => client.host === host);
  }

  /** Somebody on this host works by a lease. */
  isHeldAt(host: SanlockHost): WorkloadClient | undefined {
    return this.of(host).find((client) => client.holdings.some((one) => !isLeaving(client, one)));
  }

  grant(client: WorkloadClient, holding: Holding): void {
    this.check(client, holding);
    client.holdings.push(holding);
  }

  /** (spec 10 §16 item 1) */
  check(client: WorkloadClient, holding: Holding): void {
    if (isLeaving(client, holding)) return;
    for (const other of this.living()) {
      for (const rival of other.holdings) {
        const isSame = rival === holding || rival.area !== holding.area || isLeaving(other, rival);
        if (isSame || (rival.shared && holding.shared)) continue;
        throw new Error(
          `pid ${client.pid} of ${client.host.name} was given ${textOfHolding(holding)} ` +
            `while pid ${other.pid} of ${other.host.name} has ${textOfHolding(rival)}`,
        );
      }
    }
  }
}

export function textOfHolding({ name, shared }: Pick<Holding, 'name' | 'shared'>): string {
  return `${name}${shared ? ' SH' : ' EX'}`;
}

export function isLeaving(client: WorkloadClient, { name }: Holding): boolean {
  return [...client.releases].some(({ names }) => names === 'all' || names.includes(name));
}
