import type { DiskLease } from './lease-names.ts';
import type { Holdings, LeaseRefusal, LeaseSteps, NotTaken, Surveyed } from './lease-steps.ts';

/** What libvirtd's status file says of a guest; it is written anew at each change. */
export interface GuestStatus {
  /** Its CPUs run. */
  readonly isRunning: boolean;
  /** A migration is under way: from here, to here, or none. */
  readonly migration: 'out' | 'in' | null;
  /** libvirt starts it here, or has started it so: no migration brought it. */
  readonly startsHere: boolean;
  /** What its disks need now; null: one of them has no name. */
  readonly leases: readonly DiskLease[] | null;
}

/** A hook that waits for its verdict; libvirtd waits for the hook. */
export interface Demand {
  readonly hook: number;
  readonly kind: 'start' | 'incoming' | 'reconnect';
  readonly leases: readonly DiskLease[];
}

/** The process that holds the leases of a guest. */
export type Keeper = 'none' | 'starting' | 'there';

/** What was asked of sanlock last, and is not answered yet. */
export type Work =
  | { readonly kind: 'take'; readonly demand: Demand }
  /** Disks that were plugged in while it runs. */
  | { readonly kind: 'takeMore'; readonly leases: readonly DiskLease[] }
  | { readonly kind: 'lend' }
  | { readonly kind: 'reclaim' }
  | { readonly kind: 'releaseAll' }
  /** Of disks that were plugged out. */
  | { readonly kind: 'releaseSome' }
  /** Needs no keeper, as `survey`. */
  | { readonly kind: 'releaseOrphans' }
  | { readonly kind: 'survey' }
  /** Of a keeper that has ended since: its outcome says only what is orphaned. */
  | { readonly kind: 'void'; readonly leases: readonly DiskLease[] };

/**
 * A guest, by what is known of it. What to do next follows from that alone (`guest-step.ts`), so an
 * event that is missed, late or told twice changes nothing that the next one does not mend.
 */
export interface GuestState {
  /** What its disks need. */
  leases: readonly DiskLease[];
  keeper: Keeper;
  /** What its keeper has. */
  holdings: Holdings;
  /** What earlier keepers had: persistent, so nobody else's. */
  orphans: Holdings;
  demand: Demand | null;
  /** libvirt called the migrate hook: its start is that of a migration. */
  incomingUntilMs: number | null;
  /**
   * What it holds shared it got for a migration to here. 'expected': its first status is to show
   * one; 'none': it shows a start, which was taken for one. null: nothing is awaited.
   */
  arrival: 'expected' | 'none' | null;
  /** A migration was over then, which brought it here, or left it here; null: none was. */
  migratedAtMs: number | null;
  status: GuestStatus | null;
  /** Its QEMU has ended, or libvirt says that all is released. */
  isOver: boolean;
  /** false: what is known of its leases may be wrong, and sanlock is asked before anything else. */
  isSurveyed: boolean;
  /** By then libvirt has a status file of a guest that it starts; null: it has, or had, one. */
  unseenUntilMs: number | null;
  /** When the lockspace of its orphans was seen to be gone; null: it is not. */
  goneSinceMs: number | null;
  /** When it was last begun to end it, or to pause it, for that; null: not yet. */
  lossBegunMs: number | null;
  /** How long the next keeper is waited for, as the last ones did not live long. */
  keeperRestMs: number;
  /** When the keeper was started; without one, when the next one may be. */
  keeperAtMs: number;
  /** Leases that it has, or had in this run and needs still, by name. */
  had: ReadonlySet<string>;
  /** Those that it lost and stood still without: it may not go on without them. */
  unprotected: ReadonlySet<string>;
  work: Work | null;
  /** Nothing is tried again before; null: at once. */
  againAtMs: number | null;
}

export type GuestEvent =
  /** The migrate hook on the target. */
  | { readonly kind: 'announced' }
  | { readonly kind: 'demanded'; readonly demand: Demand }
  | { readonly kind: 'statusRead'; readonly status: GuestStatus }
  /** QEMU's process has ended and was waited for, or there is none. */
  | { readonly kind: 'ended' }
  /** The release hook. `qemuRuns`: libvirt is done with it, and its process has not ended yet. */
  | { readonly kind: 'released'; readonly qemuRuns: boolean }
  /** Its QEMU runs, though libvirt has shown no status file of it. */
  | { readonly kind: 'qemuFound' }
  /** The lockspace was joined anew: sanlock may have nothing of what it had. */
  | { readonly kind: 'rejoined' }
  /** It is registered with sanlock, and has no lease. */
  | { readonly kind: 'keeperStarted' }
  | { readonly kind: 'keeperNotStarted'; readonly reason: string }
  /** Killed by somebody: what it had is orphaned, and nobody else's. */
  | { readonly kind: 'keeperEnded' }
  /** The work is done. */
  | { readonly kind: 'worked'; readonly outcome: Outcome }
  | { readonly kind: 'tick' };

/** `refusal`: of what was taken for the first time; `code`: 0, or of the first that failed. */
export type Outcome =
  | { readonly kind: 'took'; readonly holdings: Holdings }
  | ({ readonly kind: 'refused' } & NotTaken)
  | { readonly kind: 'converted'; readonly holdings: Holdings; readonly code: number }
  | {
      readonly kind: 'released' | 'orphansReleased';
      readonly asked: Holdings;
      readonly left: Holdings;
    }
  | ({ readonly kind: 'surveyed' } & Surveyed);

export type Verdict =
  | { readonly kind: 'granted' }
  | { readonly kind: 'refused'; readonly refusal: LeaseRefusal }
  | { readonly kind: 'noKeeper'; readonly reason: string }
  /** Another hook of this guest came while it waited: libvirt has given it up. */
  | { readonly kind: 'superseded' };

export type GuestEffect =
  /** Answered by `keeperStarted` or `keeperNotStarted`. */
  | { readonly kind: 'startKeeper' }
  /** Answered by `worked`. */
  | { readonly kind: 'work'; readonly steps: LeaseSteps<Outcome> }
  | {
      readonly kind: 'verdict';
      readonly hook: number;
      readonly of: Demand['kind'];
      readonly verdict: Verdict;
    }
  /** What a guest that runs needs belongs to another: an alarm, and by policy the guest's end. */
  | { readonly kind: 'conflict'; readonly refusal: LeaseRefusal }
  /** libvirt starts it here, and has its leases by mistake: it does not start. */
  | { readonly kind: 'notArrived'; readonly refusal: LeaseRefusal }
  /** It is tried again: sanlock does not answer, or is not in the lockspace yet. */
  | { readonly kind: 'notTaken'; readonly refusal: LeaseRefusal }
  /** sanlock does not know its keeper any more: another one takes its place. */
  | { readonly kind: 'dropKeeper' }
  /** It runs on, and the lockspace of its orphans is gone: its loss action is carried out. */
  | { readonly kind: 'lost' }
  /** libvirt has shown nothing of it for long. Answered by `ended` or `qemuFound`. */
  | { readonly kind: 'findQemu' }
  /** Nothing is left of it: its keeper ends. */
  | { readonly kind: 'over' }
  | { readonly kind: 'log'; readonly event: string; readonly code: number };
