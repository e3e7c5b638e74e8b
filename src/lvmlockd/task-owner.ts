import { unreachable } from '../base/assert.ts';
import type { DaemonState, Lockspace, TaskOwner } from './state.ts';

/** Resumed in any case: the daemon itself wants to know. */
export const OF_DAEMON: TaskOwner = { of: 'daemon' };

export function ofClient({ clientId }: { readonly clientId: number }): TaskOwner {
  return { of: 'client', clientId };
}

export function ofSpace(lockspace: Lockspace): TaskOwner {
  return { of: 'lockspace', lockspace };
}

export function isPresent(state: DaemonState, owner: TaskOwner): boolean {
  switch (owner.of) {
    case 'daemon':
      return true;
    case 'client':
      return state.clients.has(owner.clientId);
    case 'lockspace':
      return state.lockspaces.includes(owner.lockspace);
    default:
      return unreachable(owner);
  }
}
