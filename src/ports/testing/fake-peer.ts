import type { Connection, Sockets } from '../sockets.ts';

/** The test's end of one connection; the program under test has the other one. */
export class FakePeer {
  readonly connection: Connection;
  /** The program has ended it, and hears nothing more. */
  isClosed = false;
  #toProgram: (bytes: Uint8Array) => void = () => {};
  #lost: () => void = () => {};

  /** @param received what the program sends, as it was sent */
  constructor(received: (bytes: Uint8Array, peer: FakePeer) => void, pid = 1) {
    const close = (): void => {
      this.isClosed = true;
    };
    this.connection = {
      peerPid: pid,
      peerUid: 0,
      fd: 3,
      onData: (handler) => {
        this.#toProgram = handler;
      },
      onClosed: (handler) => {
        this.#lost = handler;
      },
      send: (bytes) => {
        received(bytes, this);
        return true;
      },
      pause: () => {},
      resume: () => {},
      end: close,
      close,
    };
  }

  say(bytes: Uint8Array): void {
    if (!this.isClosed) this.#toProgram(bytes);
  }

  hangUp(): void {
    if (!this.isClosed) this.#lost();
  }
}

/** @param accept the peer of a connection to that path; null: nobody listens there */
export function socketsTo(accept: (path: string) => FakePeer | null): Sockets {
  return {
    listen: () => ({ close: () => {} }),
    connect: (path, _timeoutMs, answer) => {
      const peer = accept(path);
      if (peer === null) answer({ ok: false, errno: 111 });
      else answer({ ok: true, connection: peer.connection });
    },
  };
}
