import { SECOND_MS } from '../base/units.ts';
import { encode } from '../codec/struct.ts';
import type { AnnouncedEvent, HostSignal } from '../lease-process/messages.ts';
import {
  EVENT_FLAGS,
  SM_HEADER_BYTES,
  SM_MAGIC,
  SM_PROTO,
  sanlkEventFrom,
  sanlkHostEvent,
  smHeader,
} from '../wire/sanlock/socket.ts';
import { log, toLease } from './effects.ts';
import type { Front } from './front.ts';
import type { EventChannel, Lockspace } from './state.ts';

/** Listeners of one lockspace. */
export const MAX_CHANNELS = 32;
/** Bytes of a listener that are kept until END_EVENT reads them. */
const MAX_UNREAD_BYTES = 64;
const WORD_BYTES = 4;
/** The word with which a listener says that it wants no more events. */
const GOODBYE = 1;
/** `cmd` of a frame that carries an event. */
const EVENT_CMD = 1;
const NO_EVENT: AnnouncedEvent = { generation: 0n, number: 0n, data: 0n };

/** @returns null when every place is taken by a listener that is still there */
export function openChannel(
  front: Front,
  of: Pick<EventChannel, 'connection' | 'lockspace' | 'shared'>,
): EventChannel | null {
  if (channelsOf(front, of.lockspace).length >= MAX_CHANNELS) closeFinished(front, of.lockspace);
  if (channelsOf(front, of.lockspace).length >= MAX_CHANNELS) return null;
  const channel = { ...of, unread: new Uint8Array(0) };
  front.channels.push(channel);
  return channel;
}

export function listenerSent(front: Front, connection: number, bytes: Uint8Array): void {
  for (const channel of front.channels) {
    if (channel.connection !== connection) continue;
    const kept = new Uint8Array(Math.min(channel.unread.length + bytes.length, MAX_UNREAD_BYTES));
    kept.set(channel.unread);
    kept.set(bytes.subarray(0, kept.length - channel.unread.length), channel.unread.length);
    channel.unread = kept;
  }
}

/** The connection has ended, or is about to. */
export function forgetChannels(front: Front, connection: number): void {
  front.channels = front.channels.filter((channel) => channel.connection !== connection);
}

/** END_EVENT names no connection: each listener that wants no more events is closed (spec 20 §4). */
export function closeFinished(front: Front, space: Lockspace): void {
  for (const channel of channelsOf(front, space)) {
    const word = channel.unread.subarray(0, WORD_BYTES);
    if (word.length < WORD_BYTES) continue;
    channel.unread = channel.unread.subarray(WORD_BYTES);
    if (new DataView(word.buffer, word.byteOffset).getUint32(0, true) === GOODBYE) {
      closeChannel(front, channel);
    }
  }
}

/** The lockspace is gone: nothing can be heard from its hosts any more. */
export function closeChannels(front: Front, space: Lockspace): void {
  for (const channel of channelsOf(front, space)) closeChannel(front, channel);
}

/**
 * Sends the events for this host to all listeners: with each renewal of the other host that still
 * carries our bit, as existing clients expect.
 */
export function deliverEvents(
  front: Front,
  space: Lockspace,
  signals: readonly HostSignal[],
): void {
  for (const signal of signals) {
    if (signal.event === null) continue;
    const { fromHostId, event } = signal;
    log(front, 'debug', 'event.received', {
      lockspace: space.name,
      fromHostId,
      event: event.number,
      data: event.data,
    });
    const frame = eventFrame(space, signal, event);
    for (const channel of channelsOf(front, space)) {
      const { connection } = channel;
      front.effects.push({ kind: 'deliver', connection, lockspace: space.id, bytes: frame });
    }
  }
}

/** A listener is gone, or has left too many events unread. */
export function undelivered(front: Front, connection: number, lockspace: number): void {
  const channel = front.channels.find(
    (one) => one.connection === connection && one.lockspace.id === lockspace,
  );
  if (channel === undefined) return; // an earlier one of these events was not taken either
  const fields = { lockspace: channel.lockspace.name, connection };
  log(front, 'warn', 'event.listenerDropped', fields);
  closeChannel(front, channel);
}

/** The order of a SET_EVENT request (spec 10 §10.3). */
export interface EventOrder {
  readonly hostId: number;
  readonly event: AnnouncedEvent;
  readonly flags: number;
}

