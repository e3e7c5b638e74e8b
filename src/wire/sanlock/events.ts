import { decode } from '../../codec/struct.ts';
import { SM_HEADER_BYTES, sanlkEventFrom, sanlkHostEvent } from './socket.ts';
import type { HostEvent } from './types.ts';

const SENDER_AT = SM_HEADER_BYTES + sanlkHostEvent.size;

/** Bytes of one message of an event channel: header, event, sender (spec 20 §3, event_cb). */
export const EVENT_BYTES = SENDER_AT + sanlkEventFrom.size;

/** An event, and the host that sent it. */
export interface ReceivedEvent extends HostEvent {
  readonly fromHostId: bigint;
  readonly fromGeneration: bigint;
}

/** @param bytes at least EVENT_BYTES, beginning with the header of the message. */
export function decodeEvent(bytes: Uint8Array): ReceivedEvent {
  const { hostId, generation, event, data } = decode(sanlkHostEvent, bytes, SM_HEADER_BYTES);
  const from = decode(sanlkEventFrom, bytes, SENDER_AT);
  const { hostId: fromHostId, generation: fromGeneration } = from;
  return { hostId, generation, event, data, fromHostId, fromGeneration };
}
