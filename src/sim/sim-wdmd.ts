import { SECOND_MS } from '../base/units.ts';
import { decode, encode } from '../codec/struct.ts';
import type { Connection, Sockets } from '../ports/sockets.ts';
import { WDMD_CMD, WDMD_MESSAGE_BYTES, wdmdMessage } from '../wire/wdmd-socket.ts';
import type { Hardware } from './computer.ts';
import type { ProcessTime } from './lease-seat.ts';

const FIRE_TIMEOUT_S = 60;
/** It gives up petting this long before an expiry: closing the device counts as one pet more. */
const TEST_INTERVAL_S = 10;

/**
 * wdmd of one running system, as spec 25 §4 has it: the device is fed while no expiry it was told
 * is near; a connection that ends without taking its expiry back leaves it behind for ever.
 */
export class SimWdmd {
  readonly #hardware: Hardware;
  #daemon: ProcessTime;
  /** Seconds; 0 = not tested. One entry for each connection that ever told one. */
  readonly #expireS = new Map<number, number>();
  #next = 1;
  #isOpen = true;

  /** @param daemon time of the process that connects */
  constructor(hardware: Hardware, daemon: ProcessTime) {
    this.#hardware = hardware;
    this.#daemon = daemon;
    this.#test();
  }

  /** The daemon was killed, its expiry stays; another one connects from now on. */
  forNext(daemon: ProcessTime): this {
    this.#daemon = daemon;
    return this;
  }

  readonly sockets: Sockets = {
    listen: () => ({ close: () => {} }),
    connect: (_path, _timeoutMs, answer) => {
      const connection = this.#connection(this.#next++);
      this.#hardware.after(0.1, () => {
        this.#daemon.run(() => answer({ ok: true, connection }));
      });
    },
  };

  #connection(id: number): Connection {
    let hear: (bytes: Uint8Array) => void = () => {};
    const ended = () => {
      if (this.#expireS.get(id) === 0) this.#expireS.delete(id);
    };
    return {
      fd: id,
      peerPid: 1,
      onData: (handler) => {
        hear = handler;
      },
      onClosed: () => {},
      send: (bytes) => {
        const told = decode(wdmdMessage, bytes.subarray(0, WDMD_MESSAGE_BYTES));
        if (told.cmd === WDMD_CMD.TEST_LIVE) this.#expireS.set(id, Number(told.expireTime));
        if (told.cmd === WDMD_CMD.STATUS || told.cmd === WDMD_CMD.OPEN_WATCHDOG) {
          const reply = encode(wdmdMessage, { ...told, fireTimeout: FIRE_TIMEOUT_S });
          this.#hardware.after(0.1, () => this.#daemon.run(() => hear(reply)));
        }
        return true;
      },
      pause: () => {},
      resume: () => {},
      end: ended,
      close: ended,
    };
  }

  #test(): void {
    const { clock } = this.#hardware;
    if (clock === null) return;
    const nowS = clock.nowMs() / SECOND_MS;
    const isFailing = [...this.#expireS.values()].some(
      (expireS) => expireS !== 0 && nowS >= expireS - TEST_INTERVAL_S,
    );
    if (!isFailing || this.#isOpen) this.#hardware.pet();
    this.#isOpen = !isFailing;
    const soonMs = isFailing ? SECOND_MS : TEST_INTERVAL_S * SECOND_MS;
    this.#hardware.after(soonMs, () => this.#test());
  }
}
