import type { ByteString } from '../base/bytes.ts';
import { ok } from '../base/result.ts';
import { ByteQueue } from '../codec/byte-queue.ts';
import { decode } from '../codec/struct.ts';
import { endEvents, registerEvents } from '../wire/sanlock/daemon-calls.ts';
import { SM_HEADER_BYTES, sanlkHostEvent } from '../wire/sanlock/socket.ts';
import type { HostEvent } from '../wire/sanlock/types.ts';
import { type Answer, callOnce, openLink, type SanlockEndpoint } from './sanlock-link.ts';

/** One message of the event channel: header, event, and who sent it (spec 20 §3, event_cb). */
const EVENT_BYTES = SM_HEADER_BYTES + sanlkHostEvent.size + 16;
const SENDER_AT = SM_HEADER_BYTES + sanlkHostEvent.size;
/** What a client sends before it closes its channel. */
const END_OF_CHANNEL = Uint8Array.of(1, 0, 0, 0);

export interface ReceivedEvent extends HostEvent {
  readonly fromHostId: bigint;
  readonly fromGeneration: bigint;
}

/** An open event channel. */
export interface EventWatch {
  /** Ends the channel and tells the daemon. Safe to repeat. */
  close(): void;
}

export interface EventHandlers {
  /** Delivered again with every renewal that still carries it. */
  readonly onEvent: (event: ReceivedEvent) => void;
  /** The daemon ended the channel: the lockspace or the daemon is gone. */
  readonly onClosed: () => void;
}

/** Listens for the events that other hosts of a lockspace send to this one. */
export function watchEvents(
  endpoint: SanlockEndpoint,
  lockspaceName: ByteString,
  handlers: EventHandlers,
  answer: Answer<EventWatch>,
): void {
  openLink(endpoint, { during: 'reg_event' }, (opened) => {
    if (!opened.ok) {
      answer(opened);
      return;
    }
    const link = opened.value;
    link.call(registerEvents(lockspaceName), undefined, (registered) => {
      if (!registered.ok) {
        link.close();
        answer(registered);
        return;
      }
      const arrived = new ByteQueue();
      link.onClosed(handlers.onClosed);
      answer(
        ok({
          close: () => {
            if (link.isClosed) return;
            link.send(END_OF_CHANNEL);
            link.close();
            callOnce(endpoint, endEvents(lockspaceName), undefined, () => undefined);
          },
        }),
      );
      link.takeBytes((bytes) => {
        arrived.push(bytes);
        while (arrived.length >= EVENT_BYTES)
          handlers.onEvent(decodeEvent(arrived.take(EVENT_BYTES)));
      });
    });
  });
}

export function decodeEvent(bytes: Uint8Array): ReceivedEvent {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    ...decode(sanlkHostEvent, bytes, SM_HEADER_BYTES),
    fromHostId: view.getBigUint64(SENDER_AT, true),
    fromGeneration: view.getBigUint64(SENDER_AT + 8, true),
  };
}
