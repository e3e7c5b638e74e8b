import type { ByteString } from '../base/bytes.ts';
import type { LogFields, LogLevel } from '../base/log-fields.ts';
import type { ToLeaseProcess } from '../lease-process/messages.ts';

/** One process, and never a later one of its pid: only such a one can be signalled. */
export interface UserProcess {
  readonly pid: number;
  /** Tells it, in this boot, from any other process of its pid; null: not known, or not yet. */
  readonly identity: string | null;
  onKnown(known: () => void): void;
  /** true only when it has surely ended. */
  readonly hasEnded: boolean;
  signal(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/** What the front asks of the world. Every call returns at once; answers come back as events. */
export interface Outside {
  /** Bytes for a connection; `end` closes it once they are sent. */
  send(connection: number, bytes: Uint8Array): void;
  end(connection: number): void;
  /** As `send`, to a peer that need not read: false when it is gone or too far behind. */
  deliver(connection: number, bytes: Uint8Array): boolean;
  /** The connection may deliver its next request. */
  resume(connection: number): void;
  /** A new lease process; the number names it from now on. */
  startLease(label: ByteString): number;
  toLease(lease: number, message: ToLeaseProcess): void;
  /** Kills it; `leaseEnded` comes when it is gone for good, with all it sent to a device. */
  endLease(lease: number): void;
  /** null: it has ended. */
  leaseProcess(lease: number): UserProcess | null;
  /** Goes on when its identity is known, or surely will not be; mostly at once. */
  whenKnown(process: UserProcess, goOn: () => void): void;
  /** Of an earlier daemon's time; null: it has ended. `ended` is not called before this returns. */
  findProcess(pid: number, identity: string, ended: () => void): UserProcess | null;
  /**
   * A line for a daemon that is started after a crash of this one; false: it could not be written.
   */
  remember(line: string): boolean;
  rememberAll(lines: readonly string[]): boolean;
  /** A connection to wdmd for this lockspace; what comes of it arrives as watchdog events. */
  openWatchdog(lockspace: number): void;
  toWatchdog(lockspace: number, bytes: Uint8Array): void;
  /** Closes it once what was sent has gone out. */
  endWatchdog(lockspace: number): void;
  runKillpath(program: ByteString, args: readonly ByteString[]): void;
  logText(): Uint8Array;
  log(level: LogLevel, event: string, fields: LogFields): void;
}
