import type { Front } from './front.ts';
import type { Client } from './state.ts';

/** All are removed before the first is called: one that is woken may wait again at once. */
export function wakeAll<Wake>(waiters: Map<Client, Wake>, call: (wake: Wake) => void): void {
  const all = [...waiters.values()];
  waiters.clear();
  for (const wake of all) call(wake);
}

/** The connection has ended: there is no client to answer any more. */
export function forgetWaiter(front: Front, client: Client): void {
  front.shutdownWaiters.delete(client.connection);
  for (const space of front.lockspaces) {
    space.inquireWaiters.delete(client);
    space.removeWaiters.delete(client);
  }
}
