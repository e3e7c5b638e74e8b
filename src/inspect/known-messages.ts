/** A message of a program that an administrator meets, and what is behind it. */
export interface KnownMessage {
  readonly program: 'lvm' | 'lvmlockctl' | 'wdmd' | 'libvirt' | 'kernel';
  /** Of the shortest part that is the message's own. */
  readonly pattern: RegExp;
  /** As a user sees it. */
  readonly example: string;
  readonly found: string;
  readonly todo: string;
}

const WHO = 'holdfast who VG/LV says which host holds it, and until when it is protected';
const WHO_FILE = 'holdfast who --path FILE --offset 0 says who has it (docs/operations/guests.md)';
const STORAGE = 'see the path to the disk of the leases; holdfast who shows the last renewals';

/** In the order in which they are tried: a message within another one comes behind it. */
export const KNOWN_MESSAGES: readonly KnownMessage[] = [
  // lvm (spec 30 §3.2)
  {
    program: 'lvm',
    pattern: /LV locked by other host/,
    example: 'LV locked by other host: vg1/data',
    found: 'another host has the LV active, or it was active on a host that is not surely dead yet',
    todo: `deactivate it there (lvchange -an); ${WHO}`,
  },
  {
    program: 'lvm',
    pattern: /LV is already locked with incompatible mode/,
    example: 'LV is already locked with incompatible mode: vg1/data',
    found: 'this host holds the LV in the other mode, shared or exclusive',
    todo: 'deactivate it here, or change its lock: lvchange -asy or -aey',
  },
  {
    program: 'lvm',
    pattern: /VG \S+ lock failed: held by other host/,
    example: 'VG vg1 lock failed: held by other host.',
    found: 'a command of another host changes the VG now, or hangs with its lock',
    todo: 'try again; if it stays: holdfast who shows the holder of VGLK of that VG',
  },
  {
    program: 'lvm',
    pattern: /VG \S+ lock skipped: held by other host/,
    example: 'VG vg1 lock skipped: held by other host.',
    found: 'a command of another host changes the VG now; this one reads it without a lock',
    todo: 'nothing, or try again: what was shown may be out of date',
  },
  {
    program: 'lvm',
    pattern: /Global lock failed: held by other host/,
    example: 'Global lock failed: held by other host.',
    found: 'a command of another host changes VGs or PVs now, or hangs with the global lock',
    todo: 'try again; lvmlockctl -i on the other hosts shows who has LK GL ex',
  },
  {
    program: 'lvm',
    pattern: /Retrying (sh|ex) lock on VG|Retrying (sh|ex) global lock/,
    example: 'Retrying ex lock on VG vg1',
    found: 'the lock is held elsewhere for the moment',
    todo: 'wait: lvm tries three times (global/lvmlockd_lock_retries)',
  },
  {
    program: 'lvm',
    pattern: /lock failed: lockspace is inactive/,
    example: 'LV vg1/data lock failed: lockspace is inactive',
    found: 'the VG is not started on this host',
    todo: 'start it: vgchange --lock-start vg1',
  },
  {
    program: 'lvm',
    pattern: /Reading VG \S+ without a lock/,
    example: 'Reading VG vg1 without a lock.',
    found: 'the VG is not started on this host: it can be read, and not changed',
    todo: 'start it: vgchange --lock-start vg1',
  },
  {
    program: 'lvm',
    pattern: /Cannot access VG \S+ due to failed lock/,
    example: 'Cannot access VG vg1 due to failed lock.',
    found: 'the lock of the VG could not be had; the line before says why',
    todo: 'explain that line: holdfast explain "…"',
  },
  {
    program: 'lvm',
    pattern: /lock start in progress|lockspace is starting/,
    example: 'VG vg1 lock failed: lock start in progress',
    found: 'the VG is still being started: the host id is joined, which takes up to 3 minutes',
    todo: 'wait until vgchange --lock-start vg1 returns',
  },
  {
    program: 'lvm',
    pattern: /VG \S+ stop failed: LVs must first be deactivated/,
    example: 'VG vg1 stop failed: LVs must first be deactivated',
    found: 'LVs of the VG are active here, and their locks protect them',
    todo: 'deactivate them: vgchange -an vg1',
  },
  {
    program: 'lvm',
    pattern: /Lockspace for \S+ not stopped on other hosts/,
    example: 'Lockspace for "vg1" not stopped on other hosts',
    found: 'other hosts have the VG started, so it is neither removed nor renamed',
    todo: 'stop it there: vgchange --lock-stop vg1',
  },
  {
    program: 'lvm',
    pattern: /has unknown host state/,
    example: 'Lockspace for "vg1" has unknown host state (wait and retry)',
    found: 'this host has just joined, and has not seen yet which hosts are alive',
    todo: 'try again after two renewals (40 s)',
  },
  {
    program: 'lvm',
    pattern: /storage (failed|errors) for sanlock leases/,
    example: 'VG vg1 lock failed: storage failed for sanlock leases',
    found: 'this host lost the disk of the leases, and its locks with it',
    todo: `when it answers again: vgchange --lock-start vg1; ${STORAGE}`,
  },
  {
    program: 'lvm',
    pattern: /invalid sanlock host_id/,
    example: 'VG vg1 start failed: invalid sanlock host_id, set in lvmlocal.conf',
    found: 'this host has no host id, one above 2000, or one that another host uses',
    todo: 'set local/host_id in /etc/lvm/lvmlocal.conf to a number that no other host has',
  },
  {
    program: 'lvm',
    pattern: /lock manager \S+ is not running/,
    example: 'VG vg1 start failed: lock manager sanlock is not running',
    found: 'sanlock does not run here, or lvmlockd could not register with it',
    todo: 'systemctl start wdmd sanlock; without a watchdog wdmd does not start: see its log',
  },
  {
    program: 'lvm',
    pattern: /invalid parameters for sanlock/,
    example: 'VG vg1 start failed: invalid parameters for sanlock',
    found: 'the LV of the leases is not there, or cannot be read, or is none',
    todo: 'see that /dev/mapper/vg1-lvmlock can be made: all PVs of the VG must be there',
  },
  {
    program: 'lvm',
    pattern: /sanlock cannot open device|Check that sanlock has permission to access disks/,
    example: 'Check that sanlock has permission to access disks.',
    found: 'sanlock runs as a user that may not open the device of the leases',
    todo: 'add that user to the group of the disks (usermod -aG disk sanlock), and restart sanlock',
  },
  {
    program: 'lvm',
    pattern: /No sanlock space for lock for LV/,
    example: 'No sanlock space for lock for LV vg1/data',
    found: 'the LV of the leases is full, and lvm could not extend it',
    todo: 'free 256 MiB in the VG, and see global/sanlock_lv_extend in lvm.conf (0: never)',
  },
  {
    program: 'lvm',
    pattern: /Failed to detect a running lock manager/,
    example: 'Failed to detect a running lock manager to select lock type.',
    found: 'neither sanlock nor dlm runs here',
    todo: 'start one, or name it: vgcreate --lock-type sanlock',
  },
  {
    program: 'lvm',
    pattern: /Found multiple lock managers/,
    example: 'Found multiple lock managers, select one with --lock-type.',
    found: 'sanlock and dlm both run here',
    todo: 'name the one you mean: vgcreate --lock-type sanlock',
  },
  {
    program: 'lvm',
    pattern: /a lockspace with the same name exists/,
    example: 'VG vg1 init failed: a lockspace with the same name exists',
    found: 'lvmlockd still has a lockspace of an earlier VG of that name',
    todo: 'lvmlockctl -i shows it; if its VG is gone: lvmlockctl --drop vg1',
  },
  {
    program: 'lvm',
    pattern: /lvmlockd not available|lvmlockd process is not running/,
    example: 'Skipping global lock: lvmlockd not available.',
    found: 'lvm.conf has use_lvmlockd=1, and lvmlockd does not answer',
    todo: 'systemctl start lvmlockd',
  },
  {
    program: 'lvm',
    pattern: /orphan lock needs to be adopted/,
    example: 'VG vg1 lock failed: orphan lock needs to be adopted',
    found: 'an lvmlockd of this host ended with the lock, and sanlock keeps it for the next one',
    todo: 'start lvmlockd with --adopt 1',
  },
  {
    program: 'lvm',
    pattern: /sanlock lease needs repair/,
    example: 'LV vg1/data lock failed: sanlock lease needs repair',
    found: 'the lease on the disk is damaged',
    todo: 'lvmlockctl --check vg1 says which and what can be done',
  },
  {
    program: 'lvm',
    pattern: /in use\.$|Logical volume \S+ in use/,
    example: 'Logical volume vg1/data in use.',
    found: 'a file system, a guest or another device has the LV open here',
    todo: 'lsblk and fuser -m show who; stop that first',
  },
  // lvmlockctl
  {
    program: 'lvmlockctl',
    pattern: /lost access to locks in VG/,
    example: 'lvmlockd lost access to locks in VG vg1.',
    found: 'sanlock cannot renew the leases of the VG: they are lost soon, and the host is reset',
    todo: 'deactivate its LVs at once (lvmlockctl --kill does, by holdfast); then see the storage',
  },
  {
    program: 'lvmlockctl',
    pattern: /Once VG is unused, run lvmlockctl --drop/,
    example: 'Once VG is unused, run lvmlockctl --drop vg1.',
    found: 'the locks of a lost VG are kept until nothing uses its LVs any more',
    todo: 'deactivate its LVs, then run that command; else the watchdog resets the host',
  },
  // libvirt with its plugin (spec 60 §5)
  {
    program: 'libvirt',
    pattern: /Lease is held by another host/,
    example: 'error: resource busy: Failed to acquire lock: Lease is held by another host',
    found: 'a guest of another host has the disk (-243)',
    todo: `stop it there, or migrate it; ${WHO_FILE}`,
  },
  {
    program: 'libvirt',
    pattern: /Failed to acquire lock: Resource temporarily unavailable/,
    example: 'error: Failed to acquire lock: Resource temporarily unavailable',
    found: 'guests of other hosts share the disk, and this one wants it alone (-11)',
    todo: `stop them, or mark the disk <shareable/>; ${WHO_FILE}`,
  },
  {
    program: 'libvirt',
    pattern: /Failed to acquire lock: File exists/,
    example: 'error: Failed to acquire lock: File exists',
    found: 'another guest of this host has the disk (-17)',
    todo: 'stop it; sanlock client status shows its process',
  },
  {
    program: 'libvirt',
    pattern: /Failed to acquire lock: No space left on device/,
    example: 'error: Failed to acquire lock: No space left on device',
    found: 'no device is full: this host is not in the lockspace of the guests (-28)',
    todo: 'see the storage of the lease directory; with the original sanlock restart libvirtd',
  },
  {
    program: 'libvirt',
    pattern: /Failed to acquire lock: .*local commit/,
    example:
      'error: resource busy: Failed to acquire lock: Lease was acquired by another host in local commit',
    found: 'two hosts asked for the lease at one moment, and the original sanlock refused this one',
    todo: 'try again',
  },
  {
    program: 'libvirt',
    pattern: /Failed to open socket to sanlock daemon: Permission denied/,
    example: 'Failed to open socket to sanlock daemon: Permission denied',
    found: 'libvirt may not use the socket of sanlock: its group, SELinux or AppArmor',
    todo: 'holdfast guard check names the one that it is',
  },
  {
    program: 'libvirt',
    pattern: /Failed to open socket to sanlock daemon/,
    example:
      'libvirt: Lock Driver error : Failed to open socket to sanlock daemon: Connection refused',
    found: 'sanlock does not run here',
    todo: 'systemctl start wdmd sanlock',
  },
  {
    program: 'libvirt',
    pattern: /disks were present, but no leases specified/,
    example:
      'unsupported configuration: Read/write, exclusive access, disks were present, but no leases specified',
    found: 'the plugin is on, makes no leases by itself, and wants one for each disk',
    todo: 'auto_disk_leases = 1 in qemu-sanlock.conf, or require_lease_for_disks = 0',
  },
  {
    program: 'libvirt',
    pattern: /Failure action \S+ is not supported by sanlock/,
    example: 'unsupported configuration: Failure action restart is not supported by sanlock',
    found: 'that <on_lockfailure> cannot be done',
    todo: 'use poweroff or pause',
  },
  {
    program: 'libvirt',
    pattern: /no host ID is set/,
    example: 'Automatic disk lease mode enabled, but no host ID is set',
    found: 'qemu-sanlock.conf has no host_id: no guest can be started',
    todo: 'host_id = a number that no other host has, then restart libvirtd',
  },
  {
    program: 'libvirt',
    pattern: /Unable to create lockspace .*parent directory does not exist/,
    example:
      'Unable to create lockspace /srv/leases/__LIBVIRT__DISKS__: parent directory does not exist or is not a directory',
    found: 'the share of the lease directory is not mounted',
    todo: 'mount it, then restart libvirtd',
  },
  {
    program: 'libvirt',
    pattern: /Unable to add lockspace/,
    example: 'Unable to add lockspace /srv/leases/__LIBVIRT__DISKS__: Connection refused',
    found: 'libvirtd started without the lockspace: guests will fail with No space left on device',
    todo: 'start sanlock, then restart libvirtd',
  },
  {
    program: 'libvirt',
    pattern: /Source host lock driver \S+ different from target/,
    example: 'Source host lock driver sanlock different from target nop',
    found: 'one of the two hosts of the migration has the plugin, and the other has not',
    todo: 'lock_manager in qemu.conf must be equal on all hosts',
  },
  {
    program: 'libvirt',
    pattern: /Missing sanlock lock state for migration cookie/,
    example: 'Missing sanlock lock state for migration cookie',
    found: 'the host that the guest comes from has no lock driver',
    todo: 'lock_manager in qemu.conf must be equal on all hosts',
  },
  {
    program: 'libvirt',
    pattern: /Too many resources \d+ for object/,
    example: 'Too many resources 8 for object',
    found: 'the plugin leases 8 disks of a guest at most',
    todo: 'use holdfast guard without the plugin (docs/operations/guests.md)',
  },
  {
    program: 'libvirt',
    pattern: /Is another process using the image|Failed to get "write" lock/,
    example: 'Failed to get "write" lock',
    found: 'another QEMU of this host has the image open: QEMU locks the file itself',
    todo: 'stop that guest; lsof on the image shows it',
  },
  {
    program: 'libvirt',
    pattern: /Cannot access storage file/,
    example: "Cannot access storage file '/dev/vg1/db': No such file or directory",
    found: 'the LV of the disk is not active on this host, or the path is wrong',
    todo: 'lvchange -aey vg1/db here, where the guest is to run',
  },
  // wdmd (spec 25)
  {
    program: 'wdmd',
    pattern: /other wdmd not cleanly stopped/,
    example: 'other wdmd not cleanly stopped, shm_open error 17',
    found:
      'a wdmd of this boot was killed; the original starts no other one, as the host may be reset',
    todo: 'reboot; with holdfast every next wdmd starts, and goes on where the last one was',
  },
  {
    program: 'wdmd',
    pattern: /no watchdog device, load a watchdog driver/,
    example: 'no watchdog device, load a watchdog driver',
    found: 'this machine has no watchdog device that can be used',
    todo: 'modprobe softdog, or the driver of the hardware; holdfast does so by itself (wdmd --softdog)',
  },
  {
    program: 'wdmd',
    pattern: /test failed rem/,
    example: 'test failed rem 29 now 1030 ping 999 close 0 renewal 950 expire 1030 client 1040',
    found: 'a program that must renew its expiry has not: the host is reset in rem seconds',
    todo: 'see the storage of its lockspace, which sanlock could not renew',
  },
  {
    program: 'kernel',
    pattern: /watchdog did not stop!/,
    example: 'watchdog: watchdog0: watchdog did not stop!',
    found: 'the process that had the watchdog device has ended without disarming it',
    todo: 'start wdmd within a minute, or the host is reset: that is what it is for',
  },
];
