import type { ByteString } from '../base/bytes.ts';
import { SECOND_MS } from '../base/units.ts';
import { ByteQueue } from '../codec/byte-queue.ts';
import { decode } from '../codec/struct.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Connecting, Connection } from '../ports/sockets.ts';
import {
  REGISTER_FLAGS,
  WDMD_CMD,
  WDMD_MESSAGE_BYTES,
  type WdmdMessage,
  wdmdMessage,
  wdmdMessageBytes,
} from '../wire/wdmd/socket.ts';

const CONNECT_MS = 2000;
const ANSWER_MS = 5000;
/** Requests to a wdmd that does not answer. */
const MAX_WAITING = 64;
/** A wdmd that is restarted is there again by then, or its device has fired. */
const AWAY_MS = 60_000;
const AGAIN_MS = 250;

type Times = Pick<WdmdMessage, 'renewalTime' | 'expireTime'>;
const NEVER: Times = { renewalTime: 0n, expireTime: 0n };

interface Place {
  readonly sockets: Connecting;
  readonly path: ByteString;
}

interface Owner {
  readonly clock: Clock;
  readonly name: ByteString;
  /** wdmd is gone, and no other one came in time: the device is not fed. */
  readonly lost: () => void;
}

/**
 * One test client of wdmd: while its expiry lies ahead the watchdog is fed, once it has passed the
 * machine is reset. wdmd does not answer an expiry, so a status request follows each one: its
 * answer says that wdmd has read the expiry before it (spec 25 §2).
 *
 * If wdmd is restarted, the next one is found, and given the last expiry again as it was: that
 * takes over what the one before knew, and protects no longer than was said to it.
 */
export class WdmdEntry {
  readonly #at: Place;
  readonly #of: Owner;
  /** null: wdmd is away. */
  #connection: Connection | null = null;
  #arrived = new ByteQueue();
  #waiting: ((isTaken: boolean) => void)[] = [];
  /** What wdmd has, or shall have. */
  #times: Times | null = null;
  /** The last of them that was an expiry, also after it was withdrawn. */
  #expiry: Times | null = null;
  /** When the first of them was given. */
  #sinceS: bigint | null = null;
  #again: Timer | null = null;
  #closed = false;

  private constructor(connection: Connection, at: Place, of: Owner) {
    this.#at = at;
    this.#of = of;
    this.#use(connection);
  }

  /** Registers as `name`, and keeps wdmd from ending. */
  static open(at: Place, of: Owner, answer: (entry: WdmdEntry | null) => void): void {
    at.sockets.connect(at.path, CONNECT_MS, (opened) =>
      answer(opened.ok ? new WdmdEntry(opened.connection, at, of) : null),
    );
  }

  /** Alive now, and for `seconds`; 0: expires at once. Answers true once wdmd has it. */
  live(seconds: number, answer: (isTaken: boolean) => void): void {
    const now = this.#nowS();
    this.#sinceS ??= now;
    this.#expiry = { renewalTime: now, expireTime: now + BigInt(seconds) };
    this.#test(this.#expiry, answer);
  }

  /** No expiry any more: the end of this process means nothing. */
  clear(answer: (isTaken: boolean) => void): void {
    this.#test(NEVER, answer);
  }

  /** Ends the claim that keeps wdmd from ending, and leaves. Safe to repeat. */
  leave(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#again?.cancel();
    this.#send({ cmd: WDMD_CMD.REFCOUNT_CLEAR });
    this.#connection?.end();
  }

  #use(connection: Connection): void {
    this.#connection = connection;
    this.#arrived = new ByteQueue();
    connection.onData((bytes) => this.#received(bytes));
    connection.onClosed(() => this.#away());
    const flags = REGISTER_FLAGS.WAITS | REGISTER_FLAGS.RECONNECTS;
    this.#send({ cmd: WDMD_CMD.REGISTER, name: this.#of.name, flags });
    this.#send({ cmd: WDMD_CMD.REFCOUNT_SET });
  }

  #test(times: Times, answer: (isTaken: boolean) => void): void {
    if (this.#closed || this.#waiting.length >= MAX_WAITING) {
      answer(false);
      return;
    }
    this.#times = times;
    let isAnswered = false;
    const once = (isTaken: boolean): void => {
      if (isAnswered) return;
      isAnswered = true;
      deadline.cancel();
      answer(isTaken);
    };
    const deadline = this.#of.clock.after(ANSWER_MS, () => once(false));
    this.#waiting.push(once);
    this.#send({ cmd: WDMD_CMD.TEST_LIVE, ...times });
    this.#send({ cmd: WDMD_CMD.STATUS });
  }

  #received(bytes: Uint8Array): void {
    this.#arrived.push(bytes);
    while (this.#arrived.length >= WDMD_MESSAGE_BYTES) {
      const { cmd } = decode(wdmdMessage, this.#arrived.take(WDMD_MESSAGE_BYTES));
      if (cmd === WDMD_CMD.STATUS) this.#waiting.shift()?.(true);
    }
  }

  #away(): void {
    if (this.#closed) return;
    this.#connection = null;
    this.#seek(this.#of.clock.nowMs() + AWAY_MS);
  }

  #seek(untilMs: number): void {
    const { clock, lost } = this.#of;
    this.#at.sockets.connect(this.#at.path, CONNECT_MS, (opened) => {
      if (opened.ok) {
        if (this.#closed) opened.connection.close();
        else this.#takeOver(opened.connection);
      } else if (!this.#closed && clock.nowMs() < untilMs) {
        this.#again = clock.after(AGAIN_MS, () => this.#seek(untilMs));
      } else if (!this.#closed) {
        this.#closed = true;
        for (const answer of this.#waiting.splice(0)) answer(false);
        lost();
      }
    });
  }

  /**
   * The next wdmd has our expiry as that of a connection that died: only another one ends it. What
   * an earlier process of our name left is not ours: it may have promised that this host is reset.
   */
  #takeOver(connection: Connection): void {
    this.#use(connection);
    if (this.#sinceS !== null && this.#expiry !== null) {
      this.#send({ cmd: WDMD_CMD.TAKE_OVER, renewalTime: this.#sinceS });
      this.#send({ cmd: WDMD_CMD.TEST_LIVE, ...this.#expiry });
    }
    if (this.#times === NEVER) this.#send({ cmd: WDMD_CMD.TEST_LIVE, ...NEVER });
    const waiting = this.#waiting.length;
    for (let asked = 0; asked < waiting; asked++) this.#send({ cmd: WDMD_CMD.STATUS });
  }

  #nowS(): bigint {
    return BigInt(Math.floor(this.#of.clock.nowMs() / SECOND_MS));
  }

  #send(fields: Partial<WdmdMessage>): void {
    this.#connection?.send(wdmdMessageBytes(fields));
  }
}
