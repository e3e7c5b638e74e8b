/** A lease that a client holds by the daemon's answers. */
export interface Holding {
  readonly area: number;
  readonly name: string;
  shared: boolean;
  readonly persistent: boolean;
  readonly value: boolean;
  /** From an earlier daemon: a client that names it once more has it, and not another one. */
  isInherited?: boolean;
}

/** A host by its name in traces. */
export interface ClaimingHost {
  readonly name: string;
  readonly hostId: number;
}

/** A client process of one host, as far as its leases go. */
export interface ClaimingClient {
  readonly pid: number;
  readonly host: ClaimingHost;
  isAlive: boolean;
  /** Its connection, by which the daemon knows it, is open. */
  isKnown: boolean;
  readonly holdings: Holding[];
  /**
   * Its daemon died. Its holdings are what it works by; the next daemon may know of others, or may
   * not have compared them with the disk yet.
   */
  isUnsure: boolean;
  /** Releases that are not answered yet: the client works no more by what they name. */
  readonly releases: Set<{ readonly names: readonly string[] | 'all' }>;
  /** Requests about it that are not answered yet. */
  underWay: number;
}

/** The leases that clients hold by the daemons' answers, over all hosts. */
export class ClientClaims<C extends ClaimingClient> {
  readonly clients = new Map<number, C>();

  living(): C[] {
    return [...this.clients.values()].filter(({ isAlive }) => isAlive);
  }

  of(host: ClaimingHost): C[] {
    return this.living().filter((client) => client.host === host);
  }

  /** A client on this host that works by a lease. */
  holderAt(host: ClaimingHost): C | undefined {
    return this.of(host).find((client) => client.holdings.some((one) => !isLeaving(client, one)));
  }

  grant(client: C, holding: Holding): void {
    this.check(client, holding);
    client.holdings.push(holding);
  }

  /** (spec 10 §16 item 1) */
  check(client: C, holding: Holding): void {
    if (isLeaving(client, holding)) return;
    for (const other of this.living()) {
      for (const rival of other.holdings) {
        const isSame = rival === holding || rival.area !== holding.area || isLeaving(other, rival);
        if (isSame || (rival.shared && holding.shared)) continue;
        throw new Error(
          `pid ${client.pid} of ${client.host.name} was granted ${textOfHolding(holding)} ` +
            `while pid ${other.pid} of ${other.host.name} has ${textOfHolding(rival)}`,
        );
      }
    }
  }
}

export function textOfHolding({ name, shared }: Pick<Holding, 'name' | 'shared'>): string {
  return `${name}${shared ? ' SH' : ' EX'}`;
}

export function isLeaving(client: ClaimingClient, { name }: Holding): boolean {
  return [...client.releases].some(({ names }) => names === 'all' || names.includes(name));
}
