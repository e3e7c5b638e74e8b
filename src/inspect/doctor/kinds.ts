import type { Finding } from '../../base/finding.ts';

/** What all findings of a kind have in common. */
interface KindOf {
  readonly weight: Finding['weight'];
  /** Why it is so, and what comes of it: a sentence without its full stop. */
  readonly cause: string;
}

/**
 * Every kind of finding of the doctor, in the order in which they are looked for. The names are for
 * programs too, and stay. `docs/operations/findings.md` describes each.
 */
export const KINDS = {
  lvmConfUnreadable: {
    weight: 'problem',
    cause: 'a mistake in the syntax: lvm runs with none of its settings, or does not run',
  },
  lvmConfUnknownKey: {
    weight: 'caution',
    cause: 'lvm skips a key that it does not know, so what was meant by it has no effect',
  },
  lvmWithoutLvmlockd: {
    weight: 'problem',
    cause: 'this lvm was built without lvmlockd: it takes no lock, and hides shared VGs',
  },
  lvmlockdNotUsed: {
    weight: 'problem',
    cause: 'with global/use_lvmlockd = 0 lvm takes no lock, and hides shared VGs',
  },
  sanlockConfRefused: {
    weight: 'problem',
    cause: 'sanlock of holdfast does not start with it; the original skips it without a word',
  },
  sanlockConfQuestionable: {
    weight: 'caution',
    cause: 'what was meant by the line has no effect, or another one',
  },
  defaultsLineSkipped: {
    weight: 'caution',
    cause:
      'systemd reads NAME=value and no shell: it skips the line, and the daemon starts without',
  },
  wdmdScriptSkipped: {
    weight: 'caution',
    cause: 'wdmd runs files that their owner may execute, eight at most, and only with -S 1',
  },
  hostIdUnset: {
    weight: 'problem',
    cause: 'each host needs a number of its own; without one no shared VG is started here',
  },
  hostIdOutOfRange: {
    weight: 'problem',
    cause: 'a lockspace has a sector for each host id, and none beyond the last',
  },
  hostIdInUse: {
    weight: 'problem',
    cause: 'two hosts were given one host id: the one that comes second cannot join',
  },
  hostIdUsedBefore: {
    weight: 'caution',
    cause: 'the host id was given to another host before, or this host has got another name',
  },
  hostLeaseDamaged: {
    weight: 'problem',
    cause: 'something else wrote to the lease area, or a write of it was torn',
  },
  timestampAhead: {
    weight: 'problem',
    cause: 'the clock of this machine went back while it ran: a snapshot of it was restored',
  },
  watchdogOff: {
    weight: 'caution',
    cause: 'a host that hangs is not reset, and other hosts take its leases all the same',
  },
  watchdogDeviceAbsent: {
    weight: 'problem',
    cause: 'no driver of a watchdog is loaded: wdmd cannot start, and sanlock joins nothing',
  },
  watchdogHeld: {
    weight: 'problem',
    cause: 'only one program can have a watchdog device, so wdmd does not get it',
  },
  watchdogSoftware: {
    weight: 'note',
    cause: 'softdog is a timer of the kernel: it does not reset a machine whose kernel hangs',
  },
  watchdogDutyDead: {
    weight: 'problem',
    cause: 'a program that the watchdog watched over has died: nothing can calm it any more',
  },
  daemonAbsent: {
    weight: 'problem',
    cause: 'it was never started, or it has ended',
  },
  daemonSilent: {
    weight: 'problem',
    cause: 'the daemon runs and takes no request: it hangs, or was stopped by a signal',
  },
  daemonTwice: {
    weight: 'problem',
    cause: 'a second one was started by hand, after the pid file of the first was removed',
  },
  staleRunFile: {
    weight: 'caution',
    cause: 'a daemon was killed: lvm takes the pid file of lvmlockd for lvmlockd itself',
  },
  wdmdUncleanEnd: {
    weight: 'problem',
    cause: 'wdmd was killed: the original does not start again before a reboot',
  },
  programReplaced: {
    weight: 'note',
    cause: 'the program was upgraded, and the daemon not restarted since',
  },
  priorityLow: {
    weight: 'caution',
    cause: 'sanlock was not permitted to raise its priority: on a busy host renewals come late',
  },
  memoryNotLocked: {
    weight: 'caution',
    cause:
      'sanlock was not permitted to lock its memory: with memory short, renewals wait for swap',
  },
  unitFailed: {
    weight: 'problem',
    cause: 'systemd has given the unit up; its last lines in the journal say why',
  },
  unitDisabled: {
    weight: 'caution',
    cause: 'systemd does not start it at boot',
  },
  unitAbsent: {
    weight: 'caution',
    cause: 'nothing starts the shared VGs at boot',
  },
  deviceMapperAbsent: {
    weight: 'problem',
    cause: 'the module dm_mod is not loaded: no LV can be activated, and none for the leases',
  },
  leaseDeviceGone: {
    weight: 'problem',
    cause: 'the device under the leases was removed or has another number now',
  },
  leaseDeviceHung: {
    weight: 'problem',
    cause: 'the storage under the leases neither answers nor fails',
  },
  leaseUnreadable: {
    weight: 'problem',
    cause: 'the storage under the leases fails',
  },
  leaseProcessHung: {
    weight: 'problem',
    cause: 'a process of sanlock waits in the kernel for a device that does not answer',
  },
  leaseNotPermitted: {
    weight: 'problem',
    cause: 'sanlock runs as a user who may not read and write where the leases are',
  },
  runFolderFull: {
    weight: 'problem',
    cause: 'what a daemon must write down before it grants a lease has no room',
  },
  pathsQueueForever: {
    weight: 'problem',
    cause: 'multipath holds I/O back for as long as no path is left: nothing fails, nothing ends',
  },
  pathRetryTooLong: {
    weight: 'problem',
    cause: 'multipath tries for longer than a lockspace lives without a renewal',
  },
  pathFailoverTooLong: {
    weight: 'caution',
    cause: 'a path that is lost is given up too late: the lockspace is lost before another is used',
  },
  lockspaceFailing: {
    weight: 'problem',
    cause: 'sanlock could not renew its host lease in 8 io timeouts: the users are being stopped',
  },
  lockspaceMoving: {
    weight: 'note',
    cause: 'a join takes seconds, after a crash of this host minutes; a leave waits for the users',
  },
  lockspaceLate: {
    weight: 'caution',
    cause:
      'the storage is slow, or the host is: half of the time until the users are stopped is gone',
  },
  renewalTimeouts: {
    weight: 'caution',
    cause: 'the storage took longer than the io timeout for single reads or writes',
  },
  renewalSlow: {
    weight: 'caution',
    cause: 'the storage takes more than half of the io timeout: little is missing to a timeout',
  },
  hostDead: {
    weight: 'note',
    cause: 'a host has not renewed for 8 io timeouts and 60 s: it was reset, or is switched off',
  },
  orphanLease: {
    weight: 'caution',
    cause: 'the process that had the lease has ended without releasing it',
  },
  vgLost: {
    weight: 'problem',
    cause: 'the leases of the VG could not be renewed: other hosts may lock its LVs',
  },
  vgReturning: {
    weight: 'note',
    cause: 'lvmlockd starts the VG again by itself when its leases can be read',
  },
  vgNotStarted: {
    weight: 'caution',
    cause: 'the lockspace of the VG was not joined since lvmlockd started here',
  },
  vgClustered: {
    weight: 'problem',
    cause: 'the metadata have the flag of clvm, which lvm gave up: it leaves the VG out',
  },
  vgLockArgsWrong: {
    weight: 'problem',
    cause: 'the metadata do not say where the leases are',
  },
  noGlobalLock: {
    weight: 'problem',
    cause: 'the VG with the global lock was removed, or its lock disabled',
  },
  twoGlobalLocks: {
    weight: 'caution',
    cause: 'VGs of two clusters are visible here, or two hosts made the first VG at once',
  },
  leaseSlotsWrong: {
    weight: 'problem',
    cause: 'a command was cut short between metadata and leases, or something wrote over them',
  },
  leaseAreaFull: {
    weight: 'caution',
    cause: 'each LV with a lock has a slot in lvmlock, and none is free',
  },
  lvActiveUnlocked: {
    weight: 'problem',
    cause: 'nothing keeps another host from the LV: both may write to it',
  },
  lvMappingGhost: {
    weight: 'caution',
    cause: 'the LV was removed on another host; the blocks may belong to another LV by now',
  },
  lvOtherSize: {
    weight: 'caution',
    cause: 'the LV was resized on another host, and this one has not loaded its new table',
  },
  lvCutOff: {
    weight: 'caution',
    cause:
      'the LV was cut off when its VG was lost; its error table remains until it is loaded anew',
  },
  hostBlockDamaged: {
    weight: 'problem',
    cause: 'a block of a lease cannot be trusted, so every host refuses to take that lease (-214)',
  },
  clockUnsynchronised: {
    weight: 'note',
    cause: 'leases need no wall clock; times in logs of two hosts cannot be compared',
  },
} as const satisfies Readonly<Record<string, KindOf>>;

export type Kind = keyof typeof KINDS;
