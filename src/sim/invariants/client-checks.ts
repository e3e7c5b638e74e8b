import { assert } from '../../base/assert.ts';
import { readByteString } from '../../base/bytes.ts';
import { decode } from '../../codec/struct.ts';
import { deltaLeader } from '../../format/leader.ts';
import { decodeRecords, textField } from '../../wire/sanlock/records.ts';
import { RES_FLAGS, type SmHeader, STATE_TYPES } from '../../wire/sanlock/socket.ts';
import { parseState } from '../../wire/sanlock/strings.ts';
import type { SimStorage } from '../kernel/disk.ts';
import { sectorAt } from '../kernel/layout.ts';
import {
  type ClaimingClient,
  type ClaimingHost,
  type ClientClaims,
  textOfHolding,
} from './client-claims.ts';

/** The calls that a front answers from memory. */
const QUICK: readonly string[] = [
  ...['inquire', 'restrict', 'killpath', 'set_lvb', 'get_lvb', 'version', 'status'],
  ...['get_hosts', 'get_lockspaces', 'host_status', 'set_event', 'set_config', 'end_event'],
];
const QUICK_MS = 4000; // a front may stall for three seconds

function heldBy(client: ClaimingClient): string {
  return client.holdings.map(textOfHolding).sort().join(', ');
}

/** The daemon's answer to `inquire` names exactly the leases that it granted. */
export function checkInquiry(client: ClaimingClient, header: SmHeader, body: Uint8Array): void {
  if (!client.isAlive || !client.isKnown || client.isUnsure || client.underWay > 0) return;
  assert(header.data === 0, `inquire of pid ${client.pid} says ${header.data}`);
  const parsed = parseState(readByteString(body, 0, body.length).replace(/\0$/, ''));
  const text = body.length === 0 ? [] : parsed.ok ? parsed.value : null;
  assert(text !== null, 'a state string can be parsed');
  const reported = text
    .map(({ name, flags }) => textOfHolding({ name, shared: (flags & RES_FLAGS.SHARED) !== 0 }))
    .sort()
    .join(', ');
  const held = heldBy(client);
  assert(
    reported === held,
    `inquire of pid ${client.pid} says ${reported}, it was granted ${held}`,
  );
}

/**
 * The daemon's status, answered in the moment of the request.
 * @param clients of its host, those that live
 */
export function checkStatus(clients: readonly ClaimingClient[], body: Uint8Array): void {
  const records = decodeRecords(body);
  assert(records !== null, 'status can be parsed');
  const spaces = records.filter(({ type }) => type === STATE_TYPES.LOCKSPACE);
  const known = clients.filter(({ isKnown }) => isKnown);
  const held = records.filter(
    (record) =>
      record.type === STATE_TYPES.RESOURCE &&
      textField(record, 'list') === 'held' &&
      record.data32 >= 0,
  );
  for (const { data32: pid, name } of held) {
    // One whose connection ended with an earlier daemon holds its leases until it ends.
    const isThere = clients.some((client) => client.pid === pid);
    assert(isThere, `${name} is held by pid ${pid}, which is gone`);
  }
  for (const client of known) {
    if (client.isUnsure) continue;
    const of = records.filter(
      ({ type, data32 }) => type === STATE_TYPES.CLIENT && data32 === client.pid,
    );
    assert(of.length === 1, `pid ${client.pid} shows ${of.length} times in status`);
    if (client.underWay > 0) continue;
    const reported = held
      .filter(({ data32 }) => data32 === client.pid)
      .map(({ name, resource }) =>
        textOfHolding({ name, shared: ((resource?.flags ?? 0) & RES_FLAGS.SHARED) !== 0 }),
      )
      .sort()
      .join(', ');
    const granted = heldBy(client);
    assert(
      reported === granted,
      `status says ${reported} of pid ${client.pid}, it was granted ${granted}`,
    );
    assert(spaces.length > 0 || granted === '', `${granted} of no lockspace`);
  }
}

/** A host id is released, or joined anew, only when no client works by its leases any more. */
export function watchHostLeases(of: {
  readonly storage: SimStorage;
  readonly hosts: readonly ClaimingHost[];
  readonly claims: ClientClaims<ClaimingClient>;
}): void {
  const generations = new Map<number, bigint>();
  of.storage.onLanded = (io, bytes) => {
    const sector = sectorAt(io.offset);
    if (sector.kind !== 'hostLease' || bytes.length !== 512) return;
    const host = of.hosts.find(({ hostId }) => hostId === sector.hostId);
    if (host === undefined) return;
    const { timestampS, ownerGeneration } = decode(deltaLeader, bytes);
    const isSame = generations.get(host.hostId) === ownerGeneration;
    generations.set(host.hostId, ownerGeneration);
    if (isSame && timestampS !== 0n) return;
    const holder = of.claims.holderAt(host);
    const what = timestampS === 0n ? 'released' : 'joined anew';
    assert(
      holder === undefined,
      `${host.name} is ${what} while pid ${holder?.pid} has ${holder && heldBy(holder)}`,
    );
  };
}

/** A connection to a daemon, and its requests that are not answered yet. */
interface CheckedLink<H> {
  readonly unanswered: readonly { readonly name: string; readonly sentMs: number }[];
  /** When the first of them came to be the first. */
  readonly headSinceMs: number;
  readonly isOpen: boolean;
  readonly isChannel: boolean;
  readonly host: H;
}

/** A daemon answers from memory without waiting for another client. */
export function checkQuick<H>(of: {
  readonly links: Iterable<CheckedLink<H>>;
  readonly nowMs: number;
  /** While a daemon takes over from an earlier one. */
  delayMs(host: H): number;
}): void {
  for (const link of of.links) {
    const first = link.unanswered[0];
    if (first === undefined || !link.isOpen || link.isChannel) continue;
    const ageMs = of.nowMs - Math.max(first.sentMs, link.headSinceMs);
    const isLate = QUICK.includes(first.name) && ageMs > QUICK_MS + of.delayMs(link.host);
    assert(!isLate, `${first.name} is not answered for ${Math.round(ageMs)} ms`);
  }
}