/** @returns false when another event is still being announced */
export function orderEvent(front: Front, space: Lockspace, order: EventOrder): boolean {
  const { hostId, flags } = order;
  if (flags & EVENT_FLAGS.CLEAR_EVENT) {
    space.event = NO_EVENT;
    return true;
  }
  if (flags & EVENT_FLAGS.CLEAR_HOSTID) {
    space.bits.delete(hostId);
    return true;
  }
  if ((flags & EVENT_FLAGS.REPLACE_EVENT) === 0 && isBusy(front, space, order.event)) return false;
  const wantsCurrent = (flags & EVENT_FLAGS.CUR_GENERATION) !== 0 && order.event.generation === 0n;
  const generation = wantsCurrent
    ? (space.hosts.get(hostId)?.generation ?? 0n)
    : order.event.generation;
  space.event = { ...order.event, generation };
  space.eventSetS = front.nowS;
  const all = (flags & EVENT_FLAGS.ALL_HOSTS) !== 0;
  const targets = all ? Array.from({ length: space.maxHosts }, (_, at) => at + 1) : [hostId];
  for (const target of targets) setBit(front, space, target);
  return true;
}

/** Our next renewals carry that host's bit; our own id and an id that no host can have get none. */
export function setBit(front: Front, space: Lockspace, hostId: number): void {
  const isHost = Number.isInteger(hostId) && hostId >= 1 && hostId <= space.maxHosts;
  if (isHost && hostId !== space.hostId) space.bits.set(hostId, front.nowS);
}

/** All bits share one event: the next one is refused until all hosts have seen the last one. */
function isBusy(front: Front, space: Lockspace, wanted: AnnouncedEvent): boolean {
  const running = space.event?.number ?? 0n;
  if (running === 0n || wanted.number === 0n || running === wanted.number) return false;
  return front.nowS - space.eventSetS < announceS(front, space);
}

/** How long a bit stays in our renewals, and the event with it. */
export function announceS(front: Front, space: Lockspace): number {
  return front.settings.setBitmapS || space.times.bitmapMs / SECOND_MS;
}

/**
 * What the next renewals carry: the bits not older than the set-bit time, and the event. Only what
 * is new is sent: every message wakes the lease process.
 */
export function announce(front: Front, space: Lockspace): void {
  clearOldBits(front, space);
  const { event, announced } = space;
  const hostIds = [...space.bits.keys()];
  const isKnown = event === announced.event && hostIds.join() === announced.hostIds.join();
  if (isKnown) return;
  space.announced = { hostIds, event };
  toLease(front, space.lease, { kind: 'announce', hostIds, event });
}

/** @returns whether a bit was old enough to be cleared */
export function clearOldBits(front: Front, space: Lockspace): boolean {
  const keepS = announceS(front, space);
  const old = [...space.bits].filter(([, setS]) => front.nowS - setS > keepS);
  for (const [hostId] of old) space.bits.delete(hostId);
  return old.length > 0;
}

function eventFrame(space: Lockspace, signal: HostSignal, event: AnnouncedEvent): Uint8Array {
  const bytes = new Uint8Array(SM_HEADER_BYTES + sanlkHostEvent.size + sanlkEventFrom.size);
  const header = encode(smHeader, {
    magic: SM_MAGIC,
    version: SM_PROTO,
    cmd: EVENT_CMD,
    cmdFlags: 0,
    length: bytes.length,
    seq: 0,
    data: 0,
    data2: 0,
  });
  const { generation, number, data } = event;
  const what = { hostId: BigInt(space.hostId), generation, event: number, data };
  const from = { hostId: BigInt(signal.fromHostId), generation: signal.fromGeneration };
  bytes.set(header);
  bytes.set(encode(sanlkHostEvent, what), SM_HEADER_BYTES);
  bytes.set(encode(sanlkEventFrom, from), SM_HEADER_BYTES + sanlkHostEvent.size);
  return bytes;
}

function channelsOf(front: Front, space: Lockspace): EventChannel[] {
  return front.channels.filter((channel) => channel.lockspace === space);
}

function closeChannel(front: Front, channel: EventChannel): void {
  front.channels = front.channels.filter((other) => other !== channel);
  if (!channel.shared) front.effects.push({ kind: 'end', connection: channel.connection });
}
