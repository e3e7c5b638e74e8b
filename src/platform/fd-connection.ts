import { MIB } from '../base/units.ts';
import type { Connection } from '../ports/sockets.ts';
import { FdWatcher, READABLE, WRITABLE } from './fd-watcher.ts';
import { peerCredentialsOf } from './peer-credentials.ts';
import { receiveNow, sendNow } from './stream-calls.ts';
import { closeFd, SystemCallError } from './system-calls.ts';

const MAX_UNSENT_BYTES = 16 * MIB; // a peer this far behind is not reading any more
const END_DEADLINE_MS = 5000; //              to flush the last bytes to a slow peer
/** One for all: what was read is used before anything else is read. */
const READ = new Uint8Array(64 * 1024);

/**
 * A connected unix stream socket, by system calls of our own: a stream of Node costs several times
 * as much for each message, and more for each connection.
 */
export class FdConnection implements Connection {
  readonly fd: number;
  readonly peerPid: number | null;
  readonly peerUid: number | null;
  /** Made when there is something to wait for: many a client has asked, and is answered, before. */
  #watcher: FdWatcher | null = null;
  #dataHandler: ((bytes: Uint8Array) => void) | null = null;
  #closedHandler: (() => void) | null = null;
  /** What the kernel had no room for, in order. */
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #whenSent: (() => void)[] = [];
  #paused = false;
  #hasUnread = false;
  /** The peer takes nothing any more; told a moment later, never from within a call. */
  #broken = false;
  /** The owner was told that the peer is gone. */
  #gone = false;
  /** The owner has ended it. */
  #closed = false;
  #deadline: NodeJS.Timeout | null = null;
  #isOpen = true;
  #hasBegun = false;

  /** @param fd close-on-exec and non-blocking; this object's from now on */
  constructor(fd: number) {
    this.fd = fd;
    const peer = peerCredentialsOf(fd);
    this.peerPid = peer?.pid ?? null;
    this.peerUid = peer?.uid ?? null;
  }

  /**
   * Reads what is there already, and waits for more from here on: called once, when the owner has
   * set its handlers. A peer that cannot be watched is as one that is gone.
   */
  begin(): void {
    this.#hasBegun = true;
    if (this.#reads) this.#read();
    this.#watch();
  }

  onData(handler: (bytes: Uint8Array) => void): void {
    this.#dataHandler = handler;
    this.#watch();
  }

  onClosed(handler: () => void): void {
    this.#closedHandler = handler;
    // Without a reader the end of the stream would never be noticed.
    this.#dataHandler ??= () => {};
    this.#watch();
  }

  get hasUnread(): boolean {
    return this.#hasUnread;
  }

  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  whenSent(handler: () => void): void {
    if (this.#closed || this.#broken) return;
    if (this.#unsentBytes > 0) this.#whenSent.push(handler);
    else process.nextTick(() => this.#isOpen && !this.#closed && handler());
  }

  send(bytes: Uint8Array): boolean {
    if (this.#closed || this.#broken || !this.#isOpen) return false;
    if (this.#unsentBytes + bytes.length > MAX_UNSENT_BYTES) {
      this.#break(); // reported to the owner
      return false;
    }
    const sent = this.#unsentBytes > 0 ? 0 : this.#toKernel(bytes);
    if (sent < bytes.length && !this.#broken) {
      this.#unsent.push(bytes.slice(sent));
      this.#unsentBytes += bytes.length - sent;
      this.#watch();
    }
    return true;
  }

  pause(): void {
    this.#paused = true;
    this.#watch();
  }

  resume(): void {
    this.#paused = false;
    this.#watch();
  }

  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#whenSent = [];
    if (this.#unsentBytes === 0) {
      this.#drop();
      return;
    }
    this.#deadline = setTimeout(() => this.#drop(), END_DEADLINE_MS);
    this.#deadline.unref();
    this.#watch();
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  /** Reading starts with a handler: no byte arrives before one wants it. */
  get #reads(): boolean {
    if (this.#dataHandler === null || this.#paused) return false;
    return !this.#gone && !this.#closed && !this.#broken;
  }

  #watch(): void {
    if (!this.#isOpen || !this.#hasBegun || this.#broken) return;
    const interest = (this.#reads ? READABLE : 0) | (this.#unsentBytes > 0 ? WRITABLE : 0);
    if (this.#watcher === null && interest === 0) return;
    try {
      this.#watcher ??= new FdWatcher(this.fd, (events) => this.#serve(events), interest);
      this.#watcher.want(interest);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#break();
    }
  }

  /** Where the peer is gone, the read or the write that was wanted tells how. */
  #serve(events: number): void {
    const isOver = (events & ~(READABLE | WRITABLE)) !== 0;
    if (this.#unsentBytes > 0 && (isOver || (events & WRITABLE) !== 0)) this.#flush();
    if (!this.#reads) this.#watch();
    else if (isOver || (events & READABLE) !== 0) this.#read();
  }

  #read(): void {
    const count = receiveNow(this.fd, READ);
    if (count === 'later') return;
    if (count === 'broken') this.#peerGone(true);
    else if (count === 0) this.#peerGone(false);
    else this.#dataHandler?.(READ.subarray(0, count));
  }

  /** @returns bytes taken */
  #toKernel(bytes: Uint8Array): number {
    const sent = sendNow(this.fd, bytes);
    if (sent !== 'broken') return sent;
    this.#break();
    return 0;
  }

  #flush(): void {
    for (;;) {
      const first = this.#unsent[0];
      if (first === undefined) break;
      const sent = this.#toKernel(first);
      if (this.#broken) return;
      this.#unsentBytes -= sent;
      if (sent < first.length) {
        this.#unsent[0] = first.subarray(sent);
        return;
      }
      this.#unsent.shift();
    }
    if (this.#closed) {
      this.#drop();
      return;
    }
    this.#watch();
    const waiting = this.#whenSent;
    this.#whenSent = [];
    for (const handler of waiting) if (!this.#closed) handler();
  }

  #break(): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#forgetUnsent();
    this.#watcher?.close();
    if (this.#closed) this.#drop();
    else process.nextTick(() => this.#peerGone(true));
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

  #drop(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#forgetUnsent();
    this.#watcher?.close();
    closeFd(this.fd);
  }

  #forgetUnsent(): void {
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.#whenSent = [];
  }
}
