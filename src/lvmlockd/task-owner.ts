import { unreachable } from '../base/assert.ts';
import type { DaemonState, Life, Lockspace } from './state.ts';

/** Goes on whoever is gone: knowledge of the daemon itself. */
export const OF_DAEMON: Life = { of: 'daemon' };

export function ofClient({ clientId }: { readonly clientId: number }): Life {
  return { of: 'client', clientId };
}

export function ofSpace(lockspace: Lockspace): Life {
  return { of: 'lockspace', lockspace };
}

export function isAlive(state: DaemonState, life: Life): boolean {
  switch (life.of) {
    case 'daemon':
      return true;
    case 'client':
      return state.clients.has(life.clientId);
    case 'lockspace':
      return state.lockspaces.includes(life.lockspace);
    default:
      return unreachable(life);
  }
}
