import { type Message, WHO } from './message.ts';

const NUMBER = 'holdfast explain that number, which is one of sanlock';

/** What lvmlockd of the original logs: `lvmlockctl --dump`, and what is worse in the journal. */
export const LVMLOCKD_MESSAGES: readonly Message[] = [
  // Locks.
  {
    pattern: /lock_san acquire mode \d+ rv -243/,
    example: 'S lvm_vg1 R wNn9uX-wS2d lock_san acquire mode 3 rv -243',
    found: 'another host has the lock, and lives',
    todo: WHO,
  },
  {
    pattern: /res_lock EAGAIN retry/,
    example: 'S lvm_vg1 R VGLK res_lock EAGAIN retry',
    found: 'another host has the lock for the moment: lvmlockd tries again',
    todo: 'nothing, or if it stays: holdfast who VG',
  },
  {
    pattern: /lock_san acquire (error|mode \d+ rv) -\d+/,
    example: 'S lvm_vg1 R wNn9uX-wS2d lock_san acquire error -223',
    found: 'sanlock refused the lease; to lvm it is error -221',
    todo: NUMBER,
  },
  {
    pattern: /unlock_san release (rename )?error -\d+/,
    example: 'S lvm_vg1 R wNn9uX-wS2d unlock_san release error -223',
    found: 'sanlock could not give the lease back on the disk',
    todo: NUMBER,
  },
  {
    pattern: /res_lock invalidate (vg state|global state)/,
    example: 'S lvm_vg1 R VGLK res_lock invalidate vg state version 7',
    found: 'another host has changed the VG since this one read it: lvm reads it anew',
    todo: 'nothing',
  },
  // Starting and stopping a VG.
  {
    pattern: /add_lockspace_san add_lockspace error -\d+/,
    example: 'S lvm_vg1 add_lockspace_san add_lockspace error -262',
    found: 'sanlock has not joined the lockspace of the VG: it is not started here',
    todo: 'holdfast explain that number; -262: another host has this host id, -203: wdmd does not run',
  },
  {
    pattern: /rem_lockspace(_san)? error -\d+/,
    example: 'S lvm_vg1 rem_lockspace_san error -1',
    found: 'sanlock has not left the lockspace of the VG in order, or does not run any more',
    todo: 'sanlock client status shows whether it is still there',
  },
  {
    pattern: /prepare_lockspace_san invalid host_id/,
    example: 'S lvm_vg1 prepare_lockspace_san invalid host_id 0',
    found: 'this host has no host id, or one above 2000',
    todo: 'set local/host_id in /etc/lvm/lvmlocal.conf to a number that no other host has',
  },
  {
    pattern: /add_lockspace_thread \S+ exists and stopping|lockspace is stopping/,
    example: 'lockspace is stopping lvm_vg1',
    found: 'the VG is still being stopped, or what was lost with it has not ended',
    todo: 'wait for it: lvmlockctl -i; after a loss lvmlockctl --drop VG, once nothing uses its LVs',
  },
  {
    pattern: /S \S+ stopping$/,
    example: 'S lvm_vg1 stopping',
    found: 'the VG is being stopped on this host',
    todo: 'nothing',
  },
  {
    pattern: /not found on dispose list/,
    example: 'lvm_vg1:gQhD8K-nb6f free_lv lock_args 1.0.0:71303168 not found on dispose list',
    found: 'the lease of an LV that lvm removed again was not known here; its place stays taken',
    todo: 'lvmlockctl --check VG shows leases that no LV has, and --repair frees them',
  },
  {
    pattern: /add_lockspace_thread \S+ exists/,
    example: 'add_lockspace_thread lvm_vg1 exists',
    found: 'the VG is started already',
    todo: 'nothing',
  },
  {
    pattern: /not found for sanlock gl, searching|not found after search|found no gl_is_enabled/,
    example: 'lockspace "" not found for sanlock gl, searching...',
    found: 'none of the VGs that are started here carries the global lock',
    todo: 'start the VG that does, or have one carry it: lvmlockctl --gl-enable VG',
  },
  {
    pattern: /lockspace "\S*" not found/,
    example: 'lockspace "lvm_vg1" not found',
    found: 'the VG is not started on this host',
    todo: 'start it: vgchange --lock-start vg1',
  },
  // The leases are lost.
  {
    pattern: /S \S+ kill_vg$/,
    example: 'S lvm_vg1 kill_vg',
    found: 'lvmlockctl --kill told lvmlockd that the VG has lost the storage of its leases',
    todo: 'deactivate its LVs, then lvmlockctl --drop VG; else the watchdog resets the host',
  },
  {
    pattern: /disallow op \w+ after kill_vg/,
    example: 'S lvm_vg1 disallow op lock after kill_vg',
    found: 'the VG has lost the storage of its leases: nothing more is locked in it',
    todo: 'deactivate its LVs, lvmlockctl --drop VG, and when the storage is back vgchange --lock-start VG',
  },
  {
    pattern: /received drop without kill/,
    example: 'S lvm_vg1 received drop without kill',
    found: 'lvmlockctl --drop was given for a VG that has not lost its leases',
    todo: 'stop it in order instead: vgchange --lock-stop VG',
  },
  {
    pattern: /S \S+ drop_vg$/,
    example: 'S lvm_vg1 drop_vg',
    found: 'lvmlockctl --drop cleared the locks of a VG that had lost its leases',
    todo: 'when the storage is back: vgchange --lock-start VG',
  },
  // The daemon.
  {
    pattern: /Cannot lock lockfile \[\S*lvmlockd\.pid\]/,
    example:
      'Cannot lock lockfile [/run/lvmlockd.pid], error was [Resource temporarily unavailable]',
    found: 'another lvmlockd runs here',
    todo: 'nothing, or end that one first: systemctl stop lvmlockd',
  },
  {
    pattern: /read_cluster_name: open error/,
    example: 'read_cluster_name: open error -1, check dlm_controld',
    isWithoutResult: true,
    found: 'dlm does not run here; VGs with sanlock do not need it',
    todo: 'nothing, unless VGs of lock type dlm are to be used',
  },
  {
    pattern: /No lockspaces in adopt file/,
    example: 'No lockspaces in adopt file',
    found: 'the lvmlockd before left no locks that this one has to adopt',
    todo: 'nothing',
  },
  {
    pattern: /removing stale socket/,
    example: 'removing stale socket /run/lvm/lvmlockd.socket',
    found: 'the lvmlockd before was killed, and its socket was still there',
    todo: 'nothing; sanlock client status shows what it left (ORPHAN)',
  },
];
