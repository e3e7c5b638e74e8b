import { SECOND_MS } from '../../base/units.ts';
import { ByteQueue } from '../../codec/byte-queue.ts';
import { decode } from '../../codec/struct.ts';
import type { Connection } from '../../ports/sockets.ts';
import {
  REGISTER_FLAGS,
  WDMD_CMD,
  WDMD_MESSAGE_BYTES,
  type WdmdMessage,
  wdmdMessage,
  wdmdMessageBytes,
} from '../../wire/wdmd/socket.ts';
import type { SimWdmd } from '../cluster/wdmd.ts';
import type { Dice } from '../kernel/dice.ts';
import type { ProcessClock } from '../kernel/process-clock.ts';

const ALIVE_S = 80;
const RENEWAL_MS = 20_000;
const SHORTEST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 2000;
const CONNECT_MS = 2000;
const LONGEST_ACQUIRE_MS = 12_000;

/** ours: comes back to a new wdmd. original: never, and it waits for no answer to its expiry. */
export type Manners = 'ours' | 'original';

/** A membership of one lockspace as wdmd sees it: a sanlock that renews, dies, and is resumed. */
export class WatchedMembership {
  readonly place: string;
  readonly label: string;
  readonly #manners: Manners;
  readonly #time: ProcessClock;
  readonly #wdmd: SimWdmd;
  readonly #dice: Dice;
  readonly #log: (text: string) => void;
  /** Its process runs. */
  isAlive = true;
  hasLeft = false;
  #isLeaving = false;
  #isHung = false;
  /** Users may hold leases: they are protected by wdmd, or by nothing. */
  #isRelied = false;
  #renewedS = 0;
  /** Its first renewal that wdmd may have heard of. */
  #firstS = 0;
  #connection: Connection | null = null;
  /** Its process: what an earlier one had under way comes to nothing. */
  #process = 0;

  constructor(of: {
    readonly place: string;
    readonly label: string;
    readonly manners: Manners;
    readonly time: ProcessClock;
    readonly wdmd: SimWdmd;
    readonly dice: Dice;
    readonly log: (text: string) => void;
  }) {
    this.place = of.place;
    this.label = of.label;
    this.#manners = of.manners;
    this.#time = of.time;
    this.#wdmd = of.wdmd;
    this.#dice = of.dice;
    this.#log = of.log;
  }

