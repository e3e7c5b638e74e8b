import type { PaxosHold } from '../../lease/paxos-hold.ts';
import { Violation } from './violation.ts';

/** One stay of a machine in the lockspace: from joining until its program is gone. */
export interface Life {
  /** 'machine.stay', as in traces: '3.2'. */
  readonly label: string;
  readonly hostId: number;
  generation: bigint | null;
  /** Left, crashed or killed: it may start nothing. */
  isOver: boolean;
  /** Own expiry by its own clock. */
  readonly isExpired: () => boolean;
}

/** A user of the lease on some host believes that it may work. */
export interface Claim {
  readonly life: Life;
  readonly resource: number;
  mode: 'exclusive' | 'shared';
  hold: PaxosHold;
  /** A conversion is under way: the disk may show either mode. */
  isChanging: boolean;
}

/** Who believes to hold what: the truth that the disk protocol is there to protect. */
export class Claims {
  readonly #byResource = new Map<number, Claim[]>();

  of(resource: number): readonly Claim[] {
    return this.#byResource.get(resource) ?? [];
  }

  find(life: Life, resource: number): Claim | null {
    return this.of(resource).find((claim) => claim.life === life) ?? null;
  }

  countOf(life: Life): number {
    let count = 0;
    for (const claims of this.#byResource.values()) {
      for (const claim of claims) if (claim.life === life) count++;
    }
    return count;
  }

  /** The daemon said yes to a user. (spec 10 §16 items 1, 9, 13) */
  grant(life: Life, resource: number, hold: PaxosHold): Claim {
    const mode = hold.shared ? 'shared' : 'exclusive';
    const what = `${mode} R${resource} lver ${hold.leader.lver} granted to ${life.label}`;
    if (life.isOver || life.isExpired()) throw new Violation(9, `${what} after its own expiry`);
    if (hold.leader.ownerGeneration !== life.generation) {
      const found = hold.leader.ownerGeneration;
      throw new Violation(13, `${what} as generation ${found}, but it is ${life.generation}`);
    }
    const claim: Claim = { life, resource, mode, hold, isChanging: false };
    this.#check(claim, what);
    this.#byResource.set(resource, [...this.of(resource), claim]);
    return claim;
  }

  /** A user asked for the other mode; from here on an exclusive user that steps down is a sharer. */
  changing(claim: Claim, toShared: boolean): void {
    claim.isChanging = true;
    if (toShared) claim.mode = 'shared';
  }

  /** `hold`: the new one, or null when the daemon refused and the old mode stays. */
  changed(claim: Claim, hold: PaxosHold | null): void {
    claim.isChanging = false;
    if (hold !== null) claim.hold = hold;
    claim.mode = claim.hold.shared ? 'shared' : 'exclusive';
    this.#check(
      claim,
      `${claim.mode} R${claim.resource} after a conversion of ${claim.life.label}`,
    );
  }

  /** The user stopped working: it died, or is about to release. */
  end(claim: Claim): void {
    this.#byResource.set(
      claim.resource,
      this.of(claim.resource).filter((other) => other !== claim),
    );
  }

  endAll(life: Life): void {
    for (const [resource, claims] of this.#byResource) {
      const left = claims.filter((claim) => claim.life !== life);
      this.#byResource.set(resource, left);
    }
  }

  #check(claim: Claim, what: string): void {
    const rival = this.of(claim.resource).find(
      (other) =>
        other !== claim &&
        (other.life === claim.life || other.mode === 'exclusive' || claim.mode === 'exclusive'),
    );
    if (rival === undefined) return;
    const { life, mode, hold } = rival;
    const who = `${life.label} (generation ${life.generation})`;
    throw new Violation(1, `${what} while ${who} holds it ${mode}, lver ${hold.leader.lver}`);
  }
}
