import type { LogFields, LogLevel } from '../base/log-fields.ts';
import type { Result } from '../base/result.ts';
import type { Policy } from './config.ts';
import type { GuestDisk } from './domain.ts';
import type { GuestState, Outcome } from './guest-state.ts';
import type { DiskLease } from './lease-names.ts';
import type { Holdings, LeaseRefusal, LeaseSteps } from './lease-steps.ts';

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
  /** As libvirt calls it; its UUID, as long as only its keeper is known. */
  name: string;
  readonly guest: GuestState;
  /** Of its QEMU, which is watched; null: not known yet. */
  qemuPid: number | null;
  /** It was seen, and has not ended yet. */
  qemuRuns: boolean;
  /** Hooks that wait for the release of all its leases. */
  releasing: readonly number[];
  /** Of the status file that was read last: what an earlier one named is out of date. */
  naming: number | null;
  /** As that file has them. */
  disks: readonly GuestDisk[];
  /** Of which its leases were named; null: of an earlier guard, or not yet. */
  namedDisks: readonly GuestDisk[] | null;
  /** They could not be named, and are tried again then; null: they need not. */
  nameAgainAtMs: number | null;
  /** libvirt called no hook: it ran before the guard did, and is not ended by it. */
  isUnannounced: boolean;
  /** What is done when its lockspace is lost. */
  onLoss: OnLoss;
  /** As it was recorded last; null: not yet. */
  recorded: string | null;
  /** The complaint that was logged last: it is not repeated. */
  complaint: string;
}

/** Its QEMU is ended, or libvirt is asked to pause it. */
export type OnLoss = 'kill' | 'pause';

/** What the next guard has to know of a guest. */
export interface GuestRecord {
  readonly uuid: string;
  readonly name: string;
  readonly onLoss: OnLoss;
  readonly qemuPid: number | null;
  readonly leases: readonly DiskLease[];
  readonly holdings: Holdings;
  readonly orphans: Holdings;
  /** Leases that it lost and stood still without, by name: it may not go on without them. */
  readonly unprotected: ReadonlySet<string>;
}

/** What waits for the names of disks. */
export type Naming =
  | {
      readonly kind: 'hook';
      readonly call: Call;
      readonly uuid: string;
      readonly name: string;
      readonly onLoss: OnLoss;
      readonly disks: readonly GuestDisk[];
    }
  | { readonly kind: 'status'; readonly uuid: string; readonly disks: readonly GuestDisk[] };

export interface GuardState {
  readonly onConflict: Policy;
  readonly onReconnect: Policy;
  /** By UUID. */
  readonly guests: Map<string, Tracked>;
  /** By a number that is never used again. */
  readonly naming: Map<number, Naming>;
  nextToken: number;
  /** Pids of QEMUs that have ended, by UUID: libvirt's last words on them come later. */
  readonly endedPids: Map<string, number>;
}

export type GuardEvent =
  /** Of the guard before this one, before anything else. `qemuEnded`: its QEMU surely is gone. */
  | {
      readonly kind: 'found';
      readonly guests: readonly (GuestRecord & {
        readonly keeperLives: boolean;
        readonly qemuHasEnded: boolean;
      })[];
    }
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
  | { readonly kind: 'keeperStarted' | 'keeperEnded'; readonly uuid: string }
  /** Why, in half a sentence. */
  | { readonly kind: 'keeperNotStarted'; readonly uuid: string; readonly reason: string }
  | { readonly kind: 'worked'; readonly uuid: string; readonly outcome: Outcome }
  /** It has ended, and was waited for. */
  | { readonly kind: 'qemuEnded'; readonly uuid: string; readonly pid: number }
  /** null: none of that guest runs. */
  | { readonly kind: 'qemuLookedFor'; readonly uuid: string; readonly pid: number | null }
  /** This host has joined the lockspace anew. */
  | { readonly kind: 'rejoined' }
  | { readonly kind: 'tick' };

export type GuardEffect =
  /** Answered by `disksNamed`, also where a file system hangs. */
  | { readonly kind: 'nameDisks'; readonly token: number; readonly disks: readonly GuestDisk[] }
  | { readonly kind: 'startKeeper'; readonly uuid: string; readonly name: string }
  /** And all that is known of the guest with it. */
  | { readonly kind: 'endKeeper'; readonly uuid: string }
  /** sanlock does not know it: the guest gets another one. */
  | { readonly kind: 'dropKeeper'; readonly uuid: string }
  /** Asked of sanlock for the keeper; answered by `worked`. */
  | { readonly kind: 'work'; readonly uuid: string; readonly steps: LeaseSteps<Outcome> }
  | { readonly kind: 'watchQemu'; readonly uuid: string; readonly pid: number }
  /** Also one that libvirt knows no more; answered by `qemuLookedFor`. */
  | { readonly kind: 'findQemu'; readonly uuid: string }
  /** `text`: what libvirt's user reads, and the guest does not go on; null: it does. */
  | { readonly kind: 'answer'; readonly hook: number; readonly text: string | null }
  /** As `answer`, with who has the lease, which is looked up first. */
  | {
      readonly kind: 'refuse';
      readonly hook: number;
      readonly name: string;
      readonly refusal: LeaseRefusal;
    }
  /** Before what is done next for it. */
  | { readonly kind: 'record'; readonly record: GuestRecord }
  /** Its QEMU is ended: it would write what belongs to another. */
  | {
      readonly kind: 'endGuest';
      readonly uuid: string;
      readonly name: string;
      readonly pid: number;
    }
  /** It runs, nobody holds its leases, and the lockspace is lost: it is ended, or paused. */
  | { readonly kind: 'loseGuest'; readonly uuid: string }
  | {
      readonly kind: 'log';
      readonly level: LogLevel;
      readonly event: string;
      readonly fields: LogFields;
    };
