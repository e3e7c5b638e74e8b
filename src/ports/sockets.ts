/** One accepted or opened stream connection. Callbacks never fire after `close()`. */
export interface Connection {
  /** The peer's pid at connect time (SO_PEERCRED); null when the platform cannot say. */
  readonly peerPid: number | null;
  /** The peer's effective user at connect time, of the same source; 0 is root. */
  readonly peerUid: number | null;
  /** A number unique in this process; the file descriptor where there is one. */
  readonly fd: number;
  /** The bytes are the handler's during the call only. */
  onData(handler: (bytes: Uint8Array) => void): void;
  /**
   * EOF or error: the peer is gone. Fires once. What was sent by the end of the handler still goes
   * out, then the connection closes by itself.
   */
  onClosed(handler: () => void): void;
  /** After that: the peer left bytes of ours unread, or something sent could not be delivered. */
  readonly hasUnread?: boolean;
  /** What was queued by `send` and is not with the kernel yet; absent where nothing queues. */
  readonly unsentBytes?: number;
  /** Calls once when all that was sent so far is with the kernel; absent as `unsentBytes` is. */
  whenSent?(handler: () => void): void;
  /** Queues bytes; false when the outbound bound is exceeded and the connection was dropped. */
  send(bytes: Uint8Array): boolean;
  /** Stops and resumes reading, so that a busy peer is held back by the kernel. */
  pause(): void;
  resume(): void;
  /** Flushes what is queued, then closes. */
  end(): void;
  /** Drops it at once. Safe to repeat. */
  close(): void;
}

/** A bound socket. Closing it removes its name and accepts no more; connections stay. */
export interface Listener {
  close(): void;
  /**
   * Accepts no more, and leaves the open socket and its name to the next daemon, which answers who
   * connects meanwhile. false: nothing would keep it open, and nothing was done. Not after `close`.
   */
  leave?(): boolean;
}

/** Opens connections to unix stream sockets. Paths are byte strings, as everywhere. */
export interface Connecting {
  /** Answers once, at the latest at the timeout; errno positive. */
  connect(
    path: string,
    timeoutMs: number,
    answer: (opened: { ok: true; connection: Connection } | { ok: false; errno: number }) => void,
  ): void;
}

/** And serves them. */
export interface Sockets extends Connecting {
  /**
   * Binds a unix stream socket, in place of one that a dead daemon left; throws with the reason
   * when it cannot, also where another daemon answers. Closing the listener removes the name.
   */
  listen(
    at: { path: string; mode: number; uid: number; gid: number; backlog: number },
    accept: (connection: Connection) => void,
  ): Listener;
}
