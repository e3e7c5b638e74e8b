import { type Message, WHO_FILE } from './message.ts';

/** What libvirt says with its sanlock plugin, and of its guests' disks (spec 60 §5). */
export const LIBVIRT_MESSAGES: readonly Message[] = [
  {
    pattern: /Lease is held by another host/,
    example: 'error: resource busy: Failed to acquire lock: Lease is held by another host',
    found: 'a guest of another host has the disk (-243)',
    todo: `stop it there, or migrate it; ${WHO_FILE}`,
  },
  {
    pattern: /Failed to acquire lock: Resource temporarily unavailable/,
    example: 'error: Failed to acquire lock: Resource temporarily unavailable',
    found: 'guests of other hosts share the disk, and this one wants it alone (-11)',
    todo: `stop them, or mark the disk <shareable/>; ${WHO_FILE}`,
  },
  {
    pattern: /Failed to acquire lock: File exists/,
    example: 'error: Failed to acquire lock: File exists',
    found: 'another guest of this host has the disk (-17)',
    todo: 'stop it; sanlock client status shows its process',
  },
  {
    pattern: /Failed to acquire lock: No space left on device/,
    example: 'error: Failed to acquire lock: No space left on device',
    found: 'no device is full: this host is not in the lockspace of the guests (-28)',
    todo: 'see the storage of the lease directory; with the original sanlock restart libvirtd',
  },
  {
    pattern: /Failed to acquire lock: .*local commit/,
    example:
      'error: resource busy: Failed to acquire lock: Lease was acquired by another host in local commit',
    found: 'two hosts asked for the lease at one moment, and the original sanlock refused this one',
    todo: 'try again',
  },
  {
    pattern: /Failed to open socket to sanlock daemon: Permission denied/,
    example: 'Failed to open socket to sanlock daemon: Permission denied',
    found: 'libvirt may not use the socket of sanlock: its group, SELinux or AppArmor',
    todo: 'holdfast guard check names the one that it is',
  },
  {
    pattern: /Failed to open socket to sanlock daemon/,
    example:
      'libvirt: Lock Driver error : Failed to open socket to sanlock daemon: Connection refused',
    found: 'sanlock does not run here',
    todo: 'systemctl start wdmd sanlock',
  },
  {
    pattern: /disks were present, but no leases specified/,
    example:
      'unsupported configuration: Read/write, exclusive access, disks were present, but no leases specified',
    found: 'the plugin is on, makes no leases by itself, and wants one for each disk',
    todo: 'auto_disk_leases = 1 in qemu-sanlock.conf, or require_lease_for_disks = 0',
  },
  {
    pattern: /Failure action \S+ is not supported by sanlock/,
    example: 'unsupported configuration: Failure action restart is not supported by sanlock',
    found: 'that <on_lockfailure> cannot be done',
    todo: 'use poweroff or pause',
  },
  {
    pattern: /no host ID is set/,
    example: 'Automatic disk lease mode enabled, but no host ID is set',
    found: 'qemu-sanlock.conf has no host_id: no guest can be started',
    todo: 'host_id = a number that no other host has, then restart libvirtd',
  },
  {
    pattern: /Unable to create lockspace .*parent directory does not exist/,
    example:
      'Unable to create lockspace /srv/leases/__LIBVIRT__DISKS__: parent directory does not exist or is not a directory',
    found: 'the share of the lease directory is not mounted',
    todo: 'mount it, then restart libvirtd',
  },
  {
    pattern: /Unable to add lockspace/,
    example: 'Unable to add lockspace /srv/leases/__LIBVIRT__DISKS__: Connection refused',
    found: 'libvirtd started without the lockspace: guests will fail with No space left on device',
    todo: 'start sanlock, then restart libvirtd',
  },
  {
    pattern: /Source host lock driver \S+ different from target/,
    example: 'Source host lock driver sanlock different from target nop',
    found: 'one of the two hosts of the migration has the plugin, and the other has not',
    todo: 'lock_manager in qemu.conf must be equal on all hosts',
  },
  {
    pattern: /Missing sanlock lock state for migration cookie/,
    example: 'Missing sanlock lock state for migration cookie',
    found: 'the host that the guest comes from has no lock driver',
    todo: 'lock_manager in qemu.conf must be equal on all hosts',
  },
  {
    pattern: /Too many resources \d+ for object/,
    example: 'Too many resources 8 for object',
    found: 'the plugin leases 8 disks of a guest at most',
    todo: 'use holdfast guard without the plugin (docs/operations/guests.md)',
  },
  {
    pattern: /Is another process using the image|Failed to get "write" lock/,
    example: 'Failed to get "write" lock',
    found: 'another QEMU of this host has the image open: QEMU locks the file itself',
    todo: 'stop that guest; lsof on the image shows it',
  },
  {
    pattern: /Cannot access storage file/,
    example: "Cannot access storage file '/dev/vg1/db': No such file or directory",
    found: 'the LV of the disk is not active on this host, or the path is wrong',
    todo: 'lvchange -aey vg1/db here, where the guest is to run',
  },
  {
    pattern: /Failed to connect socket to '\S*\/libvirt-sock'/,
    example:
      "error: Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory",
    found: 'libvirtd does not run on this host',
    todo: 'systemctl start libvirtd, and see its log; guests that run go on meanwhile',
  },
  {
    pattern: /Child quit during startup handshake/,
    example: 'Child quit during startup handshake: Input/output error',
    found: 'the process that was to become the guest has ended before, as it got no lease',
    todo: 'see the lines around it, and those of "virsh start": one says why',
  },
  {
    pattern: /Failed to (start|resume|restore) domain/,
    example: "error: Failed to start domain 'db'",
    found: 'the guest does not run; the line behind says why',
    todo: 'explain that line: holdfast explain "…"; holdfast guard check GUEST says who has its disks',
  },
];
