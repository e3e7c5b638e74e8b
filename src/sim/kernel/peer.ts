import type { Connection } from '../../ports/sockets.ts';

/** A client's end of a simulated connection. */
export class SimPeer {
  readonly received: number[] = [];
  onReceived: () => void = () => {};
  closedByDaemon = false;
  onClosedByDaemon: () => void = () => {};
  /** Bytes that the client has not read; a test of a client that reads nothing sets it. */
  unsentBytes = 0;
  readonly #later: (happen: () => void) => void;
  #toDaemon: (bytes: Uint8Array) => void = () => {};
  #hangUp: () => void = () => {};
  /** What the kernel keeps while the daemon reads nothing. */
  readonly #kept: (() => void)[] = [];
  #isPaused = false;
  #whenSent: () => void = () => {};

  constructor(later: (happen: () => void) => void) {
    this.#later = later;
  }

  /** The daemon's end. */
  connection(fd: number, peerPid: number, peerUid = 0): Connection {
    const unsent = () => this.unsentBytes;
    return {
      fd,
      peerPid,
      peerUid,
      get unsentBytes() {
        return unsent();
      },
      onData: (handler) => {
        this.#toDaemon = handler;
      },
      onClosed: (handler) => {
        this.#hangUp = handler;
      },
      send: (bytes) => {
        this.received.push(...bytes);
        this.onReceived();
        return true;
      },
      whenSent: (handler) => {
        this.#whenSent = handler;
      },
      pause: () => {
        this.#isPaused = true;
      },
      resume: () => {
        this.#isPaused = false;
        this.#later(() => this.#deliver());
      },
      end: () => this.#ended(),
      close: () => this.#ended(),
    };
  }

  #ended(): void {
    if (this.closedByDaemon) return;
    this.closedByDaemon = true;
    this.onClosedByDaemon();
  }

  send(bytes: Uint8Array): void {
    this.#kept.push(() => this.#toDaemon(bytes));
    this.#deliver();
  }

  close(): void {
    this.#kept.push(() => this.#hangUp());
    this.#deliver();
  }

  /** The client reads all that the daemon sent. */
  takeAll(): void {
    this.unsentBytes = 0;
    const sent = this.#whenSent;
    this.#whenSent = () => {};
    this.#later(sent);
  }

  #deliver(): void {
    while (!this.#isPaused && !this.closedByDaemon) {
      const next = this.#kept.shift();
      if (next === undefined) return;
      next();
    }
  }
}
