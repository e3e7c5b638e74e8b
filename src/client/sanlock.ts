import { type ByteString, textToName } from '../base/bytes.ts';
import { given } from '../base/given.ts';
import type { Result } from '../base/result.ts';
import type { SanlockCall } from '../wire/sanlock/call.ts';
import { register } from '../wire/sanlock/daemon-calls.ts';
import type { SanlockFailure } from '../wire/sanlock/failure.ts';
import { type EventHandlers, type EventWatch, watchEvents } from './sanlock-events.ts';
import type { SanlockLink } from './sanlock-link.ts';
import {
  type Answer,
  type Cancel,
  callOnce,
  openLink,
  type SanlockEndpoint,
} from './sanlock-link.ts';

/** How long a call waits, and how it is given up. */
export interface CallOptions {
  /** Milliseconds; without it a minute, 10 minutes or a day, by what the call does. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Calls a sanlock daemon. Each function of wire/sanlock/daemon-calls, lease-calls, area-calls and
 * rindex-calls gives one SanlockCall for `call`.
 *
 * No method rejects: a refusal, a missing daemon and a passed deadline are all a SanlockFailure.
 */
export class SanlockClient {
  readonly #endpoint: SanlockEndpoint;

  constructor(endpoint: SanlockEndpoint) {
    this.#endpoint = endpoint;
  }

  /** One call over a connection of its own; no lease can be acquired for this process that way. */
  call<T>(call: SanlockCall<T>, options: CallOptions = {}): Promise<Result<T, SanlockFailure>> {
    return settled(options, (answer) => callOnce(this.#endpoint, call, options.timeoutMs, answer));
  }

  /**
   * Registers this process: leases acquired through the session belong to it, and the daemon
   * kills the process when their lockspace is lost. Closing the session releases them.
   */
  async registerProcess(
    options: CallOptions = {},
  ): Promise<Result<SanlockSession, SanlockFailure>> {
    const during = { during: 'register', ...options };
    const opened = await settled<SanlockLink>(options, (answer) => {
      openLink(this.#endpoint, during, answer);
      return { cancel: () => undefined };
    });
    if (!opened.ok) return opened;
    const session = new SanlockSession(opened.value);
    const registered = await session.call(register(), options);
    return registered.ok ? { ok: true, value: session } : registered;
  }

  /** Listens for the events that other hosts of a lockspace send to this one. */
  watchEvents(
    lockspaceName: ByteString,
    handlers: EventHandlers,
    options: CallOptions = {},
  ): Promise<Result<EventWatch, SanlockFailure>> {
    return settled(options, (answer) => {
      watchEvents(this.#endpoint, lockspaceName, handlers, answer);
      return { cancel: () => undefined };
    });
  }
}

/** A registered connection. Keep it open for as long as its leases are needed. */
export class SanlockSession {
  readonly #link: SanlockLink;

  constructor(link: SanlockLink) {
    this.#link = link;
  }

  /** Its file descriptor. */
  get fd(): number {
    return this.#link.fd;
  }

  /** The daemon is gone: leases are still ours on disk, until it restarts or the host is reset. */
  onLost(handler: () => void): void {
    this.#link.onClosed(handler);
  }

  /** Calls are answered in order. Giving up on one does not close the session. */
  call<T>(call: SanlockCall<T>, options: CallOptions = {}): Promise<Result<T, SanlockFailure>> {
    return settled(options, (answer) => this.#link.call(call, options.timeoutMs, answer));
  }

  /** The daemon releases every lease acquired through it. Safe to repeat. */
  close(): void {
    this.#link.close();
  }
}

/** `$SANLOCK_RUN_DIR/sanlock.sock`, by default `/run/sanlock/sanlock.sock`, cut as C does. */
export function sanlockSocketPath(runDirectory: string | undefined): ByteString {
  const longest = 106;
  return `${textToName(given(runDirectory) ?? '/run/sanlock')}/sanlock.sock`.slice(0, longest);
}

function settled<T>(
  options: CallOptions,
  start: (answer: Answer<T>) => Cancel,
): Promise<Result<T, SanlockFailure>> {
  return new Promise((resolve) => {
    let isSettled = false;
    const abort = () => started.cancel();
    const started = start((result) => {
      isSettled = true;
      options.signal?.removeEventListener('abort', abort);
      resolve(result);
    });
    if (isSettled) return;
    if (options.signal?.aborted === true) started.cancel();
    else options.signal?.addEventListener('abort', abort, { once: true });
  });
}
