import type { ByteString } from '../base/bytes.ts';
import { ByteQueue } from '../codec/byte-queue.ts';
import { decode } from '../codec/struct.ts';
import type { Connection, Sockets } from '../ports/sockets.ts';
import type { WatchdogEvent } from '../sanlock/watchdog.ts';
import { WDMD_MESSAGE_BYTES, wdmdMessage } from '../wire/wdmd/socket.ts';

const CONNECT_MS = 2000;

/** One connection to wdmd for each lockspace: bytes here, decisions in the front. */
export class WdmdLinks {
  readonly #sockets: Sockets;
  readonly #path: ByteString;
  readonly #report: (lockspace: number, event: WatchdogEvent) => void;
  /** null: on its way. */
  readonly #links = new Map<number, Connection | null>();

  constructor(of: {
    readonly sockets: Sockets;
    readonly path: ByteString;
    readonly report: (lockspace: number, event: WatchdogEvent) => void;
  }) {
    this.#sockets = of.sockets;
    this.#path = of.path;
    this.#report = of.report;
  }

  open(lockspace: number): void {
    this.#links.set(lockspace, null);
    this.#sockets.connect(this.#path, CONNECT_MS, (opened) => {
      const isWanted = this.#links.get(lockspace) === null;
      if (!opened.ok) {
        if (isWanted) this.#closed(lockspace);
        return;
      }
      if (!isWanted) {
        opened.connection.close();
        return;
      }
      this.#serve(lockspace, opened.connection);
    });
  }

  #serve(lockspace: number, connection: Connection): void {
    this.#links.set(lockspace, connection);
    const frames = new ByteQueue();
    connection.onData((bytes) => {
      frames.push(bytes);
      while (frames.length >= WDMD_MESSAGE_BYTES) {
        const message = decode(wdmdMessage, frames.take(WDMD_MESSAGE_BYTES));
        this.#report(lockspace, { kind: 'answered', message });
      }
    });
    connection.onClosed(() => {
      if (this.#links.get(lockspace) === connection) this.#closed(lockspace);
    });
    this.#report(lockspace, { kind: 'opened' });
  }

  send(lockspace: number, bytes: Uint8Array): void {
    this.#links.get(lockspace)?.send(bytes);
  }

  end(lockspace: number): void {
    const connection = this.#links.get(lockspace);
    this.#links.delete(lockspace);
    connection?.end();
  }

  #closed(lockspace: number): void {
    this.#links.delete(lockspace);
    this.#report(lockspace, { kind: 'closed' });
  }
}
