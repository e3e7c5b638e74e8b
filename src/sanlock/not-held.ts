import { SECOND_MS } from '../base/units.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { stop } from './signals.ts';
import type { Resource } from './state.ts';
import { feedAgain, feedNoMore } from './watchdog.ts';

/**
 * Leases which the disk does not show, and which processes here believe to have: another host may
 * have them. Those processes are stopped as the users of a lockspace that is lost. Until they have
 * ended, or released the lease, nobody here is granted it, and wdmd hears of no renewal of the
 * lockspace: one that does not end by SIGKILL either ends with its host.
 */
const MAX_KILL_ATTEMPTS = 100;

export function refuseHold(front: Front, resource: Resource): void {
  resource.state = 'notHeld';
  front.notHeld.set(resource, front.nowMs);
  logNotHeld(front, resource);
  feedNoMore(front, resource.lockspace);
}

/** Also of an orphan: its user is no process, and only an administrator can stop it. */
export function logNotHeld(front: Front, resource: Resource): void {
  const pids = [...new Set(resource.holders.map(({ client }) => client.process?.pid ?? -1))];
  const { lockspace, name, path, offset } = resource;
  const fields = { lockspace: lockspace.name, resource: name, path, offset };
  log(front, 'error', 'lease.notHeld', { ...fields, pids: pids.join(' ') });
}

/** One attempt for each process, at most once a second. */
export function stopNotHeld(front: Front): void {
  if (front.notHeld.size === 0) return;
  const graceMs = front.settings.killGraceS * SECOND_MS;
  for (const [resource, sinceMs] of front.notHeld) {
    if (!front.resources.includes(resource)) {
      ended(front, resource);
      continue;
    }
    const inGrace = front.nowMs - sinceMs < graceMs;
    for (const { client } of resource.holders) {
      if (client.killCount >= MAX_KILL_ATTEMPTS || client.killLastS === front.nowS) continue;
      client.killCount++;
      client.killLastS = front.nowS;
      stop(front, client, { removal: false, inGrace });
    }
  }
}

/** Nobody uses it any more. */
function ended(front: Front, resource: Resource): void {
  front.notHeld.delete(resource);
  const { lockspace } = resource;
  const others = [...front.notHeld.keys()].some((other) => other.lockspace === lockspace);
  if (!others && front.lockspaces.includes(lockspace)) feedAgain(front, lockspace);
}
