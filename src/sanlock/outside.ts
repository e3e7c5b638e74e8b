import type { ByteString } from '../base/bytes.ts';
import type { LogFields, LogLevel } from './events.ts';
import type { ToLeaseProcess } from './lease-messages.ts';

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
  leasePid(lease: number): number | null;
  /** Tells this process from a later one of the same pid; null: there is none. */
  startTime(pid: number): string | null;
  /** `processGone` comes when it ends. */
  watchProcess(pid: number): void;
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
  signal(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void;
  runKillpath(program: ByteString, args: readonly ByteString[]): void;
  logText(): Uint8Array;
  log(level: LogLevel, event: string, fields: LogFields): void;
}
