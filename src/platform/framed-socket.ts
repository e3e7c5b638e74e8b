import { ByteQueue } from '../codec/byte-queue.ts';
import { FdWatcher, READABLE, WRITABLE } from './fd-watcher.ts';
import { receiveNow, sendNow } from './stream-calls.ts';
import { closeFd } from './system-calls.ts';

const HEADER_BYTES = 4; // the length of the frame behind it
const FIRST_BYTES = 16 * 1024; // of what is to be sent; more while the other end does not read
const MAX_READS = 32; // in one turn of the loop
const READ = new Uint8Array(64 * 1024);
const READ_VIEW = new DataView(READ.buffer);

/** What becomes of a framed socket. */
export interface FrameHandler {
  /** One whole frame, valid during the call only. */
  received(frame: Uint8Array): void;
  /** The other end is gone, or sends what is no frame. Called once, and nothing after it. */
  closed(): void;
}

/**
 * A connected stream socket between two processes of one release of ours, that carries whole
 * frames. All frames of one turn of the loop go out in one write. The sender bounds what it has
 * under way.
 */
export class FramedSocket {
  readonly #fd: number;
  readonly #handler: FrameHandler;
  readonly #watcher: FdWatcher;
  readonly #arrived = new ByteQueue();
  #out = new Uint8Array(FIRST_BYTES);
  #outView = new DataView(this.#out.buffer);
  #start = 0;
  #end = 0;
  #isPlanned = false;
  #isOpen = true;
  #whenSent: (() => void) | null = null;

  /** @param fd this object's from now on */
  constructor(fd: number, handler: FrameHandler) {
    this.#fd = fd;
    this.#handler = handler;
    this.#watcher = new FdWatcher(fd, (events) => this.#serve(events));
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether all frames so far are with the kernel. */
  get isSent(): boolean {
    return this.#start === this.#end;
  }

  /** Called once, when all that was sent until then is with the kernel. */
  whenSent(handler: () => void): void {
    this.#whenSent = handler;
  }

  /** The frame is `kind`, one byte, and `bytes`, which are copied. Nothing once it is closed. */
  send(kind: number, bytes: Uint8Array): void {
    if (!this.#isOpen) return;
    const length = 1 + bytes.length;
    this.#makeRoom(HEADER_BYTES + length);
    this.#outView.setUint32(this.#end, length, true);
    this.#out[this.#end + HEADER_BYTES] = kind;
    this.#out.set(bytes, this.#end + HEADER_BYTES + 1);
    this.#end += HEADER_BYTES + length;
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    process.nextTick(() => {
      this.#isPlanned = false;
      this.flush();
    });
  }

  /** As much as the kernel takes, now: before this process ends, for instance. */
  flush(): void {
    if (!this.#isOpen || this.isSent) return;
    const bytes = this.#out.subarray(this.#start, this.#end);
    const sent = sendNow(this.#fd, bytes);
    if (sent === 'broken') return; // the read tells the end, behind what arrived before
    this.#start += sent;
    if (!this.isSent) {
      this.#watcher.want(READABLE | WRITABLE);
      return;
    }
    this.#start = 0;
    this.#end = 0;
    if (this.#out.length > FIRST_BYTES) this.#use(new Uint8Array(FIRST_BYTES));
    this.#watcher.want(READABLE);
    const handler = this.#whenSent;
    this.#whenSent = null;
    handler?.();
  }

  /** Hears all that has arrived: the other end is known to be gone. */
  drain(): void {
    while (this.#isOpen && this.#read() > 0);
  }

  /** Calls no handler. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#watcher.close();
    closeFd(this.#fd);
  }

  #makeRoom(bytes: number): void {
    if (this.#end + bytes <= this.#out.length) return;
    const held = this.#end - this.#start;
    const larger = new Uint8Array(Math.max(held + bytes, 2 * held, FIRST_BYTES));
    larger.set(this.#out.subarray(this.#start, this.#end));
    this.#use(larger);
    this.#start = 0;
    this.#end = held;
  }

  #use(out: Uint8Array<ArrayBuffer>): void {
    this.#out = out;
    this.#outView = new DataView(out.buffer);
  }

  #serve(events: number): void {
    if ((events & WRITABLE) !== 0) this.flush();
    if ((events & ~WRITABLE) === 0) return;
    // To the end: what decides by the time must not come between the halves of a long frame.
    for (let n = 0; n < MAX_READS && this.#isOpen && this.#read() === READ.length; n++);
  }

  /** @returns bytes read; 0: there are no more for now, or ever */
  #read(): number {
    const count = receiveNow(this.#fd, READ);
    if (count === 'later') return 0;
    if (count === 'broken' || count === 0) {
      this.#lost();
      return 0;
    }
    this.#take(count);
    return count;
  }

  /** Whole frames are served where they are; the rest is kept until it is whole. */
  #take(count: number): void {
    if (this.#arrived.length > 0) {
      this.#arrived.push(READ.subarray(0, count));
      this.#serveKept();
      return;
    }
    let at = 0;
    while (this.#isOpen && count - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + READ_VIEW.getUint32(at, true);
      if (end > count) break;
      this.#handler.received(READ.subarray(at + HEADER_BYTES, end));
      at = end;
    }
    if (this.#isOpen && at < count) this.#arrived.push(READ.subarray(at, count));
  }

  #serveKept(): void {
    while (this.#isOpen && this.#arrived.length >= HEADER_BYTES) {
      const header = this.#arrived.peek(HEADER_BYTES);
      const length = new DataView(header.buffer, header.byteOffset).getUint32(0, true);
      if (this.#arrived.length < HEADER_BYTES + length) return;
      this.#handler.received(this.#arrived.take(HEADER_BYTES + length).subarray(HEADER_BYTES));
    }
  }

  #lost(): void {
    this.close();
    this.#handler.closed();
  }
}
