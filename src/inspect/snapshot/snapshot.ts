import type { DaemonName, LockspaceFacts } from '../restart/host-facts.ts';

/**
 * What one look at a host found: its daemons, its lockspaces with their hosts, its shared VGs with
 * the holders of their LVs. Findings, plans, text, JSON, page and metrics are made of it alone.
 *
 * Names and texts come from disks and from other machines: they are as found, and whoever shows
 * them makes them fit for a line (base/plain-text). Times are seconds, ages count back from `taken`.
 */
export interface Snapshot {
  readonly taken: {
    /** Milliseconds since 1970, for people and files. */
    readonly wallMs: number;
    /** CLOCK_MONOTONIC of this host, as timestamps on the disk have it. */
    readonly monotonicS: number;
  };
  readonly host: HostSeen;
  /** wdmd, sanlock, lvmlockd, in that order. */
  readonly daemons: readonly DaemonSeen[];
  readonly watchdog: WatchdogSeen;
  readonly lockspaces: readonly LockspaceSeen[];
  readonly vgs: readonly VgSeen[];
  /** What could not be looked at, so that what is missing above is not taken for absent. */
  readonly unread: readonly Unread[];
}

export interface HostSeen {
  readonly name: string;
  /** `local/host_id` of lvmlocal.conf; null: none is set, or lvm did not say. */
  readonly hostId: number | null;
}

export interface DaemonSeen {
  readonly name: DaemonName;
  /** `silent`: it runs, and does not answer. */
  readonly state: 'running' | 'silent' | 'absent';
  /** 0: not known. */
  readonly pid: number;
  /** The C program, not ours. */
  readonly isOriginal: boolean;
  /** As it says on its socket: `3.8.5`, of ours the release that it is like; null: it has none. */
  readonly version: string | null;
}

/** Whether a host that loses its leases is reset. */
export type WatchdogSeen =
  | {
      readonly state: 'on';
      /** Tests of wdmd that hold the watchdog: lockspaces, scripts. */
      readonly clients: readonly {
        readonly name: string;
        readonly pid: number;
        readonly isDead: boolean;
        /** Until the watchdog is left alone; null: it has no expiry. */
        readonly leftS: number | null;
      }[];
    }
  | {
      readonly state: 'off' | 'unknown';
      readonly why: 'wdmdAbsent' | 'wdmdSilent' | 'notUsed' | 'sanlockAbsent' | 'sanlockSilent';
    };

/** A lockspace that sanlock has here. */
export interface LockspaceSeen extends LockspaceFacts {
  readonly hostId: number;
  readonly path: string;
  readonly offsetBytes: number;
  /** 512 or 4096. */
  readonly sectorSize: number;
  readonly areaBytes: number;
  /** After so many seconds without a renewal its users are stopped: 8 io timeouts. */
  readonly failS: number;
  /** Newest last. */
  readonly renewals: readonly RenewalSeen[];
  /** All hosts that were ever seen in it, this one too. */
  readonly members: readonly MemberSeen[];
  /** What is held in it on this host, by sanlock. */
  readonly leases: readonly HeldLease[];
}

export interface RenewalSeen {
  /** CLOCK_MONOTONIC when it began. */
  readonly timestampS: number;
  readonly readMs: number;
  readonly writeMs: number;
  /** Attempts that timed out or failed after it, before the next one. */
  readonly timeouts: number;
  readonly errors: number;
}

/** `fail`: not renewed for 8·t of its own. `dead`: its leases may be taken. */
export type MemberState = 'live' | 'fail' | 'dead' | 'free' | 'unknown';

/** A host of a lockspace, as this host's sanlock judges it. */
export interface MemberSeen {
  readonly hostId: number;
  readonly generation: number;
  /** null: not known, sanlock does not say and the disk was not read. */
  readonly name: string | null;
  readonly state: MemberState;
  readonly isThisHost: boolean;
  readonly ioTimeoutS: number;
  /** Since this host saw it renew last; null: not known. */
  readonly ageS: number | null;
}

export interface HeldLease {
  readonly name: string;
  readonly path: string;
  readonly offsetBytes: number;
  readonly isShared: boolean;
  /** Neither being taken, recovered nor released. */
  readonly isHeld: boolean;
  /** null: an orphan. */
  readonly pid: number | null;
  /** The program of that process: `lvmlockd`, `qemu-system-x86_64`; null: not known. */
  readonly command: string | null;
}

/** A VG that lvm sees here and that lvmlockd locks, or is to lock. */
export interface VgSeen {
  readonly name: string;
  readonly uuid: string;
  /** `sanlock`, `dlm`, `idm`. */
  readonly lockType: string;
  readonly lockArgs: string;
  /** Of sanlock; null: another lock type. */
  readonly lockspace: string | null;
  readonly isStarted: boolean;
  /** Its locks are lost here; what is to be done is in `explain`. */
  readonly trouble: VgTrouble | null;
  /** Whether its lockspace has an enabled global lock; null: not known (not started, not sanlock). */
  readonly hasGlobalLock: boolean | null;
  /** Of the VG lock now; null: it was not read. */
  readonly holders: readonly LeaseHolder[] | null;
  readonly lvs: readonly LvSeen[];
}

/** As lvmlockd shows it: the words of `lvmlockctl -i`. */
export type VgTrouble =
  | 'killed'
  | 'detached'
  | 'reattaching'
  | 'returning'
  | 'starting'
  | 'stopping';

export interface LvSeen {
  readonly name: string;
  readonly uuid: string;
  /** Empty: it has no lock of its own. */
  readonly lockArgs: string;
  /** null: not known. */
  readonly isActiveHere: boolean | null;
  /** As lvmlockd holds it here. */
  readonly lockHere: 'ex' | 'sh' | null;
  /** What lvmlockd found wrong with it here. */
  readonly trouble: 'activeUnlocked' | 'ghost' | 'otherSize' | null;
  /** By the disk; null: its lease was not read (not started, no lease, or the disk failed). */
  readonly holders: readonly LeaseHolder[] | null;
}

export interface LeaseHolder {
  readonly hostId: number;
  readonly generation: number;
  readonly mode: 'ex' | 'sh';
  /** null: not known. */
  readonly hostName: string | null;
  /** Of the host in that generation; `left`: it is no member any more, and holds nothing. */
  readonly state: MemberState | 'left';
}

/** What was not looked at, and why: a sentence without its full stop. */
export interface Unread {
  readonly what: 'wdmd' | 'sanlock' | 'lvmlockd' | 'lvm' | 'lease' | 'lockspace';
  /** Of which: a name, a path; '' of a daemon. */
  readonly of: string;
  readonly why: string;
}
