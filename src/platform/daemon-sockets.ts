import { closeSync, openSync } from 'node:fs';
import { ERRNO } from '../base/errno.ts';
import type { Connection, Listener, Sockets } from '../ports/sockets.ts';
import { bindSocket } from './bound-socket.ts';
import { monotonicMs } from './clock.ts';
import { FdConnection } from './fd-connection.ts';
import { FdWatcher, READABLE } from './fd-watcher.ts';
import type { ListenerStore } from './stored-listeners.ts';
import { SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from './stream-calls.ts';
import { accept4, closeFd, connectTo, lastErrno, socket } from './system-calls.ts';
import { AF_UNIX, MAX_SOCKET_PATH_BYTES, unixAddress } from './unix-address.ts';

const CLOEXEC_NONBLOCK = SOCK_CLOEXEC | SOCK_NONBLOCK;
const CONNECT_AGAIN_MS = 20;
const ACCEPT_AGAIN_MS = 100;
const MAX_ACCEPTED = 64; // in one turn of the loop
const NO_DESCRIPTOR: ReadonlySet<number> = new Set([ERRNO.EMFILE, ERRNO.ENFILE]);
/** Of that one client only. */
const NEXT_CLIENT: ReadonlySet<number> = new Set([ERRNO.EINTR, ERRNO.ECONNABORTED]);

/** Sockets for programs that serve; clients do without foreign functions. */
export function daemonSockets(store: ListenerStore | null = null): Sockets {
  return {
    listen: (at, accept) => new FdListener(at, { store, accept }),
    connect: (path, timeoutMs, answer) => connectUntil(path, monotonicMs() + timeoutMs, answer),
  };
}

type Opened = { ok: true; connection: FdConnection } | { ok: false; errno: number };

/** Never answers before it returns. */
function connectUntil(
  path: string,
  untilMs: number,
  answer: Parameters<Sockets['connect']>[2],
): void {
  const opened = connectNow(path);
  const leftMs = untilMs - monotonicMs();
  // Others wait to be accepted: a blocking connect would wait in the kernel for a place.
  const again = !opened.ok && opened.errno === ERRNO.EAGAIN && leftMs > CONNECT_AGAIN_MS;
  if (again) {
    setTimeout(() => connectUntil(path, untilMs, answer), CONNECT_AGAIN_MS);
    return;
  }
  setImmediate(() => {
    answer(opened);
    if (opened.ok) opened.connection.begin();
  });
}

function connectNow(path: string): Opened {
  if (path.length > MAX_SOCKET_PATH_BYTES) return { ok: false, errno: ERRNO.ENAMETOOLONG };
  if (path === '') return { ok: false, errno: ERRNO.ENOENT };
  const fd = socket(AF_UNIX, SOCK_STREAM | CLOEXEC_NONBLOCK, 0);
  if (fd < 0) return { ok: false, errno: lastErrno() };
  const address = unixAddress(path);
  if (connectTo(fd, address, address.length) < 0) {
    const errno = lastErrno();
    closeFd(fd);
    return { ok: false, errno };
  }
  return { ok: true, connection: new FdConnection(fd) };
}

class FdListener implements Listener {
  readonly #bound: ReturnType<typeof bindSocket>;
  readonly #accept: (connection: Connection) => void;
  readonly #watcher: FdWatcher;
  /** Kept for the moment when there is no other: without it clients would wait in vain. */
  #spareFd = -1;
  #closed = false;

  constructor(
    at: Parameters<Sockets['listen']>[0],
    how: { readonly store: ListenerStore | null; readonly accept: (client: Connection) => void },
  ) {
    const { store, accept } = how;
    this.#accept = accept;
    this.#bound = bindSocket(at, { type: 'stream', backlog: at.backlog, store });
    try {
      this.#watcher = new FdWatcher(this.#bound.fd, () => this.#acceptAll());
    } catch (error) {
      this.#bound.removeName();
      closeFd(this.#bound.fd);
      throw error;
    }
    this.#takeSpare();
  }

  close(): void {
    this.#bound.removeName();
    this.#stop();
  }

  leave(): boolean {
    if (this.#bound.isStored) this.#stop();
    return this.#bound.isStored;
  }

  #stop(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watcher.close();
    closeFd(this.#bound.fd);
    if (this.#spareFd >= 0) closeSync(this.#spareFd);
  }

  #acceptAll(): void {
    for (let n = 0; n < MAX_ACCEPTED && !this.#closed; n++) {
      const fd = accept4(this.#bound.fd, null, null, CLOEXEC_NONBLOCK);
      if (fd >= 0) this.#serve(fd);
      else if (!this.#goesOnAfter(lastErrno())) return;
    }
  }

  #serve(fd: number): void {
    const connection = new FdConnection(fd);
    this.#accept(connection);
    connection.begin();
  }

  /** A client that cannot be served is closed at once, and so knows. */
  #goesOnAfter(errno: number): boolean {
    if (NEXT_CLIENT.has(errno)) return true;
    if (errno === ERRNO.EAGAIN) return false;
    if (NO_DESCRIPTOR.has(errno) && this.#shedOne()) return true;
    this.#watcher.want(0); // no turn of the loop is spent on it meanwhile
    setTimeout(() => this.#again(), ACCEPT_AGAIN_MS).unref();
    return false;
  }

  #shedOne(): boolean {
    if (this.#spareFd < 0) return false;
    closeSync(this.#spareFd);
    const fd = accept4(this.#bound.fd, null, null, CLOEXEC_NONBLOCK);
    if (fd >= 0) closeFd(fd);
    this.#takeSpare();
    return fd >= 0;
  }

  #takeSpare(): void {
    try {
      this.#spareFd = openSync('/dev/null', 'r');
    } catch {
      this.#spareFd = -1; // it is tried again when it is needed
    }
  }

  #again(): void {
    if (this.#closed) return;
    if (this.#spareFd < 0) this.#takeSpare();
    this.#watcher.want(READABLE);
  }
}
