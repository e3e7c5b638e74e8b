import type { Finding } from '../../base/finding.ts';
import type { LeasesOfVg } from '../leases/vg-leases.ts';
import type { DaemonName } from '../restart/host-facts.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';

/** All that the doctor looks at; whoever reads it decides nothing. */
export interface DoctorFacts {
  readonly snapshot: Snapshot;
  readonly config: ConfigFacts;
  readonly sanlock: SanlockSettings | null;
  readonly areas: readonly LeaseArea[];
  readonly watchdogs: readonly WatchdogDevice[];
  /** Of wdmd, also where sanlock does not run. */
  readonly watchdogClients: readonly WatchdogClient[];
  readonly processes: readonly DaemonProcess[];
  readonly runFiles: readonly RunFile[];
  readonly folders: readonly FolderRoom[];
  /** null: systemd is not the service manager here. */
  readonly units: readonly UnitSeen[] | null;
  readonly multipaths: readonly Multipath[];
  readonly transports: readonly Transport[];
  /** VGs of clvm, which lvm of today leaves out. */
  readonly clusteredVgs: readonly string[];
  /** null: the kernel has no device-mapper. */
  readonly mappings: readonly Mapping[] | null;
  /** Of the VGs that are started here. */
  readonly slots: readonly SlotsOfVg[];
  readonly clock: { readonly isSynchronised: boolean | null };
  /** Of `holdfast guard check`, where guests are on this host. */
  readonly guests: readonly Finding[];
}

export interface ConfigFacts {
  /** `/etc/lvm` */
  readonly lvmFolder: string;
  /** A sentence: what lvm finds wrong; null: it is not installed, or did not answer in time. */
  readonly lvm: LvmSettings | string | null;
  /** A sentence: it did not answer in time. */
  readonly lvmUnread: string | null;
  /** `global/use_lvmlock` */
  readonly unknownLvmKeys: readonly string[];
  /** Whether lvm was built with lvmlockd; null: not known. */
  readonly hasLvmlockd: boolean | null;
  readonly sanlockConf: readonly ConfFlaw[];
  readonly defaults: readonly SkippedLine[];
  readonly wdmdScripts: readonly WdmdScript[];
}

export interface LvmSettings {
  readonly usesLvmlockd: boolean;
  /** null: it is not set, or 0. */
  readonly hostId: number | null;
  /** Of `global/sanlock_lv_extend`, in MiB; 0: lvmlock does not grow. */
  readonly lockLvExtendMib: number;
  /** `global/activation`: it may talk to device-mapper. */
  readonly activates: boolean;
}

/** null: lvm is not installed, or does not say. */
export function lvmSettingsOf({ config }: Pick<DoctorFacts, 'config'>): LvmSettings | null {
  return typeof config.lvm === 'string' ? null : config.lvm;
}

/** A mistake in sanlock.conf or in the options of the unit. */
export interface ConfFlaw {
  readonly verdict: 'refused' | 'questionable';
  readonly text: string;
}

