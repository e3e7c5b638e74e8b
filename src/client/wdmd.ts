import type { ByteString } from '../base/bytes.ts';
import { SECOND_MS } from '../base/units.ts';
import type { Clock } from '../ports/clock.ts';
import type { Connection, Sockets } from '../ports/sockets.ts';
import {
  REGISTER_FLAGS,
  WDMD_CMD,
  WDMD_MESSAGE_BYTES,
  type WdmdMessage,
  wdmdMessageBytes,
} from '../wire/wdmd/socket.ts';

const CONNECT_MS = 2000;
const ANSWER_MS = 5000;
/** Requests to a wdmd that does not answer. */
const MAX_WAITING = 64;

/**
 * One test client of wdmd: while its expiry lies ahead the watchdog is fed, once it has passed the
 * machine is reset. wdmd does not answer an expiry, so a status request follows each one: its
 * answer says that wdmd has read the expiry before it (spec 25 §2).
 */
export class WdmdEntry {
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
    this.#send({ cmd: WDMD_CMD.REGISTER, name: of.name, flags: REGISTER_FLAGS.WAITS });
    this.#send({ cmd: WDMD_CMD.REFCOUNT_SET });
  }

  /** Registers as `name`, and keeps wdmd from ending. `lost`: wdmd is gone, and the device unfed. */
  static open(
    at: { readonly sockets: Pick<Sockets, 'connect'>; readonly path: ByteString },
    of: { readonly clock: Clock; readonly name: ByteString; readonly lost: () => void },
    answer: (entry: WdmdEntry | null) => void,
  ): void {
    at.sockets.connect(at.path, CONNECT_MS, (opened) =>
      answer(opened.ok ? new WdmdEntry(opened.connection, of) : null),
    );
  }

  /** Alive now, and for `seconds`; 0: expires at once. Answers true once wdmd has it. */
  live(seconds: number, answer: (isTaken: boolean) => void): void {
    const now = Math.floor(this.#clock.nowMs() / SECOND_MS);
    this.#test({ renewalTime: BigInt(now), expireTime: BigInt(now + seconds) }, answer);
  }

  /** No expiry any more: the end of this process means nothing. */
  clear(answer: (isTaken: boolean) => void): void {
    this.#test({ renewalTime: 0n, expireTime: 0n }, answer);
  }

  /** Ends the claim that keeps wdmd from ending, and leaves. Safe to repeat. */
  leave(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#send({ cmd: WDMD_CMD.REFCOUNT_CLEAR });
    this.#connection.end();
  }

  #test(
    times: Pick<WdmdMessage, 'renewalTime' | 'expireTime'>,
    answer: (isTaken: boolean) => void,
  ): void {
    if (this.#closed || this.#waiting.length >= MAX_WAITING) {
      answer(false);
      return;
    }
    let isAnswered = false;
    const once = (isTaken: boolean): void => {
      if (isAnswered) return;
      isAnswered = true;
      deadline.cancel();
      answer(isTaken);
    };
    const deadline = this.#clock.after(ANSWER_MS, () => once(false));
    this.#waiting.push(once);
    this.#send({ cmd: WDMD_CMD.TEST_LIVE, ...times });
    this.#send({ cmd: WDMD_CMD.STATUS });
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
    this.#connection.send(wdmdMessageBytes(fields));
  }
}
