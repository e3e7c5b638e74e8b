import type { LeaseCommand, LeaseCommandResult } from '../../lease-process/messages.ts';
import type { FaultTarget } from '../faults/host-faults.ts';
import type { Incarnation } from '../invariants/claims.ts';
import type { Hardware } from './hardware.ts';

/** One host in a world: the faults it may have, and the requests its users may send. */
export interface Site extends FaultTarget {
  readonly hardware: Hardware;
  /** The membership in which users may request leases; null while there is none. */
  readonly incarnation: Incarnation | null;
  /**
   * A user's request on its way.
   * @param resource that of the hold which the command names
   * @returns its number, for `cancel`; null when no program takes it
   */
  run(
    command: LeaseCommand,
    answer: (result: LeaseCommandResult) => void,
    resource?: number,
  ): number | null;
  cancel(id: number): void;
  /** Whether a user starts to work by a grant that reaches it now. */
  mayUse(incarnation: Incarnation): boolean;
}
