import type { LogFields } from '../base/log-fields.ts';
import { ByteQueue } from '../codec/byte-queue.ts';
import { decode } from '../codec/struct.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import type { BoundProcess, Processes } from '../ports/processes.ts';
import type { Connection } from '../ports/sockets.ts';
import type { FrontEvent } from '../sanlock/events.ts';
import { bodyLength, replyBytes } from '../sanlock/request.ts';
import { SM_HEADER_BYTES, type SmHeader, smHeader } from '../wire/sanlock/socket.ts';
import { Turns } from './turns.ts';

interface Peer {
  readonly id: number;
  readonly process: BoundProcess | null;
  readonly connection: Connection;
  readonly frames: ByteQueue;
  discardBytes: number;
  discardUntilMs: number;
  /** Answers are not read: it is served again when the kernel has taken them. */
  unread: boolean;
  /** Nothing more is read from it for now. */
  held: boolean;
  /** Its bytes are no requests any more. */
  listens: boolean;
  ended: boolean;
}

/** What a peer may send ahead of being served; beyond, the kernel holds it back. */
const HIGH_WATER_BYTES = 128 * 1024;
/** Long enough for what a refused request still sends, as the original waits. */
const DISCARD_MS = 20;
/** Events a listener may leave unread beyond what the kernel holds for it. */
const MAX_UNSENT_EVENT_BYTES = 16 * 1024;

/** What the connections need of the program that serves them. */
export interface Service {
  readonly clock: Clock;
  readonly processes: Processes;
  readonly log: Log;
  readonly event: (event: FrontEvent) => void;
  /** Whether its next request may be served now. */
  readonly isServed: (connection: number) => boolean;
  /** A header that is dropped in silence, and what the log says of it; null: it is served. */
  readonly dropped: (
    connection: number,
    header: SmHeader,
  ) => { readonly event: string; readonly fields: LogFields } | null;
}

/** The connections of sanlock.sock: bytes in, whole requests out, each client in its turn. */
export class SanlockConnections {
  readonly #service: Service;
  readonly #peers = new Map<number, Peer>();
  readonly #turns: Turns<Peer>;
  #nextConnection = 1;

  constructor(service: Service) {
    this.#service = service;
    this.#turns = new Turns(service.clock, (peer) => this.#turnOf(peer));
  }

  accept(connection: Connection): void {
    const id = this.#nextConnection++;
    const process = this.#service.processes.peerOf(connection);
    const peer: Peer = {
      id,
      process,
      connection,
      frames: new ByteQueue(),
      discardBytes: 0,
      discardUntilMs: 0,
      unread: false,
      held: false,
      listens: false,
      ended: false,
    };
    this.#peers.set(id, peer);
    const { fd, peerUid: uid } = connection;
    this.#service.event({ kind: 'opened', connection: id, fd, process, uid });
    if (peer.ended) return; // it was refused
    connection.onData((bytes) => {
      this.#received(peer, bytes);
      if (peer.frames.length >= SM_HEADER_BYTES) this.#turns.want(peer);
      this.#hold(peer);
    });
    connection.onClosed(() => {
      this.#forget(peer);
      this.#service.event({ kind: 'closed', connection: id });
      peer.process?.close();
    });
  }

  send(id: number, bytes: Uint8Array): void {
    this.#peers.get(id)?.connection.send(bytes);
  }

  /** @returns false when it is gone, or too far behind */
  deliver(id: number, bytes: Uint8Array): boolean {
    const to = this.#peers.get(id)?.connection;
    if (to === undefined || (to.unsentBytes ?? 0) > MAX_UNSENT_EVENT_BYTES) return false;
    return to.send(bytes);
  }

