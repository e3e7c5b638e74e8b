import { decode } from '../../codec/struct.ts';
import type { SanlockCall } from '../../wire/sanlock/call.ts';
import { SM_HEADER_BYTES, type SmHeader, smHeader } from '../../wire/sanlock/socket.ts';
import type { SimPeer } from '../kernel/peer.ts';
import type { SanlockHost } from './sanlock-host.ts';

/** A request that is not answered yet. */
export interface Unanswered {
  readonly name: string;
  readonly stream: boolean;
  readonly sentMs: number;
  readonly answered: (header: SmHeader, body: Uint8Array) => void;
}

/** A client's connection to a daemon that may be killed: replies come in the order of requests. */
export class ClientLink {
  readonly pid: number;
  readonly host: SanlockHost;
  readonly peer: SimPeer;
  readonly unanswered: Unanswered[] = [];
  /** The client closed it, or the daemon is gone. */
  isOver = false;
  /** It only delivers events from now on. */
  isChannel = false;
  /** Only a part of its request was sent. */
  isCut = false;
  /** When the first unanswered request came to be the first. */
  headSinceMs = 0;

  readonly #nowMs: () => number;

  constructor(host: SanlockHost, pid: number, nowMs: () => number) {
    this.#nowMs = nowMs;
    this.host = host;
    this.pid = pid;
    this.peer = host.connect(pid);
    this.peer.onReceived = () => this.#received();
  }

  get isOpen(): boolean {
    return !this.isOver && !this.peer.closedByDaemon;
  }

  /**
   * @param cutAt sends only so many bytes now
   * @returns sends the rest
   */
  call<T>(
    call: SanlockCall<T>,
    nowMs: number,
    answered: Unanswered['answered'] = () => {},
    cutAt = call.request.length,
  ): () => void {
    const stream = call.reply === 'stream';
    if (call.reply !== 'silence') {
      this.unanswered.push({ name: call.name, stream, sentMs: nowMs, answered });
    }
    this.isCut = cutAt < call.request.length;
    this.#send(call.request.subarray(0, cutAt));
    return () => {
      this.isCut = false;
      this.#send(call.request.subarray(cutAt));
    };
  }

  send(bytes: Uint8Array): void {
    this.#send(bytes);
  }

  close(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.unanswered.splice(0);
    this.host.toDaemon(() => this.peer.close());
  }

  #send(bytes: Uint8Array): void {
    if (!this.isOpen || bytes.length === 0) return;
    this.host.toDaemon(() => this.peer.send(bytes));
  }

  #received(): void {
    if (this.isOver) return;
    const { received } = this.peer;
    while (received.length >= SM_HEADER_BYTES) {
      const first = this.unanswered[0];
      if (first === undefined) {
        if (this.isChannel) received.splice(0);
        return;
      }
      const header = decode(smHeader, Uint8Array.from(received.slice(0, SM_HEADER_BYTES)));
      const length = first.stream ? received.length : Math.max(SM_HEADER_BYTES, header.length);
      if (received.length < length) return;
      const bytes = Uint8Array.from(received.splice(0, length));
      this.unanswered.shift();
      this.headSinceMs = this.#nowMs();
      first.answered(header, bytes.subarray(SM_HEADER_BYTES));
    }
  }
}
