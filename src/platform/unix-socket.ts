import { connect, type Socket } from 'node:net';
import { nameToText } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import { MIB } from '../base/units.ts';
import type { Connecting, Connection } from '../ports/sockets.ts';
import { monotonicMs } from './clock.ts';
import { socketFd } from './socket-fd.ts';

const MAX_UNSENT_BYTES = 16 * MIB; // a peer this far behind is not reading any more
const END_DEADLINE_MS = 5000; //              to flush the last bytes to a slow peer
const CONNECT_AGAIN_MS = 20;
const NOTHING = new Uint8Array(0);

/** Unix stream sockets of Node, for programs that only connect: they go without foreign functions. */
export class UnixSockets implements Connecting {
  connect(
    path: string,
    timeoutMs: number,
    answer: (opened: { ok: true; connection: Connection } | { ok: false; errno: number }) => void,
  ): void {
    const untilMs = monotonicMs() + timeoutMs;
    const attempt = () => {
      const socket = connect({ path: nameToText(path), allowHalfOpen: true });
      const drop = () => {
        clearTimeout(deadline);
        socket.removeAllListeners();
        socket.on('error', () => {});
        socket.destroy();
      };
      const leftMs = Math.max(0, untilMs - monotonicMs());
      const deadline = setTimeout(() => {
        drop();
        answer({ ok: false, errno: ERRNO.ETIMEDOUT });
      }, leftMs);
      socket.once('error', (error: NodeJS.ErrnoException) => {
        drop();
        const errno = Math.abs(error.errno ?? ERRNO.EIO);
        // Others wait to be accepted: a blocking connect would wait in the kernel for a place.
        if (errno === ERRNO.EAGAIN && leftMs > CONNECT_AGAIN_MS)
          setTimeout(attempt, CONNECT_AGAIN_MS);
        else answer({ ok: false, errno });
      });
      socket.once('connect', () => {
        clearTimeout(deadline);
        socket.removeAllListeners('error');
        answer({
          ok: true,
          connection: new UnixConnection(socket),
        });
      });
    };
    attempt();
  }
}

class UnixConnection implements Connection {
  readonly peerPid = null;
  readonly peerUid = null;
  readonly fd: number;
  readonly #socket: Socket;
  #dataHandler: ((bytes: Uint8Array) => void) | null = null;
  #closedHandler: (() => void) | null = null;
  #hasUnread = false;
  #gone = false;
  #closed = false;
  #paused = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.fd = socketFd(socket);
    socket.on('error', () => this.#peerGone(true));
    socket.on('end', () => this.#peerGone(false));
    socket.on('close', () => this.#peerGone(true));
  }

  /** Reading starts here: no byte can arrive before a handler wants it. */
  onData(handler: (bytes: Uint8Array) => void): void {
    const first = this.#dataHandler === null;
    this.#dataHandler = handler;
    if (first) this.#socket.on('data', (bytes: Uint8Array) => this.#received(bytes));
    if (this.#paused) this.#socket.pause();
  }

  onClosed(handler: () => void): void {
    this.#closedHandler = handler;
    // Without a reader the end of the stream would never be noticed.
    if (this.#dataHandler === null && !this.#paused) this.onData(() => {});
  }

  get hasUnread(): boolean {
    return this.#hasUnread;
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  whenSent(handler: () => void): void {
    if (this.#closed || this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#socket.write(NOTHING, (failure) => {
      if (!this.#closed && (failure ?? null) === null) handler();
    });
  }

  send(bytes: Uint8Array): boolean {
    if (this.#closed || this.#socket.destroyed || this.#socket.writableEnded) return false;
    if (this.#socket.writableLength + bytes.length > MAX_UNSENT_BYTES) {
      this.#socket.destroy(); // 'close' follows and reports it to the owner
      return false;
    }
    this.#socket.write(bytes);
    return true;
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#dataHandler !== null && !this.#closed) this.#socket.resume();
  }

  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    const deadline = setTimeout(() => this.#socket.destroy(), END_DEADLINE_MS);
    deadline.unref();
    this.#socket.end(() => {
      clearTimeout(deadline);
      this.#socket.destroy();
    });
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #received(bytes: Uint8Array): void {
    if (!this.#closed) this.#dataHandler?.(bytes);
  }

  /**
   * The descriptor is closed with the peer, whether or not the owner closes it: half-open, it would
   * stay for ever. Bytes that the owner has sent still go out: a peer may end its side only.
   */
  #peerGone(hasUnread: boolean): void {
    if (this.#gone || this.#closed) return;
    this.#gone = true;
    this.#hasUnread = hasUnread;
    this.#closedHandler?.();
    this.end();
  }
}