  /** When its last renewal had expired, if it had by then and somebody relied on it. */
  expiredMs(nowMs: number): number | null {
    if (!this.#isRelied || this.hasLeft) return null;
    const expireMs = (this.#renewedS + ALIVE_S) * SECOND_MS;
    return nowMs > expireMs ? expireMs : null;
  }

  get renewedS(): number {
    return this.#renewedS;
  }

  get firstS(): number {
    return this.#firstS;
  }

  /** wdmd may have an expiry of it. */
  get mayHaveDuty(): boolean {
    return this.#firstS > 0 && !this.hasLeft;
  }

  get isConnected(): boolean {
    return this.isAlive && this.#isRelied && this.#connection !== null;
  }

  get #isExpired(): boolean {
    return this.#nowS() >= this.#renewedS + ALIVE_S;
  }

  #nowS(): number {
    return Math.floor(this.#time.nowMs() / SECOND_MS);
  }

  join(): void {
    this.#log(`${this.label} joins`);
    this.#renewedS = this.#nowS();
    this.#connectFirst();
    this.#renewLater();
  }

  #connectFirst(): void {
    this.#connect((connection, answer) => {
      this.#begin(connection);
      connection.send(wdmdMessageBytes({ cmd: WDMD_CMD.STATUS }));
      answer(() => this.#armSoon(connection, answer));
    });
  }

  #begin(connection: Connection): void {
    const { WAITS, RECONNECTS } = REGISTER_FLAGS;
    const flags = this.#manners === 'ours' ? WAITS | RECONNECTS : 0;
    const { REGISTER, REFCOUNT_SET } = WDMD_CMD;
    connection.send(wdmdMessageBytes({ cmd: REGISTER, name: this.place, flags }));
    connection.send(wdmdMessageBytes({ cmd: REFCOUNT_SET }));
  }

  /** fence_sanlockd of the original acquires its lease first. */
  #armSoon(connection: Connection, answer: (got: () => void) => void): void {
    if (this.#manners === 'ours' || this.#dice.chance(0.5)) {
      this.#arm(connection, answer);
      return;
    }
    const process = this.#process;
    this.#time.after(this.#dice.between(0, LONGEST_ACQUIRE_MS), () => {
      const isOpen = this.#connection === connection && process === this.#process;
      if (isOpen && this.isAlive) this.#arm(connection, answer);
    });
  }

  #arm(connection: Connection, answer: (got: () => void) => void): void {
    if (this.#isExpired || this.#isHung) return;
    this.#connection = connection;
    this.#renewedS = this.#nowS();
    this.#firstS = this.#renewedS;
    this.#live();
    if (this.#manners === 'original') {
      this.#isRelied = true;
      return;
    }
    connection.send(wdmdMessageBytes({ cmd: WDMD_CMD.STATUS }));
    answer(() => {
      this.#isRelied = true;
      if (this.#isLeaving) this.#withdraw(connection, answer);
    });
  }

  #live(): void {
    const times = {
      renewalTime: BigInt(this.#renewedS),
      expireTime: BigInt(this.#renewedS + ALIVE_S),
    };
    this.#connection?.send(wdmdMessageBytes({ cmd: WDMD_CMD.TEST_LIVE, ...times }));
  }

  #renewLater(): void {
    const process = this.#process;
    this.#time.after(this.#dice.between(0.8, 1) * RENEWAL_MS, () => {
      if (process !== this.#process || !this.isAlive || this.#isHung || this.#isExpired) return;
      this.#renewedS = this.#nowS();
      this.#live();
      this.#renewLater();
    });
  }

  /** `then` is told of the connection, and how to await its next answer. */
  #connect(
    then: (connection: Connection, answer: (got: () => void) => void) => void,
    lost: () => void = () => this.#lost(),
  ): void {
    const process = this.#process;
    const isOurs = () => process === this.#process && this.isAlive;
    this.#wdmd.socketsOf(this.#time).connect('', CONNECT_MS, (opened) => {
      if (!isOurs()) {
        if (opened.ok) opened.connection.close();
        return;
      }
      if (!opened.ok) {
        lost();
        return;
      }
      const { connection } = opened;
      const waiting: (() => void)[] = [];
      const received = new ByteQueue();
      connection.onData((bytes) => {
        received.push(bytes);
        while (received.length >= WDMD_MESSAGE_BYTES) {
          const message: WdmdMessage = decode(wdmdMessage, received.take(WDMD_MESSAGE_BYTES));
          if (message.cmd === WDMD_CMD.STATUS && isOurs()) waiting.shift()?.();
        }
      });
      connection.onClosed(() => {
        if (this.#connection === connection) this.#connection = null;
        if (isOurs()) lost();
      });
      this.#connection = connection;
      then(connection, (got) => waiting.push(got));
    });
  }

  /** wdmd has gone, or was not there. */
  #lost(): void {
    this.#connection = null;
    if (this.#manners === 'original' || this.hasLeft) return;
    const process = this.#process;
    this.#time.after(this.#dice.between(SHORTEST_RETRY_MS, LONGEST_RETRY_MS), () => {
      if (process === this.#process && this.isAlive && !this.#isExpired) {
        if (this.#firstS === 0) this.#connectFirst();
        else this.#takeOver();
      }
    });
  }

  #takeOver(): void {
    this.#connect((connection, answer) => {
      this.#begin(connection);
      connection.send(
        wdmdMessageBytes({ cmd: WDMD_CMD.TAKE_OVER, renewalTime: BigInt(this.#firstS) }),
      );
      if (this.#isExpired) return;
      this.#live();
      connection.send(wdmdMessageBytes({ cmd: WDMD_CMD.STATUS }));
      answer(() => {
        this.#isRelied = true;
        if (this.#isLeaving) this.#withdraw(connection, answer);
      });
    });
  }

  /** SIGKILL of sanlock. */
  kill(): void {
    if (!this.isAlive) return;
    this.#log(`${this.label} is killed`);
    this.isAlive = false;
    this.#process++;
    this.#connection?.close();
    this.#connection = null;
  }

  /** Its successor finds its record on the disk, and renews with the same generation. */
  resume(): void {
    if (this.isAlive || this.hasLeft || this.#manners === 'original' || this.#isExpired) return;
    this.#log(`${this.label} is resumed`);
    this.isAlive = true;
    this.#process++;
    if (!this.#isHung) this.#renewedS = this.#nowS();
    if (this.#firstS === 0) this.#connectFirst();
    else this.#takeOver();
    this.#renewLater();
  }

  /** Its storage hangs: no renewal any more. */
  hang(): void {
    this.#log(`${this.label} hangs`);
    this.#isHung = true;
  }

  leave(): void {
    if (!this.isAlive || !this.#isRelied || this.#isLeaving || this.#isHung) return;
    this.#log(`${this.label} leaves`);
    this.#isLeaving = true;
    const connection = this.#connection;
    if (this.#manners === 'original') this.#left(connection);
    else if (connection !== null) {
      // The answers that it awaits are those of a new connection: it closes this one.
      this.#connection = null;
      connection.close();
      this.#takeOver();
    }
  }

  #withdraw(connection: Connection, answer: (got: () => void) => void): void {
    connection.send(wdmdMessageBytes({ cmd: WDMD_CMD.TEST_LIVE }));
    connection.send(wdmdMessageBytes({ cmd: WDMD_CMD.REFCOUNT_CLEAR }));
    connection.send(wdmdMessageBytes({ cmd: WDMD_CMD.STATUS }));
    answer(() => this.#left(connection));
  }

  #left(connection: Connection | null): void {
    this.#log(`${this.label} has left`);
    this.hasLeft = true;
    this.isAlive = false;
    this.#process++;
    if (this.#manners === 'original') {
      connection?.send(wdmdMessageBytes({ cmd: WDMD_CMD.TEST_LIVE }));
      connection?.send(wdmdMessageBytes({ cmd: WDMD_CMD.REFCOUNT_CLEAR }));
    }
    connection?.end();
    this.#connection = null;
  }

  /** Another program renews once in its name, and withdraws: this is to change nothing. */
  takenOverByMistake(renewalS: number): void {
    this.#log(`${this.label} is taken over by a renewal at ${renewalS}`);
    this.#wdmd.socketsOf(this.#time).connect('', CONNECT_MS, (opened) => {
      if (!opened.ok) return;
      const { connection } = opened;
      connection.onData(() => {});
      connection.onClosed(() => {});
      const { REGISTER, TAKE_OVER, TEST_LIVE } = WDMD_CMD;
      const expireTime = BigInt(this.#nowS() + ALIVE_S);
      const renewalTime = BigInt(renewalS);
      connection.send(wdmdMessageBytes({ cmd: REGISTER, name: this.place }));
      connection.send(wdmdMessageBytes({ cmd: TAKE_OVER }));
      connection.send(wdmdMessageBytes({ cmd: TEST_LIVE, renewalTime, expireTime }));
      connection.send(wdmdMessageBytes({ cmd: TEST_LIVE }));
      connection.close();
    });
  }
}
