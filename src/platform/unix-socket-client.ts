import { createConnection, type Socket } from 'node:net';
import { constants } from 'node:os';
import { nameToText } from '../base/bytes.ts';
import type { Connection, Sockets } from '../ports/sockets.ts';
import { EIO } from './errno.ts';

const MAX_QUEUED_BYTES = 64 * 1024 * 1024;

/** Outgoing connections only, on Node's own sockets: no foreign functions are loaded for a client. */
export class UnixSocketClient implements Pick<Sockets, 'connect'> {
  connect(
    path: string,
    timeoutMs: number,
    answer: (opened: { ok: true; connection: Connection } | { ok: false; errno: number }) => void,
  ): void {
    let waiting = true;
    const socket = createConnection({ path: nameToText(path) });
    const settle = (errno: number | null) => {
      if (!waiting) return;
      waiting = false;
      clearTimeout(deadline);
      if (errno === null) {
        answer({ ok: true, connection: new SocketConnection(socket) });
        return;
      }
      socket.destroy();
      answer({ ok: false, errno });
    };
    const deadline = setTimeout(() => settle(constants.errno.ETIMEDOUT), timeoutMs);
    socket.once('connect', () => settle(null));
    socket.on('error', (failure: NodeJS.ErrnoException) => settle(Math.abs(failure.errno ?? EIO)));
  }
}

class SocketConnection implements Connection {
  /** Not asked for: a client knows whom it calls. */
  readonly peerPid = null;
  readonly fd: number;
  readonly #socket: Socket;
  #dataHandler: ((bytes: Uint8Array) => void) | null = null;
  #closedHandler: (() => void) | null = null;
  #closed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.fd = descriptorOf(socket);
    socket.on('data', (bytes) => {
      if (!this.#closed) this.#dataHandler?.(bytes);
    });
    socket.once('close', () => this.#ended());
    socket.once('end', () => this.#ended());
  }

  onData(handler: (bytes: Uint8Array) => void): void {
    this.#dataHandler = handler;
  }

  onClosed(handler: () => void): void {
    this.#closedHandler = handler;
  }

  send(bytes: Uint8Array): boolean {
    if (this.#closed) return false;
    if (this.#socket.writableLength + bytes.length > MAX_QUEUED_BYTES) {
      this.close();
      return false;
    }
    this.#socket.write(bytes);
    return true;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.end(() => this.#socket.destroy());
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #ended(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    this.#closedHandler?.();
  }
}

/** Node keeps the descriptor in the handle below the socket; −1 when a version of it does not. */
function descriptorOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  if (typeof handle !== 'object' || handle === null) return -1;
  const fd: unknown = Reflect.get(handle, 'fd');
  return typeof fd === 'number' ? fd : -1;
}
