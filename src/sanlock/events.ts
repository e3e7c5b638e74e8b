import type { FromLeaseProcess } from '../lease-process/messages.ts';
import type { SmHeader } from '../wire/sanlock/socket.ts';
import type { LeaseEndFacts, UserProcess } from './user-process.ts';
import type { WatchdogEvent } from './watchdog.ts';

export type FrontEvent =
  /** The first event, with the lines that earlier daemons left in the journal of holders. */
  | { readonly kind: 'started'; readonly lines: readonly string[]; readonly damaged: number }
  /** `process` null: the kernel shows us none, as for one of another pid namespace. */
  | {
      readonly kind: 'opened';
      readonly connection: number;
      readonly fd: number;
      readonly process: UserProcess | null;
      readonly uid: number | null;
    }
  | {
      readonly kind: 'request';
      readonly connection: number;
      readonly header: SmHeader;
      readonly body: Uint8Array;
    }
  | { readonly kind: 'listenerSent'; readonly connection: number; readonly bytes: Uint8Array }
  | { readonly kind: 'undelivered'; readonly connection: number; readonly lockspace: number }
  /** The end of a registered connection is taken as the death of its process (spec 20 §5). */
  | { readonly kind: 'closed'; readonly connection: number }
  | { readonly kind: 'identityKnown'; readonly wait: number }
  /** `process` null: it has ended. */
  | {
      readonly kind: 'processFound';
      readonly search: number;
      readonly process: UserProcess | null;
    }
  /** `end` null: it left no record, and nothing is known of its last writes. */
  | {
      readonly kind: 'leaseEndFound';
      readonly search: number;
      readonly end: LeaseEndFacts | null;
    }
  /** One that was found. */
  | { readonly kind: 'processEnded'; readonly process: UserProcess }
  | { readonly kind: 'leaseStarted'; readonly lease: number; readonly process: UserProcess }
  | { readonly kind: 'leaseSent'; readonly lease: number; readonly message: FromLeaseProcess }
  /** The channel broke unasked. */
  | { readonly kind: 'leaseLost'; readonly lease: number }
  /** The process is gone for good, and with it every write it had sent. */
  | { readonly kind: 'leaseEnded'; readonly lease: number }
  | { readonly kind: 'watchdog'; readonly lockspace: number; readonly event: WatchdogEvent }
  /** Our own events come late by so much. */
  | { readonly kind: 'lagged'; readonly lagMs: number }
  /** Each second, or more often while users are stopped (`tickEveryMs`). */
  | { readonly kind: 'tick' }
  /** A signal asked the daemon to end. */
  | { readonly kind: 'terminate' };
