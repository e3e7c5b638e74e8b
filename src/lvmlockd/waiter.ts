import type { LvmlockdRequest } from '../wire/lvmlockd/requests.ts';

/** A request that is still to be answered, and its client. */
export interface Waiter {
  readonly clientId: number;
  readonly request: LvmlockdRequest;
}
