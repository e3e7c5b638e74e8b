/**
 * The bytes of messages to and from a child process of ours. What `encode` returns is valid until
 * the next message is encoded; `decode` keeps nothing of what it is given, and throws where that is
 * no message.
 */
export interface MessageFormat<Out, In> {
  encode(message: Out): Uint8Array;
  decode(bytes: Uint8Array): In;
}

/** A message channel to a child process of ours. Callbacks never fire after `kill()`. */
export interface Channel<Out, In> {
  readonly process: BoundProcess;
  send(message: Out): void;
  /**
   * As `send`, for what only the newest of counts: it replaces an earlier one that is not on its
   * way yet, so a child that reads nothing costs no more than one.
   */
  sendNewest(message: Out): void;
  onMessage(handler: (message: In) => void): void;
  /**
   * The child ended or the channel broke. Fires once; a child stuck in the kernel may never fire
   * it.
   */
  onClosed(handler: () => void): void;
  /** SIGKILL, without waiting: a child stuck on a device lingers until the device answers. */
  kill(): void;
}

/** The signals by which users of a lost lease are stopped. */
export type SignalName = 'SIGTERM' | 'SIGKILL';

/**
 * One process, and never a later one of its pid. Nothing else can be signalled: a pid alone may
 * have come to mean a stranger.
 */
export interface BoundProcess {
  readonly pid: number;
  /** Tells it, in this boot, from any other process of its pid; null: not known, or not yet. */
  readonly identity: string | null;
  /** `known` is called once: when there is an identity, or surely will be none. */
  onKnown(known: () => void): void;
  /** true only when it has surely ended: a process that cannot be watched counts as alive. */
  readonly hasEnded: boolean;
  /**
   * What the kernel calls it at this moment, without its arguments: they may hold secrets. Of any
   * bytes; empty: not shown. For readers alone.
   */
  readonly command: string;
  /** `ended` is called once, and not before this returns. */
  onEnded(ended: () => void): void;
  /** Reaches this process or none; a hindrance is logged. */
  signal(signal: SignalName): void;
  /** It is not watched any more. Safe to repeat. */
  close(): void;
}

/** What a lease process wrote down when its front was gone, and nothing it had sent was open. */
export interface LeaseEnd {
  /** By CLOCK_MONOTONIC: until then writes that were refused may land; null: none may. */
  readonly refusedUntilMs: number | null;
}

/** Processes of this host: starts ours, and binds those of clients. */
export interface Processes {
  /** Starts a lease process; `label` shows in its process name. */
  startLeaseProcess<Out, In>(label: string, format: MessageFormat<Out, In>): Channel<Out, In>;
  /**
   * The process that opened a connection; ask when the connection comes. null: the kernel shows
   * none, as for another pid namespace, or it has ended.
   */
  peerOf(connection: { readonly fd: number; readonly peerPid: number | null }): BoundProcess | null;
  /** The process that had this identity; null: it has ended. */
  find(pid: number, identity: string): BoundProcess | null;
  /**
   * The end record of a lease process of an earlier front; ask when it has ended. null: it left
   * none, and nothing is known of its last writes. It stays until `forgetEnds`.
   */
  endOfLease(pid: number, identity: string): LeaseEnd | null;
  /**
   * No end record is wanted any more. One that is missing is never unsafe: the next front only
   * waits for as long as a refused write may take.
   */
  forgetEnds(): void;
  /**
   * Runs a program without a shell (PATH search), detached from our devices; its result is logged.
   * Nothing here waits for the disk it lies on.
   */
  run(program: string, args: readonly string[]): void;
}
