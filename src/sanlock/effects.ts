import type { ByteString } from '../base/bytes.ts';
import type { LogFields, LogLevel } from '../base/log-fields.ts';
import type { ToLeaseProcess } from '../lease-process/messages.ts';
import type { SmHeader } from '../wire/sanlock/socket.ts';
import type { UserProcess } from './user-process.ts';

/**
 * What the program carries out after each event, in this order. An effect that is answered is
 * answered in the same instant, by an event, before the next effect is carried out.
 */
export type Effect =
  | {
      readonly kind: 'log';
      readonly level: LogLevel;
      readonly event: string;
      readonly fields: LogFields;
    }
  | { readonly kind: 'send'; readonly connection: number; readonly bytes: Uint8Array }
  /** The answer to LOG_DUMP: the log up to here. */
  | { readonly kind: 'sendLog'; readonly connection: number; readonly header: SmHeader }
  /**
   * An event for a listener; answered by `undelivered` where the listener is gone, or has left too
   * many unread.
   */
  | {
      readonly kind: 'deliver';
      readonly connection: number;
      readonly lockspace: number;
      readonly bytes: Uint8Array;
    }
  /** Closed once what was sent has gone out; nothing more is read from it. */
  | { readonly kind: 'end'; readonly connection: number }
  /** No place is left for a connection that was just opened. */
  | { readonly kind: 'refuse'; readonly connection: number }
  /** Its next request may be served. */
  | { readonly kind: 'resume'; readonly connection: number }
  /** Bytes that arrive on it from now on are no request, but `listenerSent`. */
  | { readonly kind: 'listen'; readonly connection: number }
  /** A process for one lockspace; answered by `leaseStarted`. */
  | { readonly kind: 'startLease'; readonly lease: number; readonly label: ByteString }
  | { readonly kind: 'toLease'; readonly lease: number; readonly message: ToLeaseProcess }
  /** Kills it; `leaseEnded` comes when it is gone for good, with all it sent to a device. */
  | { readonly kind: 'endLease'; readonly lease: number }
  | {
      readonly kind: 'signal';
      readonly process: UserProcess;
      readonly signal: 'SIGTERM' | 'SIGKILL';
    }
  | {
      readonly kind: 'runKillpath';
      readonly program: ByteString;
      readonly args: readonly ByteString[];
    }
  /** `identityKnown` comes when it has one, or surely will not have one. */
  | { readonly kind: 'awaitIdentity'; readonly process: UserProcess; readonly wait: number }
  /** A process of an earlier daemon's time; answered by `processFound`. */
  | {
      readonly kind: 'findProcess';
      readonly search: number;
      readonly pid: number;
      readonly identity: string;
    }
  /** It is not watched any more. */
  | { readonly kind: 'unwatch'; readonly process: UserProcess }
  /** The end record of a lease process of an earlier daemon; answered by `leaseEndFound`. */
  | {
      readonly kind: 'findLeaseEnd';
      readonly search: number;
      readonly pid: number;
      readonly identity: string;
    }
  /** No end record is wanted any more. */
  | { readonly kind: 'forgetLeaseEnds' }
  /** A connection to wdmd for this lockspace; what comes of it arrives as `watchdog`. */
  | { readonly kind: 'openWatchdog'; readonly lockspace: number }
  | { readonly kind: 'toWatchdog'; readonly lockspace: number; readonly bytes: Uint8Array }
  /** Closes it once what was sent has gone out. */
  | { readonly kind: 'endWatchdog'; readonly lockspace: number }
  /** No client is accepted any more: those that come wait for the successor, where they can. */
  | { readonly kind: 'leaveClients' }
  /**
   * The daemon ends in order. 0: no lockspace is left. `HANDED_OVER_STATUS`: all goes on with a
   * successor; lease processes end by themselves.
   */
  | { readonly kind: 'exit'; readonly status: number };

/** The front, which queues them. */
interface Queue {
  readonly effects: Effect[];
}

export function log(to: Queue, level: LogLevel, event: string, fields: LogFields): void {
  to.effects.push({ kind: 'log', level, event, fields });
}

export function send(to: Queue, connection: number, bytes: Uint8Array): void {
  to.effects.push({ kind: 'send', connection, bytes });
}

export function toLease(to: Queue, lease: number, message: ToLeaseProcess): void {
  to.effects.push({ kind: 'toLease', lease, message });
}
