import type { Front } from './front.ts';
import { recordClosed, recordMove, recordRegistered } from './holder-journal.ts';
import type { ClientFacts } from './holder-lines.ts';
import { type Client, newClient, type Resource, type Token } from './state.ts';
import type { UserProcess } from './user-process.ts';

/**
 * Clients of an earlier daemon. Their connections ended with it, and their processes go on: each is
 * a client without a connection, known by its process, whose end is its end. A connection of the
 * same process, and of no other, can take over what it has:
 *
 * - by REGISTER, if the process had one connection to the earlier daemon;
 * - a lease by naming it. Until a connection has named a lease, each of its process can.
 */
export function inheritClient(front: Front, facts: ClientFacts, process: UserProcess): Client {
  const { pid, killpath, killargs, killpathPid, restricted, ownerName } = facts;
  const connection = front.newInheritedConnection();
  const slot = front.freeSlot() ?? NO_SLOT;
  const client = newClient({ connection, slot, fd: -1, process });
  const known = { pid, killpath, killargs, killpathPid, restricted };
  client.ownerName = ownerName === '' ? `${pid}` : ownerName;
  Object.assign(client, { registered: true, ...known });
  front.clients.set(connection, client);
  return client;
}

/** Of one for which there is no place: it is shown, and takes none from others. */
const NO_SLOT = -1;

export function isInherited({ connection }: Client): boolean {
  return connection < 0;
}

/** The same process, and not a later one of its pid. */
function isOfSameProcess(one: Client, other: Client): boolean {
  const [a, b] = [one.process, other.process];
  if (a === null || b === null || a.pid !== b.pid) return false;
  return a.identity !== null && a.identity === b.identity;
}

/**
 * The claim on `resource` that the process of `client` has from an earlier daemon, moved to
 * `client`. It stays inherited until the client is told that it has it (`settleClaim`).
 * @returns null: there is none, or it cannot be recorded, and stays where it is
 */
export function claimToken(front: Front, client: Client, resource: Resource): Token | null {
  for (const token of resource.holders) {
    if (!token.inherited) continue;
    if (token.client === client) return token;
    if (!isOfSameProcess(token.client, client)) continue;
    return move(front, token, client) ? token : null;
  }
  return null;
}

/** Its client has named it: no other connection of the process can any more. */
export function settleClaim(token: Token): void {
  token.inherited = false;
}

/** What the process of `client` has from an earlier daemon, and no connection of it has named. */
export function unnamedTokens(front: Front, client: Client): Token[] {
  const found: Token[] = [];
  for (const other of front.clients.values()) {
    if (other === client || !isOfSameProcess(other, client)) continue;
    for (const token of other.tokens) if (token.inherited) found.push(token);
  }
  return found;
}

function move(front: Front, token: Token, client: Client): boolean {
  const { client: before } = token;
  token.client = client;
  if (!recordMove(front, token)) {
    token.client = before;
    return false;
  }
  before.tokens.splice(before.tokens.indexOf(token), 1);
  client.tokens.push(token);
  token.resource.lastPid = client.pid;
  if (isInherited(before)) forgetUnused(front, before);
  return true;
}

/**
 * The process has registered: its connection gets what its only connection to the earlier daemon
 * had, and is stopped as that one had asked. A client that only stood for the process is forgotten.
 */
export function claimAll(front: Front, client: Client): void {
  if (client.dead || isInherited(client)) return;
  claimOnly(front, client);
  for (const before of front.clients.values()) {
    const isOver = isInherited(before) && before.tokens.length === 0;
    if (isOver && isOfSameProcess(before, client)) forgetUnused(front, before);
  }
}

function claimOnly(front: Front, client: Client): void {
  for (const before of front.onlyInherited) {
    if (!isOfSameProcess(before, client)) continue;
    if (client.killpath === '' && client.restricted === 0) {
      const { killpath, killargs, killpathPid, restricted } = before;
      Object.assign(client, { killpath, killargs, killpathPid, restricted });
    }
    client.ownerName = before.ownerName;
    for (const token of [...before.tokens]) if (!move(front, token, client)) return;
    return;
  }
}

/**
 * The connection of `client` has ended. What it never named was perhaps of another part of its
 * program: while the process lives it is of the process again.
 * @param done goes on in the same instant
 */
export function leaveToProcess(front: Front, client: Client, done: () => void): void {
  const { process } = client;
  const left = client.tokens.filter(({ inherited }) => inherited);
  // Asked last: it is found in /proc, and most connections end without anything to leave.
  const identity = left.length === 0 || isInherited(client) ? null : (process?.identity ?? null);
  if (process === null || identity === null) {
    done();
    return;
  }
  const { pid } = process;
  front.findProcess({ pid, identity }, (living) => {
    if (living !== null) {
      const { killpath, killargs, killpathPid, restricted, ownerName } = client;
      const how = { killpath, killargs, killpathPid, restricted, ownerName };
      const heir = inheritClient(front, { holder: '', pid, started: identity, ...how }, living);
      recordRegistered(front, heir);
      for (const token of left) if (!move(front, token, heir)) break;
    }
    done();
  });
}

/** After a lockspace was handed over: connections that were there before. */
export function claimForConnections(front: Front): void {
  if (front.onlyInherited.size === 0) return;
  for (const client of [...front.clients.values()]) if (client.registered) claimAll(front, client);
}

/** All it had has moved, and no lockspace with leases of it may still be handed over. */
function forgetUnused(front: Front, client: Client): void {
  if (client.tokens.length > 0 || client.process === null || isSurvivor(front, client)) return;
  front.clients.delete(client.connection);
  front.onlyInherited.delete(client);
  recordClosed(front, client);
  front.effects.push({ kind: 'unwatch', process: client.process });
}

function isSurvivor({ survivors }: Front, client: Client): boolean {
  for (const { holders } of survivors) {
    for (const holder of holders.values()) if (holder.client === client) return true;
  }
  return false;
}
