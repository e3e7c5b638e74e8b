import { log } from './effects.ts';
import type { FrontEvent } from './events.ts';
import { type Front, MAX_CLIENTS } from './front.ts';
import { forgetHeld } from './held-requests.ts';
import { recordClosed } from './holder-journal.ts';
import { forgetChannels } from './host-events.ts';
import { leaveToProcess } from './inherited-clients.ts';
import { releaseDead } from './release.ts';
import { type Client, newClient } from './state.ts';
import { forgetWaiter } from './waiters.ts';

export function opened(front: Front, event: Extract<FrontEvent, { kind: 'opened' }>): void {
  const { connection, fd, process, uid } = event;
  const slot = front.freeSlot();
  if (slot === null) {
    // The original leaves such a connection open and never serves it; closed, it knows.
    log(front, 'warn', 'client.refused', { clients: MAX_CLIENTS });
    front.effects.push({ kind: 'refuse', connection });
    return;
  }
  front.clients.set(connection, newClient({ connection, slot, fd, process, uid }));
}

/** The end of a registered connection is taken as the death of its process (spec 20 §5). */
export function closed(front: Front, connection: number): void {
  const client = front.clients.get(connection);
  forgetChannels(front, connection);
  if (client === undefined) return; // it became a listener, or was ended by us
  front.clients.delete(connection);
  forgetWaiter(front, client);
  forgetHeld(front, client);
  front.onlyInherited.delete(client);
  client.dead = true;
  client.pid = -1;
  leaveToProcess(front, client, () => ended(front, client));
}

function ended(front: Front, client: Client): void {
  recordClosed(front, client);
  // A command that runs for it still owns its tokens, and releases them when it ends.
  if (client.registered && client.active === 0) releaseDead(front, client);
}

/** Closed once what was sent has gone out. */
export function endConnection(front: Front, client: Client): void {
  if (client.dead) return;
  closed(front, client.connection);
  front.effects.push({ kind: 'end', connection: client.connection });
}

/** Whether its next request may be served now. */
export function isServed(front: Front, connection: number): boolean {
  if (front.handsOver !== null) return false; // it is for the successor
  return front.clients.get(connection)?.suspended === false;
}
