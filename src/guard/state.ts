import type { LogFields, LogLevel } from '../base/log-fields.ts';
import type { Result } from '../base/result.ts';
import type { Policy } from './config.ts';
import type { GuestDisk } from './domain.ts';
import type { GuestState, Outcome } from './guest-state.ts';
import type { DiskLease } from './lease-names.ts';
import type { LeaseRefusal, LeaseSteps } from './lease-steps.ts';

/** A hook of libvirt that waits: libvirtd goes on when it ends. */
export interface Call {
  readonly hook: number;
  /** 'start', 'release', 'reconnect', 'migrate', …: the second argument of the hook. */
  readonly operation: string;
  readonly xml: string;
}

/** A guest of this host. */
export interface Tracked {
  readonly uuid: string;
  readonly name: string;
  readonly guest: GuestState;
  /** Of its QEMU, which is watched; null: not known yet. */
  qemuPid: number | null;
  /** Hooks that wait for the release of all its leases. */
  releasing: readonly number[];
}

/** What waits for the names of disks. */
export type Naming =
  | { readonly kind: 'hook'; readonly call: Call; readonly uuid: string; readonly name: string }
  | { readonly kind: 'status'; readonly uuid: string };

export interface GuardState {
  readonly onConflict: Policy;
  readonly onReconnect: Policy;
  /** By UUID. */
  readonly guests: Map<string, Tracked>;
  /** By a number that is never used again. */
  readonly naming: Map<number, Naming>;
  nextToken: number;
}

export type GuardEvent =
  | { readonly kind: 'called'; readonly call: Call }
  /** libvirt has given up a hook that waits. */
  | { readonly kind: 'callEnded'; readonly hook: number }
  /** The status file of a guest; null: it is gone. */
  | { readonly kind: 'status'; readonly name: string; readonly xml: string | null }
  | {
      readonly kind: 'disksNamed';
      readonly token: number;
      readonly leases: Result<readonly DiskLease[], string>;
    }
  | { readonly kind: 'keeperStarted' | 'keeperNotStarted' | 'keeperEnded'; readonly uuid: string }
  | { readonly kind: 'worked'; readonly uuid: string; readonly outcome: Outcome }
  /** It has ended, and was waited for. */
  | { readonly kind: 'qemuEnded'; readonly uuid: string; readonly pid: number }
  | { readonly kind: 'tick' };

export type GuardEffect =
  /** Answered by `disksNamed`, also where a file system hangs. */
  | { readonly kind: 'nameDisks'; readonly token: number; readonly disks: readonly GuestDisk[] }
  | { readonly kind: 'startKeeper'; readonly uuid: string; readonly name: string }
  | { readonly kind: 'endKeeper'; readonly uuid: string }
  /** Asked of sanlock for the keeper; answered by `worked`. */
  | { readonly kind: 'work'; readonly uuid: string; readonly steps: LeaseSteps<Outcome> }
  | { readonly kind: 'watchQemu'; readonly uuid: string; readonly pid: number }
  /** `text`: what libvirt's user reads, and the guest does not go on; null: it does. */
  | { readonly kind: 'answer'; readonly hook: number; readonly text: string | null }
  /** As `answer`, with who has the lease, which is looked up first. */
  | {
      readonly kind: 'refuse';
      readonly hook: number;
      readonly name: string;
      readonly refusal: LeaseRefusal;
    }
  /** Its QEMU is ended: it would write what belongs to another. */
  | {
      readonly kind: 'endGuest';
      readonly uuid: string;
      readonly name: string;
      readonly pid: number;
    }
  | {
      readonly kind: 'log';
      readonly level: LogLevel;
      readonly event: string;
      readonly fields: LogFields;
    };