/** A line of /etc/default or /etc/sysconfig that is no assignment. */
export interface SkippedLine {
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

/** A file in wdmd's folder of scripts. */
export interface WdmdScript {
  readonly path: string;
  readonly why: 'notExecutable' | 'tooMany' | 'scriptsAreOff';
}

/** As the running sanlock says. */
export interface SanlockSettings {
  readonly hostName: string;
  readonly usesWatchdog: boolean;
  readonly wantsPriority: boolean;
  readonly mlockLevel: number;
  readonly uid: number;
  readonly gid: number;
}

/** A lockspace on the disk, joined or not. */
export interface LeaseArea {
  readonly lockspace: string;
  /** null: of no VG. */
  readonly vg: string | null;
  readonly path: string;
  readonly offsetBytes: number;
  /** It is joined here by this host id and generation; null: it is not. */
  readonly joined: { readonly hostId: number; readonly generation: number } | null;
  readonly read: AreaRead;
  /** CLOCK_MONOTONIC of this host, at the end of the read. */
  readonly readAtS: number;
  /** null: not known, or there is no such file. */
  readonly access: PathAccess | null;
}

export type AreaRead =
  | { readonly kind: 'done'; readonly space: SpaceSeen }
  | { readonly kind: 'failed'; readonly errno: string }
  | { readonly kind: 'silent'; readonly waitedS: number };

export interface SpaceSeen {
  /** null: no lockspace is there. */
  readonly maxHosts: number | null;
  /** Host leases that were ever used, or that are damaged. */
  readonly hosts: readonly HostLease[];
  /** Of leases of the same device. */
  readonly damagedBlocks: readonly DamagedBlock[];
}

export interface HostLease {
  readonly hostId: number;
  readonly hostName: string;
  readonly generation: number;
  /** 0: it was left. */
  readonly timestampS: number;
  readonly ioTimeoutS: number;
  /** null: it was not watched. */
  readonly isRenewed: boolean | null;
  readonly watchedS: number;
  /** In a few words; null: it is sound. */
  readonly damage: string | null;
}

export interface DamagedBlock {
  /** `vg/lv`, or `vg (VG lock)`. */
  readonly lease: string;
  /** As the lease calls itself. */
  readonly resource: string;
  /** `vg/lv`; null: it is of no LV. */
  readonly lv: string | null;
  readonly offsetBytes: number;
  readonly hostId: number;
  readonly damage: string;
}

/** Of a device or file, and of the process that is to use it. */
export interface PathAccess {
  readonly isRegularFile: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly byUid: number;
  readonly mayUse: boolean;
}

export interface WatchdogDevice {
  /** `/dev/watchdog0` */
  readonly path: string;
  /** `Software Watchdog`; null: sysfs does not say. */
  readonly identity: string | null;
  /** Processes that have it open. */
  readonly holders: readonly { readonly pid: number; readonly name: string }[];
}

export interface WatchdogClient {
  readonly name: string;
  readonly pid: number;
  /** Its connection is gone, and its expiry stands. */
  readonly isDead: boolean;
  /** null: it has no expiry. */
  readonly leftS: number | null;
}

export interface DaemonProcess {
  readonly name: DaemonName;
  readonly pid: number;
  /**
   * `leases`: a process of sanlock that does the disk work of one lockspace. `ending`: one of either
   * that was killed, and stays as long as its I/O does.
   */
  readonly role: 'daemon' | 'leases' | 'ending';
  readonly commandLine: string;
  /** It waits in the kernel, and no signal ends it. */
  readonly isUninterruptible: boolean;
  /** The kernel's function that it waits in; null: not known. */
  readonly waitsIn: string | null;
  readonly isRealtime: boolean;
  readonly lockedBytes: number;
  /** Its file is another one by now. */
  readonly isReplaced: boolean;
}

export interface RunFile {
  readonly path: string;
  readonly of: DaemonName;
  readonly kind: 'pidFile' | 'socket' | 'crashGuard';
  /** Of a pid file: what it names. */
  readonly pid: number | null;
  /** A process of that daemon has it. */
  readonly isUsed: boolean;
}

export interface FolderRoom {
  readonly path: string;
  readonly freeBytes: number;
  readonly freeFiles: number;
}

export interface UnitSeen {
  readonly name: string;
  readonly load: 'loaded' | 'absent' | 'masked';
  readonly isEnabled: boolean;
  readonly active: 'active' | 'inactive' | 'failed' | 'changing';
  /** `exit-code`, `timeout`; '' where it did not fail. */
  readonly result: string;
}

/** A multipath map under leases. */
export interface Multipath {
  readonly name: string;
  /** VGs and lockspaces whose leases are on it. */
  readonly lockspaces: readonly string[];
  /** Its table says so now. */
  readonly queues: boolean;
  /** Seconds until queued I/O fails; `never`; null: multipathd does not say. */
  readonly retry: number | 'never' | null;
  readonly paths: number;
}

/** A path to storage under leases, with the time after which the kernel gives it up. */
export type Transport = {
  /** `iSCSI session1`, `rport-2:0-1` */
  readonly name: string;
  readonly lockspaces: readonly string[];
  /** The file in /sys that says it. */
  readonly setting: string;
  /** null: never. */
  readonly failsAfterS: number | null;
} & (
  | { readonly kind: 'iscsi' /** As iscsiadm counts. */; readonly session: number }
  | { readonly kind: 'fibreChannel' }
);

/** A mapping of lvm's. */
export interface Mapping {
  readonly name: string;
  readonly uuid: string;
  /** `vg1/data`; null: the metadata of its VG have no such LV any more. */
  readonly lv: string | null;
  /** null: a VG that lvm does not see, or lvm did not answer. */
  readonly vg: string | null;
  /** Its VG has a lock type; null: not known. */
  readonly isShared: boolean | null;
  readonly isOpen: boolean;
  /** All its I/O fails; null: not known. */
  readonly isErrorTable: boolean | null;
  /** It is of the LV itself, and no layer under it. */
  readonly isLv: boolean;
  /** null: it is as large as the metadata say, or that cannot be said. */
  readonly otherSize: { readonly bytes: number; readonly wantedBytes: number } | null;
}

export interface SlotsOfVg {
  readonly vg: string;
  readonly leases: LeasesOfVg;
  /** In the VG, in MiB; null: not known. */
  readonly freeMib: number | null;
}