  /** Closed once what was sent has gone out; nothing more is read from it. */
  end(id: number): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.#forget(peer);
    peer.process?.close();
    peer.connection.end();
  }

  refuse(id: number): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.#forget(peer);
    peer.process?.close();
    peer.connection.close();
  }

  /** Its next request may be served. */
  resume(id: number): void {
    const peer = this.#peers.get(id);
    if (peer === undefined || peer.frames.length < SM_HEADER_BYTES) return;
    this.#turns.wantLater(peer);
  }

  /** Bytes behind the request that made a listener of it are no request. */
  listen(id: number): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    peer.listens = true;
    const bytes = peer.frames.take(peer.frames.length);
    if (bytes.length > 0) this.#service.event({ kind: 'listenerSent', connection: id, bytes });
  }

  #forget(peer: Peer): void {
    peer.ended = true;
    this.#peers.delete(peer.id);
    this.#turns.forget(peer);
  }

  #received(peer: Peer, bytes: Uint8Array): void {
    if (peer.listens) {
      this.#service.event({ kind: 'listenerSent', connection: peer.id, bytes });
    } else {
      peer.frames.push(this.#afterDiscard(peer, bytes));
    }
  }

  #afterDiscard(peer: Peer, bytes: Uint8Array): Uint8Array {
    if (peer.discardBytes === 0) return bytes;
    if (this.#service.clock.nowMs() > peer.discardUntilMs) return bytes;
    const dropped = Math.min(bytes.length, peer.discardBytes);
    peer.discardBytes -= dropped;
    return bytes.subarray(dropped);
  }

  /** @returns whether it may have another request */
  #turnOf(peer: Peer): boolean {
    const served = this.#canServe(peer) && this.#serveNext(peer);
    const more = served && peer.frames.length >= SM_HEADER_BYTES && this.#canServe(peer);
    this.#hold(peer, more);
    return more;
  }

  /** A client that does not read its answers gets no more of them, nor are its requests read. */
  #canServe(peer: Peer): boolean {
    const { connection } = peer;
    if (peer.unread || peer.ended || !this.#service.isServed(peer.id)) return false;
    if ((connection.unsentBytes ?? 0) === 0) return true;
    peer.unread = true;
    connection.whenSent?.(() => {
      peer.unread = false;
      this.#turns.want(peer);
    });
    return false;
  }

  /**
   * Requests that wait for their turn hold back what is behind them, the end of the connection
   * included: it comes when they have been served, as it does to a daemon that reads one by one.
   */
  #hold(peer: Peer, hasMore = this.#turns.waits(peer)): void {
    const held = hasMore || peer.unread || peer.frames.length > HIGH_WATER_BYTES;
    if (held === peer.held) return;
    peer.held = held;
    if (held) peer.connection.pause();
    else peer.connection.resume();
  }

  /** @returns false when it needs more bytes */
  #serveNext(peer: Peer): boolean {
    if (peer.frames.length < SM_HEADER_BYTES) return false;
    const header = decode(smHeader, peer.frames.peek(SM_HEADER_BYTES));
    const dropped = this.#service.dropped(peer.id, header);
    if (dropped !== null) {
      this.#service.log.debug(dropped.event, dropped.fields);
      peer.frames.take(SM_HEADER_BYTES);
      return true;
    }
    const length = bodyLength(header, peer.frames.behind(SM_HEADER_BYTES));
    if (length.kind === 'refused') {
      this.#refuseRequest(peer, length.result);
      return true;
    }
    const whole = SM_HEADER_BYTES + length.bytes;
    if (peer.frames.length < whole) return false; // others are served meanwhile
    if (length.kind === 'more') return true;
    const body = peer.frames.take(whole).subarray(SM_HEADER_BYTES);
    this.#service.event({ kind: 'request', connection: peer.id, header, body });
    return true;
  }

  #refuseRequest(peer: Peer, result: number): void {
    const header = decode(smHeader, peer.frames.take(SM_HEADER_BYTES));
    peer.connection.send(replyBytes(header, { result }));
    const rest = Math.max(0, header.length - SM_HEADER_BYTES);
    const here = Math.min(rest, peer.frames.length);
    peer.frames.take(here);
    peer.discardBytes = rest - here;
    peer.discardUntilMs = this.#service.clock.nowMs() + DISCARD_MS;
  }
}
