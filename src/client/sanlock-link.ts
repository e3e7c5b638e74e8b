import type { ByteString } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { ByteQueue } from '../codec/byte-queue.ts';
import { decode } from '../codec/struct.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Connecting, Connection } from '../ports/sockets.ts';
import {
  MALFORMED,
  MAX_REPLY_BYTES,
  PATIENCE_MS,
  type Refusal,
  type SanlockCall,
} from '../wire/sanlock/call.ts';
import { makeFailure, type SanlockFailure } from '../wire/sanlock/failure.ts';
import { SM_HEADER_BYTES, SM_MAGIC, smHeader } from '../wire/sanlock/socket.ts';

/** Where a daemon listens, and the ports by which it is reached. */
export interface SanlockEndpoint {
  readonly sockets: Connecting;
  readonly clock: Clock;
  /** `<run directory>/sanlock.sock`. */
  readonly socketPath: ByteString;
}

/** Takes the value of a call, or its failure; called once. */
export type Answer<T> = (result: Result<T, SanlockFailure>) => void;

/** Stops waiting: the call is answered at once with −125; the daemon may still carry it out. */
export interface Cancel {
  cancel(): void;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Calls on one connection that are not answered; one more is refused with −11. */
export const MAX_QUEUED_CALLS = 256;

interface Pending {
  readonly call: SanlockCall<unknown>;
  /** Settles the caller, once; later answers are dropped. */
  readonly settle: (result: Result<unknown, SanlockFailure>) => void;
}

/**
 * One open connection, its calls answered in order. Giving up on a call keeps the connection: to
 * the daemon its end means that the process died, and it would release every lease of it. The
 * late answer is taken off the wire and dropped.
 */
export class SanlockLink {
  readonly #endpoint: SanlockEndpoint;
  readonly #connection: Connection;
  readonly #arrived = new ByteQueue();
  readonly #pending: Pending[] = [];
  #closedHandler: (() => void) | null = null;
  #rawHandler: ((bytes: Uint8Array) => void) | null = null;
  #closed = false;

