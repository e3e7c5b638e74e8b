import type { SanlockProgram } from '../drive/sanlock-program.ts';
import type { PaxosHold } from '../lease/paxos-hold.ts';
import type { Life } from './claims.ts';
import type { HostClock } from './host-clock.ts';
import type { LeaseSeat } from './lease-seat.ts';

/** One stay of the daemon in the lockspace: a lease process from its `join` to its end. */
export interface Stay {
  readonly front: SanlockProgram;
  readonly life: Life;
  readonly seat: LeaseSeat;
  readonly time: HostClock;
  readonly holds: Map<number, PaxosHold>;
  /** Milliseconds of the running system at the last renewal known to have landed. */
  lastSuccessMs: number | null;
  /** The front let no more leases be granted. */
  isEnding: boolean;
}
