import type { ByteString } from '../../base/bytes.ts';
import type { SanlockCall } from '../../client/sanlock-call.ts';
import { getHosts, setConfig, setEvent } from '../../client/sanlock-daemon-calls.ts';
import { watchEvents } from '../../client/sanlock-events.ts';
import { callOnce, type SanlockEndpoint } from '../../client/sanlock-link.ts';
import { encode, zeroRecord } from '../../codec/struct.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Connection, Sockets } from '../../ports/sockets.ts';
import { CONFIG_COMMANDS } from '../../wire/sanlock-socket.ts';
import {
  WDMD_CMD,
  WDMD_MESSAGE_BYTES,
  type WdmdMessage,
  wdmdMessage,
} from '../../wire/wdmd-socket.ts';
import type { ResetdSanlock, ResetdWatchdog } from './resetd.ts';

const CONNECT_MS = 2000;
const ANSWER_MS = 5000;
/** Requests to a wdmd that does not answer. */
const MAX_WAITING = 64;

/** The local sanlock, as sanlk-resetd needs it. */
export function sanlockOf(endpoint: SanlockEndpoint): ResetdSanlock {
  const ask = (call: SanlockCall<number>, answer: (code: number) => void): void => {
    callOnce(endpoint, call, undefined, (result) =>
      answer(result.ok ? result.value : result.error.code),
    );
  };
  return {
    watch: (name, handlers, answer) =>
      watchEvents(endpoint, name, handlers, (opened) => {
        if (opened.ok) answer(0, opened.value);
        else answer(opened.error.code, null);
      }),
    setUsed: (name, answer) => ask(setConfig(name, CONFIG_COMMANDS.USED), answer),
    setEvent: (name, { event, flags }, answer) => ask(setEvent(name, event, flags), answer),
    generationOf: (name, hostId, answer) => {
      callOnce(endpoint, getHosts(name, hostId), undefined, (result) =>
        answer(result.ok ? (result.value[0]?.generation ?? null) : null),
      );
    },
  };
}

/**
 * Our entry in wdmd. It answers nothing to an expiry, so a status is asked behind each one: its
 * answer says that wdmd has read all that came before.
 */
export class WdmdEntry implements ResetdWatchdog {
  readonly #clock: Clock;
  readonly #connection: Connection;
  #unread = 0;
  #waiting: ((isTaken: boolean) => void)[] = [];
  #closed = false;

  private constructor(
    connection: Connection,
    of: { readonly clock: Clock; readonly name: ByteString; readonly lost: () => void },
  ) {
    this.#clock = of.clock;
    this.#connection = connection;
    connection.onData((bytes) => this.#received(bytes.length));
    connection.onClosed(() => {
      this.#closed = true;
      this.#answer(false);
      of.lost();
    });
    this.#send({ cmd: WDMD_CMD.REGISTER, name: of.name });
    this.#send({ cmd: WDMD_CMD.REFCOUNT_SET });
  }

  static open(
    at: { readonly sockets: Pick<Sockets, 'connect'>; readonly path: ByteString },
    of: { readonly clock: Clock; readonly name: ByteString; readonly lost: () => void },
    answer: (entry: WdmdEntry | null) => void,
  ): void {
    at.sockets.connect(at.path, CONNECT_MS, (opened) =>
      answer(opened.ok ? new WdmdEntry(opened.connection, of) : null),
    );
  }

  expireNow(answer: (isTaken: boolean) => void): void {
    if (this.#closed || this.#waiting.length >= MAX_WAITING) {
      answer(false);
      return;
    }
    const now = BigInt(Math.floor(this.#clock.nowMs() / 1000));
    let isAnswered = false;
    const once = (isTaken: boolean): void => {
      if (isAnswered) return;
      isAnswered = true;
      deadline.cancel();
      answer(isTaken);
    };
    const deadline = this.#clock.after(ANSWER_MS, () => once(false));
    this.#waiting.push(once);
    this.#send({ cmd: WDMD_CMD.TEST_LIVE, renewalTime: now, expireTime: now });
    this.#send({ cmd: WDMD_CMD.STATUS });
  }

  leave(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#send({ cmd: WDMD_CMD.REFCOUNT_CLEAR });
    this.#connection.end();
  }

  #received(bytes: number): void {
    this.#unread += bytes;
    while (this.#unread >= WDMD_MESSAGE_BYTES) {
      this.#unread -= WDMD_MESSAGE_BYTES;
      this.#waiting.shift()?.(true);
    }
  }

  #answer(isTaken: boolean): void {
    for (const answer of this.#waiting.splice(0)) answer(isTaken);
  }

  #send(fields: Partial<WdmdMessage>): void {
    this.#connection.send(encode(wdmdMessage, { ...zeroRecord(wdmdMessage), ...fields }));
  }
}