  constructor(endpoint: SanlockEndpoint, connection: Connection) {
    this.#endpoint = endpoint;
    this.#connection = connection;
    connection.onData((bytes) => this.#onData(bytes));
    connection.onClosed(() => this.#onClosed());
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  get fd(): number {
    return this.#connection.fd;
  }

  /** The daemon ended the connection, or it broke. Not called after `close()`. */
  onClosed(handler: () => void): void {
    this.#closedHandler = handler;
  }

  /** From now on the handler gets bytes as they come, and no more calls are made (events). */
  takeBytes(handler: (bytes: Uint8Array) => void): void {
    this.#rawHandler = handler;
    if (this.#arrived.length > 0) handler(this.#arrived.take(this.#arrived.length));
  }

  send(bytes: Uint8Array): void {
    if (!this.#closed) this.#connection.send(bytes);
  }

  call<T>(call: SanlockCall<T>, timeoutMs: number | undefined, answer: Answer<T>): Cancel {
    if (this.#closed || this.#pending.length >= MAX_QUEUED_CALLS) {
      const code = this.#closed ? -ERRNO.ENOTCONN : -ERRNO.EAGAIN;
      answer(fail(this.#failure(call, { code, outcome: 'unsent' })));
      return { cancel: () => undefined };
    }
    if (call.reply === 'silence') {
      this.#connection.send(call.request);
      const silence = { ...SILENT, cmd: 0 };
      const result = call.decode(silence, new Uint8Array(0));
      answer(result.ok ? result : fail(this.#failure(call, { code: -1, outcome: 'unsent' })));
      return { cancel: () => undefined };
    }
    return this.#callAndWait(call, timeoutMs ?? PATIENCE_MS[call.patience], answer);
  }

  #callAndWait<T>(call: SanlockCall<T>, timeoutMs: number, answer: Answer<T>): Cancel {
    let waiting = true;
    const settle = (result: Result<unknown, SanlockFailure>) => {
      if (!waiting) return;
      waiting = false;
      timer.cancel();
      answer(result as Result<T, SanlockFailure>); // decoded by this very call
    };
    const giveUp = (code: number) =>
      settle(fail(this.#failure(call, { code, outcome: 'unknown' })));
    const timer: Timer = this.#endpoint.clock.after(timeoutMs, () => giveUp(-ERRNO.ETIMEDOUT));
    this.#pending.push({ call, settle });
    if (!this.#connection.send(call.request)) this.#onClosed();
    return { cancel: () => giveUp(-ERRNO.ECANCELED) };
  }

  /** Bytes already sent go out; calls without an answer fail. Safe to repeat. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.end();
    this.#failPending();
  }

  #onData(bytes: Uint8Array): void {
    if (this.#closed) return;
    if (this.#rawHandler !== null) {
      this.#rawHandler(bytes);
      return;
    }
    this.#arrived.push(bytes);
    while (this.#takeAnswer());
    const isFlood = this.#pending.length === 0 && this.#rawHandler === null;
    if (this.#arrived.length > (isFlood ? SM_HEADER_BYTES : MAX_REPLY_BYTES)) this.#break();
  }

  /** Takes one whole answer off the queue; false when there is none yet. */
  #takeAnswer(): boolean {
    const next = this.#pending[0];
    if (next === undefined || this.#closed || this.#rawHandler !== null) return false;
    if (this.#arrived.length < SM_HEADER_BYTES) return false;
    const header = decode(smHeader, this.#arrived.peek(SM_HEADER_BYTES));
    if (header.magic !== SM_MAGIC) {
      this.#break();
      return false;
    }
    if (next.call.reply === 'stream') return false;
    const bodyBytes =
      next.call.reply === 'log' ? Math.max(0, header.data) : header.length - SM_HEADER_BYTES;
    if (bodyBytes < 0 || bodyBytes > MAX_REPLY_BYTES) {
      this.#break();
      return false;
    }
    if (this.#arrived.length < SM_HEADER_BYTES + bodyBytes) return false;
    this.#pending.shift();
    const answer = this.#arrived.take(SM_HEADER_BYTES + bodyBytes);
    this.#settle(next, next.call.decode(header, answer.subarray(SM_HEADER_BYTES)));
    return true;
  }

  #onClosed(): void {
    if (this.#closed) return;
    const next = this.#pending[0];
    if (next?.call.reply === 'stream' && this.#arrived.length >= SM_HEADER_BYTES) {
      const header = decode(smHeader, this.#arrived.peek(SM_HEADER_BYTES));
      const answer = this.#arrived.take(this.#arrived.length);
      this.#pending.shift();
      this.#settle(next, next.call.decode(header, answer.subarray(SM_HEADER_BYTES)));
    }
    this.#closed = true;
    this.#connection.close();
    this.#failPending();
    this.#closedHandler?.();
  }

  /** The peer does not speak this protocol. */
  #break(): void {
    for (const one of this.#pending.splice(0)) {
      one.settle(fail(this.#failure(one.call, { code: MALFORMED, outcome: 'unknown' })));
    }
    this.#onClosed();
  }

  #settle(one: Pending, result: Result<unknown, Refusal>): void {
    if (result.ok) one.settle(result);
    else one.settle(fail(this.#failure(one.call, { ...result.error, outcome: 'refused' })));
  }

  #failPending(): void {
    for (const one of this.#pending.splice(0)) {
      const lost = { code: -ERRNO.ENOTCONN, outcome: 'unknown' } as const;
      one.settle(fail(this.#failure(one.call, lost)));
    }
  }

  #failure(
    call: SanlockCall<unknown>,
    why: Pick<SanlockFailure, 'code' | 'outcome'> & { readonly body?: Uint8Array },
  ): SanlockFailure {
    return makeFailure({ ...why, call: call.name, socketPath: this.#endpoint.socketPath });
  }
}

const SILENT = {
  magic: SM_MAGIC,
  version: 0,
  cmdFlags: 0,
  length: SM_HEADER_BYTES,
  seq: 0,
  data: 0,
  data2: 0,
} as const;

/** Connects; `during` names the call in the failure. */
export function openLink(
  endpoint: SanlockEndpoint,
  options: { readonly during: string; readonly timeoutMs?: number },
  answer: Answer<SanlockLink>,
): void {
  const timeoutMs = Math.min(options.timeoutMs ?? CONNECT_TIMEOUT_MS, CONNECT_TIMEOUT_MS);
  endpoint.sockets.connect(endpoint.socketPath, timeoutMs, (opened) => {
    if (opened.ok) {
      answer(ok(new SanlockLink(endpoint, opened.connection)));
      return;
    }
    const why = { code: -opened.errno, outcome: 'unsent', call: options.during } as const;
    answer(fail(makeFailure({ ...why, socketPath: endpoint.socketPath })));
  });
}

/** One call over a connection of its own. */
export function callOnce<T>(
  endpoint: SanlockEndpoint,
  call: SanlockCall<T>,
  timeoutMs: number | undefined,
  answer: Answer<T>,
): Cancel {
  let cancelled = false;
  let running: Cancel | null = null;
  const cancel = () => {
    if (cancelled) return;
    cancelled = true;
    if (running !== null) running.cancel();
    else answer(fail(gaveUp(endpoint, call)));
  };
  const limits = { during: call.name, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  openLink(endpoint, limits, (opened) => {
    if (!opened.ok) {
      if (!cancelled) answer(opened);
      return;
    }
    const link = opened.value;
    if (cancelled) {
      link.close();
      return;
    }
    running = link.call(call, timeoutMs, (result) => {
      answer(result);
      link.close();
    });
  });
  return { cancel };
}

function gaveUp(endpoint: SanlockEndpoint, call: SanlockCall<unknown>): SanlockFailure {
  const why = { code: -ERRNO.ECANCELED, outcome: 'unsent', call: call.name } as const;
  return makeFailure({ ...why, socketPath: endpoint.socketPath });
}
