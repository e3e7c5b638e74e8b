import type { InvariantChecker } from '../invariants/checker.ts';
import type { SimClock } from '../kernel/clock.ts';
import type { Dice } from '../kernel/dice.ts';
import type { SimStorage } from '../kernel/disk.ts';
import type { WorldOptions } from './options.ts';

/** What an administrator configured on a host. */
export interface SiteSettings {
  readonly hostId: number;
  readonly hostName: string;
  readonly ioTimeoutS: number;
  /** The image of another host that runs too: one name, one host id, two hosts. */
  readonly isClone: boolean;
}

/** The users of a host: they send requests while the host is a member. */
export interface SiteUsers {
  start(): void;
  /** The membership goes on: what they requested before may still be answered. */
  resume(): void;
  stop(): void;
}

/** What a site needs of its world. */
export interface SiteWorld {
  readonly options: WorldOptions;
  readonly clock: SimClock;
  readonly storage: SimStorage;
  readonly dice: Dice;
  readonly checker: InvariantChecker;
  /** The end of a run: no new requests, no new faults. */
  readonly isQuiet: boolean;
  /** Adds a line to the trace. */
  log(actor: string, text: string): void;
}
