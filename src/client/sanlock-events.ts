import type { ByteString } from '../base/bytes.ts';
import { ok } from '../base/result.ts';
import { ByteQueue } from '../codec/byte-queue.ts';
import { endEvents, registerEvents } from '../wire/sanlock/daemon-calls.ts';
import { decodeEvent, EVENT_BYTES, type ReceivedEvent } from '../wire/sanlock/events.ts';
import {
  type Answer,
  callOnce,
  openLink,
  type SanlockEndpoint,
  type SanlockLink,
} from './sanlock-link.ts';

/** The last bytes of a client before it closes its channel. */
const END_OF_CHANNEL = Uint8Array.of(1, 0, 0, 0);

/** An open event channel. */
export interface EventWatch {
  /** Ends the channel on both sides. Safe to repeat. */
  close(): void;
}

/** The callbacks of one event channel. */
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
      deliverEvents(link, handlers.onEvent);
    });
  });
}

/** From now on the connection, over which REG_EVENT was answered, only brings events. */
export function deliverEvents(link: SanlockLink, onEvent: (event: ReceivedEvent) => void): void {
  const arrived = new ByteQueue();
  link.takeBytes((bytes) => {
    arrived.push(bytes);
    while (arrived.length >= EVENT_BYTES) onEvent(decodeEvent(arrived.take(EVENT_BYTES)));
  });
}
