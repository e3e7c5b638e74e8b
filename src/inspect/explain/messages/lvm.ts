import { type Message, STORAGE, WHO } from './message.ts';

/** What lvm commands say of locks (spec 30 §3.2). */
export const LVM_MESSAGES: readonly Message[] = [
  {
    pattern: /LV locked by other host/,
    example: 'LV locked by other host: vg1/data',
    found: 'another host has the LV active, or it was active on a host that is not surely dead yet',
    todo: `deactivate it there (lvchange -an); ${WHO}`,
  },
  {
    pattern: /LV is already locked with incompatible mode/,
    example: 'LV is already locked with incompatible mode: vg1/data',
    found: 'this host holds the LV in the other mode, shared or exclusive',
    todo: 'deactivate it here, or change its lock: lvchange -asy or -aey',
  },
  {
    pattern: /VG \S+ lock failed: held by other host/,
    example: 'VG vg1 lock failed: held by other host.',
    found: 'a command of another host changes the VG now, or hangs with its lock',
    todo: 'try again; if it stays: holdfast who shows the holder of VGLK of that VG',
  },
  {
    pattern: /VG \S+ lock skipped: held by other host/,
    example: 'VG vg1 lock skipped: held by other host.',
    found: 'a command of another host changes the VG now; this one reads it without a lock',
    todo: 'nothing, or try again: what was shown may be out of date',
  },
  {
    pattern: /Global lock failed: held by other host/,
    example: 'Global lock failed: held by other host.',
    found: 'a command of another host changes VGs or PVs now, or hangs with the global lock',
    todo: 'try again; lvmlockctl -i on the other hosts shows who has LK GL ex',
  },
  {
    pattern: /Retrying (sh|ex) lock on VG|Retrying (sh|ex) global lock/,
    example: 'Retrying ex lock on VG vg1',
    found: 'the lock is held elsewhere for the moment',
    todo: 'wait: lvm tries three times (global/lvmlockd_lock_retries)',
  },
  {
    pattern: /lock failed: lockspace is inactive/,
    example: 'LV vg1/data lock failed: lockspace is inactive',
    found: 'the VG is not started on this host',
    todo: 'start it: vgchange --lock-start vg1',
  },
  {
    pattern: /Reading VG \S+ without a lock/,
    example: 'Reading VG vg1 without a lock.',
    found: 'the VG is not started on this host: it can be read, and not changed',
    todo: 'start it: vgchange --lock-start vg1',
  },
  {
    pattern: /Cannot access VG \S+ due to failed lock/,
    example: 'Cannot access VG vg1 due to failed lock.',
    found: 'the lock of the VG could not be had; the line before says why',
    todo: 'explain that line: holdfast explain "…"',
  },
  {
    pattern: /lock start in progress|lockspace is starting/,
    example: 'VG vg1 lock failed: lock start in progress',
    found: 'the VG is still being started: the host id is joined, which takes up to 3 minutes',
    todo: 'wait until vgchange --lock-start vg1 returns',
  },
  {
    pattern: /VG \S+ stop failed: LVs must first be deactivated/,
    example: 'VG vg1 stop failed: LVs must first be deactivated',
    found: 'LVs of the VG are active here, and their locks protect them',
    todo: 'deactivate them: vgchange -an vg1',
  },
  {
    pattern: /Lockspace for \S+ not stopped on other hosts/,
    example: 'Lockspace for "vg1" not stopped on other hosts',
    found: 'other hosts have the VG started, so it is neither removed nor renamed',
    todo: 'stop it there: vgchange --lock-stop vg1',
  },
  {
    pattern: /has unknown host state/,
    example: 'Lockspace for "vg1" has unknown host state (wait and retry)',
    found: 'this host has just joined, and has not seen yet which hosts are alive',
    todo: 'try again after two renewals (40 s)',
  },
  {
    pattern: /storage (failed|errors) for sanlock leases/,
    example: 'VG vg1 lock failed: storage failed for sanlock leases',
    found: 'this host lost the disk of the leases, and its locks with it',
    todo: `when it answers again: vgchange --lock-start vg1; ${STORAGE}`,
  },
  {
    pattern: /invalid sanlock host_id/,
    example: 'VG vg1 start failed: invalid sanlock host_id, set in lvmlocal.conf',
    found: 'this host has no host id, one above 2000, or one that another host uses',
    todo: 'set local/host_id in /etc/lvm/lvmlocal.conf to a number that no other host has',
  },
  {
    pattern: /lock manager \S+ is not running/,
    example: 'VG vg1 start failed: lock manager sanlock is not running',
    found: 'sanlock does not run here, or lvmlockd could not register with it',
    todo: 'systemctl start wdmd sanlock; without a watchdog wdmd does not start: see its log',
  },
  {
    pattern: /invalid parameters for sanlock/,
    example: 'VG vg1 start failed: invalid parameters for sanlock',
    found: 'the LV of the leases is not there, or cannot be read, or is none',
    todo: 'see that /dev/mapper/vg1-lvmlock can be made: all PVs of the VG must be there',
  },
  {
    pattern: /sanlock cannot open device|Check that sanlock has permission to access disks/,
    example: 'Check that sanlock has permission to access disks.',
    found: 'sanlock runs as a user that may not open the device of the leases',
    todo: 'add that user to the group of the disks (usermod -aG disk sanlock), and restart sanlock',
  },
  {
    pattern: /No sanlock space for lock for LV/,
    example: 'No sanlock space for lock for LV vg1/data',
    found: 'the LV of the leases is full, and lvm could not extend it',
    todo: 'free 256 MiB in the VG, and see global/sanlock_lv_extend in lvm.conf (0: never)',
  },
  {
    pattern: /Failed to detect a running lock manager/,
    example: 'Failed to detect a running lock manager to select lock type.',
    found: 'neither sanlock nor dlm runs here',
    todo: 'start one, or name it: vgcreate --lock-type sanlock',
  },
  {
    pattern: /Found multiple lock managers/,
    example: 'Found multiple lock managers, select one with --lock-type.',
    found: 'sanlock and dlm both run here',
    todo: 'name the one you mean: vgcreate --lock-type sanlock',
  },
  {
    pattern: /a lockspace with the same name exists/,
    example: 'VG vg1 init failed: a lockspace with the same name exists',
    found: 'lvmlockd still has a lockspace of an earlier VG of that name',
    todo: 'lvmlockctl -i shows it; if its VG is gone: lvmlockctl --drop vg1',
  },
  {
    pattern: /lvmlockd not available|lvmlockd process is not running/,
    example: 'Skipping global lock: lvmlockd not available.',
    found: 'lvm.conf has use_lvmlockd=1, and lvmlockd does not answer',
    todo: 'systemctl start lvmlockd',
  },
  {
    pattern: /orphan lock needs to be adopted/,
    example: 'VG vg1 lock failed: orphan lock needs to be adopted',
    found: 'an lvmlockd of this host ended with the lock, and sanlock keeps it for the next one',
    todo: 'start lvmlockd with --adopt 1',
  },
  {
    pattern: /sanlock lease needs repair/,
    example: 'LV vg1/data lock failed: sanlock lease needs repair',
    found: 'the lease on the disk is damaged',
    todo: 'lvmlockctl --check vg1 says which and what can be done',
  },
  {
    pattern: /in use\.$|Logical volume \S+ in use/,
    example: 'Logical volume vg1/data in use.',
    found: 'a file system, a guest or another device has the LV open here',
    todo: 'lsblk and fuser -m show who; stop that first',
  },
  {
    pattern: /Skipping global lock: lockspace not found or started/,
    example: 'Skipping global lock: lockspace not found or started',
    found:
      'the VG that carries the global lock is not started here; what only reads goes on without',
    todo: 'nothing while a VG is being started; else start that VG: vgchange --lock-start',
  },
  {
    pattern: /Global lock failed: check that global lockspace is started/,
    example: 'Global lock failed: check that global lockspace is started',
    found: 'no VG that carries the global lock is started here, and the command must have it',
    todo: 'vgchange --lock-start that VG; or have one carry it: lvmlockctl --gl-enable VG',
  },
  {
    pattern:
      /lvmlockd connect failed|lvmlockd\.socket: connect failed|Reading without shared global lock/,
    example: 'WARNING: lvmlockd connect failed.',
    found: 'lvmlockd does not run here, so lvm reads without locks, and changes nothing shared',
    todo: 'systemctl start lvmlockd',
  },
  {
    pattern: /VG \S+ start failed: -11$/,
    example: 'VG vg1 start failed: -11',
    isWithoutResult: true,
    found: 'the VG is still being stopped here, or was lost here and not dropped yet',
    todo: 'wait for the stop; after a loss lvmlockctl --drop vg1, once nothing uses its LVs',
  },
  {
    pattern: /Starting locking\. {1,2}Waiting/,
    example: 'Starting locking.  Waiting for sanlock may take 20 sec to 3 min...',
    found:
      'the host id is being joined: 20 s; if it was not given back the last time 42 s, or 160 s ' +
      'if that was under another host name',
    todo: 'wait for it',
  },
  {
    pattern: /LV \S+ must be inactive on all hosts|Cannot (rename|remove) VG \S+ with active LVs/,
    example: 'LV vg1/data must be inactive on all hosts.',
    found: 'the command needs the LV alone, and a host has it active',
    todo: `lvchange -an there; ${WHO}`,
  },
  {
    pattern: /has duplicate lock_args/,
    example: 'Internal error: LV vg1/new has duplicate lock_args 1.0.0:71303168.',
    found: 'the lease of an LV was overwritten, so its place was taken for a free one',
    todo: 'lvmlockctl --check vg1 says which lease it is, and --repair writes it anew',
  },
  {
    pattern: /Failed to (un)?lock logical volume/,
    example: 'Failed to lock logical volume vg1/data.',
    found: 'the lock of the LV could not be had, or given back; the line before says why',
    todo: 'explain that line: holdfast explain "…"',
  },
];
