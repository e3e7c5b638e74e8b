import type { HeldLease } from '../../lease-process/messages.ts';
import { Violation } from './violation.ts';

/** One membership of a host in the lockspace: from joining until its lease process is gone. */
export interface Incarnation {
  /** 'host.membership', as in traces: '3.2'. */
  readonly label: string;
  readonly hostId: number;
  generation: bigint | null;
  /** Left, crashed or killed: it may start no write. */
  isOver: boolean;
  /** Own expiry by its own clock. */
  readonly isExpired: () => boolean;
}

/** A user on some host that may work by the daemon's word. */
export interface Claim {
  readonly incarnation: Incarnation;
  readonly resource: number;
  mode: 'exclusive' | 'shared';
  hold: HeldLease;
  /** A conversion is under way: the disk may show either mode. */
  isChanging: boolean;
}

/** The users of each lease: what the disk protocol protects. */
export class Claims {
  readonly #byResource = new Map<number, Claim[]>();

  of(resource: number): readonly Claim[] {
    return this.#byResource.get(resource) ?? [];
  }

  find(incarnation: Incarnation, resource: number): Claim | null {
    return this.of(resource).find((claim) => claim.incarnation === incarnation) ?? null;
  }

  /** Its claims, in the order of the resources. */
  heldBy(incarnation: Incarnation): Claim[] {
    const resources = [...this.#byResource.keys()].sort((a, b) => a - b);
    return resources.flatMap((resource) => this.find(incarnation, resource) ?? []);
  }

  countOf(incarnation: Incarnation): number {
    let count = 0;
    for (const claims of this.#byResource.values()) {
      for (const claim of claims) if (claim.incarnation === incarnation) count++;
    }
    return count;
  }

  /** The daemon granted a user the lease. (spec 10 §16 items 1, 9, 13) */
  grant(incarnation: Incarnation, resource: number, hold: HeldLease): Claim {
    const mode = hold.shared ? 'shared' : 'exclusive';
    const what = `${mode} R${resource} lver ${hold.lver} granted to ${incarnation.label}`;
    if (incarnation.isOver || incarnation.isExpired())
      throw new Violation(9, `${what} after its own expiry`);
    if (hold.generation !== incarnation.generation) {
      const found = hold.generation;
      throw new Violation(
        13,
        `${what} as generation ${found}, but it is ${incarnation.generation}`,
      );
    }
    const claim: Claim = { incarnation, resource, mode, hold, isChanging: false };
    this.#check(claim, what);
    this.#byResource.set(resource, [...this.of(resource), claim]);
    return claim;
  }

  /** A user requested the other mode; an exclusive user that steps down is a sharer from now on. */
  changing(claim: Claim, toShared: boolean): void {
    claim.isChanging = true;
    if (toShared) claim.mode = 'shared';
  }

  /** `hold`: the new one, or null when the daemon refused and the old mode stays. */
  changed(claim: Claim, hold: HeldLease | null): void {
    claim.isChanging = false;
    if (hold !== null) claim.hold = hold;
    claim.mode = claim.hold.shared ? 'shared' : 'exclusive';
    this.#check(
      claim,
      `${claim.mode} R${claim.resource} after a conversion of ${claim.incarnation.label}`,
    );
  }

  /** The user stopped working: it died, or is about to release. */
  end(claim: Claim): void {
    this.#byResource.set(
      claim.resource,
      this.of(claim.resource).filter((other) => other !== claim),
    );
  }

  endAll(incarnation: Incarnation): void {
    for (const [resource, claims] of this.#byResource) {
      const left = claims.filter((claim) => claim.incarnation !== incarnation);
      this.#byResource.set(resource, left);
    }
  }

  #check(claim: Claim, what: string): void {
    const rival = this.of(claim.resource).find(
      (other) =>
        other !== claim &&
        (other.incarnation === claim.incarnation ||
          other.mode === 'exclusive' ||
          claim.mode === 'exclusive'),
    );
    if (rival === undefined) return;
    const { incarnation, mode, hold } = rival;
    const who = `${incarnation.label} (generation ${incarnation.generation})`;
    throw new Violation(1, `${what} while ${who} holds it ${mode}, lver ${hold.lver}`);
  }
}
