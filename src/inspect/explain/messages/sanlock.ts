import { type Message, STORAGE } from './message.ts';

const DAMAGED =
  'holdfast who VG/LV, or sanlock client read, shows it; lvmlockctl --check VG and holdfast repair mend ' +
  'what can be mended';
const NUMBER = 'holdfast explain that number';

/** What sanlock of the original logs: in /var/log/sanlock.log, and what is worse in the journal. */
export const SANLOCK_MESSAGES: readonly Message[] = [
  // The lease of this host, and what follows when it cannot be renewed.
  {
    pattern: /check_our_lease warning \d+/,
    example: 's1 check_our_lease warning 61 last_success 52971',
    found:
      'this host has not renewed its lease for so many seconds; at 8 io timeouts (80 s) users end',
    todo: STORAGE,
  },
  {
    pattern: /check_our_lease failed \d+/,
    example: 's1 check_our_lease failed 80',
    found:
      'the lease of this host is lost: sanlock stops every program with leases in the lockspace',
    todo: 'see the storage; what it had other hosts may take a minute later, or when it is reset',
  },
  {
    pattern: /set killing_pids check/,
    example: 's1 set killing_pids check -1 remove 0',
    isWithoutResult: true,
    found: 'sanlock begins to stop the programs with leases in a lockspace that is lost',
    todo: 'nothing: the lines "kill" name them, and "all pids clear" says that they have ended',
  },
  {
    pattern: /\bkill \d+ sig (9|15|100) count \d+/,
    example: 's1 kill 15017 sig 100 count 1',
    found:
      'sanlock stops that process: 100 its kill path (lvmlockctl --kill for lvm), 15 SIGTERM, 9 SIGKILL',
    todo: 'a process that SIGKILL does not end waits for a disk: the watchdog resets the host then',
  },
  {
    pattern: /\bdead \d+ ci \d+ count \d+/,
    example: 's1 dead 15017 ci 2 count 1',
    found: 'a process that sanlock had to stop has ended',
    todo: 'nothing',
  },
  {
    pattern: /killing pids stuck/,
    example: 's1 killing pids stuck 1',
    found: 'processes with leases in the lost lockspace have not ended for a minute',
    todo: 'see what keeps them (ps: state D waits for a disk); the watchdog resets the host',
  },
  {
    pattern: /used by orphan \d+ blocking lockspace removal/,
    example: 's1 used by orphan 1 blocking lockspace removal',
    found: 'a lost lockspace stays, as a program that has ended left a persistent lease in it',
    todo: 'sanlock client status shows it (ORPHAN); start that program again, or release it with -O 1',
  },
  {
    pattern: /check_our_lease corrupt|delta_renew verify_leader error/,
    example: 's1 check_our_lease corrupt -223',
    found: 'the lease of this host was overwritten on the disk: users are stopped at once',
    todo: 'find out what wrote there; no host joins with that id until its block is made anew (sanlock client init)',
  },
  {
    pattern: /all pids clear/,
    example: 's1 all pids clear',
    found:
      'all programs with leases in the lost lockspace have ended in time: the host is not reset',
    todo: 'when the storage answers again, join again: for a VG vgchange --lock-start VG',
  },
  {
    pattern: /renewal error -?\d+ delta_length/,
    example: 's1 renewal error -202 delta_length 10 last_success 52949',
    found:
      'this host could not renew its lease this once; it tries on, until 8 io timeouts are over',
    todo: STORAGE,
  },
  {
    pattern: /delta_renew (read|write) timeout/,
    example: 's1 delta_renew read timeout 10 sec offset 0 /dev/mapper/vg1-lvmlock',
    found:
      'the disk of the leases did not answer within the io timeout while the lease was renewed',
    todo: STORAGE,
  },
  {
    pattern: /delta_renew (read|write) rv -\d+/,
    example: 's1 delta_renew read rv -5 offset 0 /dev/mapper/vg1-lvmlock',
    found: 'the disk of the leases answered with an error while the lease was renewed (-5: EIO)',
    todo: STORAGE,
  },
  {
    pattern: /delta_renew long write time/,
    example: 's1 delta_renew long write time 11 sec',
    found: 'the lease was renewed, and the disk took long',
    todo: 'see the load of the storage: sanlock client renewal -s LOCKSPACE shows each renewal',
  },
  {
    pattern: /aio timeout (RD|WR)/,
    example: 'lvm_vg1 aio timeout RD 0x7f05:0x7f05:0x7f05 ioto 10 to_count 1',
    found: 'a read (RD) or write (WR) of the leases had no answer within the io timeout',
    todo: STORAGE,
  },
  {
    pattern: /aio collect (\w\w )?\S+ result \d+:\d+ (match reap|close free)/,
    example: 'lvm_vg1 aio collect RD 0x7f05:0x7f05:0x7f05 result 1048576:0 match reap',
    found: 'the disk has answered at last what had timed out before',
    todo: STORAGE,
  },
  {
    pattern: /aio collect \w\w \S+ result \d+:\d+ match len/,
    example: 'LS1 aio collect RD 0x7f7e:0x7f7e:0x7f7e result 0:0 match len 4096',
    found: 'the disk gave less than was asked for: the offset is beyond its end',
    todo: 'correct the path and offset',
  },
  {
    pattern: /aio collect (RD|WR) \S+ result -\d+/,
    example: 'lvm_vg1 aio collect RD 0x7f05:0x7f05:0x7f05 result -5:0 match res',
    found: 'the disk answered a read (RD) or write (WR) of the leases with an error (-5: EIO)',
    todo: STORAGE,
  },
  {
    pattern: /close_task_aio \d+ 0x[0-9a-f]+ busy/,
    example: 'lvm_vg1 close_task_aio 0 0x7f0568000b70 busy',
    found: 'the disk has still not answered what was asked before: it hangs',
    todo: STORAGE,
  },
  // The watchdog.
  {
    pattern: /wdmd_connect failed|connect_watchdog failed/,
    example: 's1 wdmd_connect failed -2',
    found: 'wdmd does not run, and without it no lockspace is joined (-203)',
    todo: 'systemctl start wdmd, and see its log; sanlock daemon -w 0 does without, and then nothing resets a host that has lost its leases',
  },
  {
    pattern: /wdmd_test_live \d+ \d+ to disable/,
    example: 's1 wdmd_test_live 0 0 to disable',
    found: 'the lockspace has ended in order: the watchdog is not needed for it any more',
    todo: 'nothing',
  },
  // Joining a lockspace.
  {
    pattern: /delta_acquire host_id \d+ busy/,
    example: 's1 delta_acquire host_id 1 busy1 1 1 52947 host-1',
    found: 'another host, which lives, has that host id: its name is last (-262)',
    todo: 'give one of the two another host id; for lvm in /etc/lvm/lvmlocal.conf',
  },
  {
    pattern: /delta_acquire delta_large_delay/,
    example: 's1 delta_acquire delta_large_delay 80 delay 140',
    found: 'the host id was not given back, so sanlock waits until whoever had it is surely dead',
    todo: 'wait: 8 io timeouts and a minute; a host with a fixed our_host_name has its own id at once',
  },
  {
    pattern: /delta_acquire other_io_timeout \d+ our \d+/,
    example: 's1 delta_acquire other_io_timeout 20 our 10',
    found: 'the host id was last used with another io timeout: sanlock waits by the longer one',
    todo: 'give all hosts of a lockspace one io timeout',
  },
  {
    pattern: /delta_acquire fast reacquire/,
    example: 's1 delta_acquire fast reacquire',
    found: 'this host had the host id last, under the same name, and has it again without a wait',
    todo: 'nothing',
  },
  {
    pattern: /add_lockspace \S+ conflicts with name of/,
    example: 'add_lockspace LS1:7:/dev/sdc:0 conflicts with name of list1 s1 LS1:2:/dev/sdc:0',
    found: 'a lockspace of that name is joined here, with another host id or place',
    todo: 'use that one; sanlock client status shows it',
  },
  {
    pattern: /add_lockspace \S+ conflicts with path of/,
    example: 'add_lockspace LS2:7:/dev/sdc:0 conflicts with path of list1 s1 LS1:2:/dev/sdc:0',
    found: 'another lockspace is joined at that place',
    todo: 'correct the name, or the path and offset',
  },
  {
    pattern: /add_lockspace bad args/,
    example: 'add_lockspace bad args id 0 name 3 path 9',
    found: 'the host id, the name or the path of the lockspace is missing',
    todo: 'give NAME:HOST_ID:PATH:OFFSET, with a host id from 1',
  },
  {
    pattern: /add_lockspace fail result -?\d+/,
    example: 's1 add_lockspace fail result -203',
    found: 'the lockspace was not joined; the lines before, and the number, say why',
    todo: NUMBER,
  },
  {
    pattern: /failed to read device to find sector size|read_lockspace_sector_size/,
    example: 's1 failed to read device to find sector size error -90 /dev/sdc',
    found: 'what is read of the lockspace is not there: the offset is beyond the end of the device',
    todo: 'correct the path and offset',
  },
  // Leases.
  {
    pattern: /paxos_acquire owner \d+ delta \d+ \d+ \d+ alive/,
    example: 's1:r1 paxos_acquire owner 1 delta 1 1 52864 alive',
    found: 'the lease belongs to the host with that host id, which lives',
    todo: 'nothing, or find out what has it there: holdfast who',
  },
  {
    pattern: /acquire_token held error/,
    example: 's1:r1 acquire_token held error -243',
    found: 'the lease belongs to another host',
    todo: 'holdfast who says to which one, and until when it is protected',
  },
  {
    pattern: /verify_leader (\d+ )?wrong magic/,
    example: 's1:r2 verify_leader wrong magic 0 /dev/mapper/vg1-lvmlock',
    found: 'there is no lease at that place, or it was overwritten',
    todo: DAMAGED,
  },
  {
    pattern: /verify_leader (\d+ )?wrong checksum/,
    example: 's1:r2 verify_leader wrong checksum 5123e1dd e39a589d /dev/mapper/vg1-lvmlock',
    found: 'the record of the lease is damaged',
    todo: DAMAGED,
  },
  {
    pattern: /verify_leader (\d+ )?wrong (resource|space) name/,
    example: 's1:r2 verify_leader wrong resource name R1 R2 /dev/sdc',
    found:
      'the lease at that place has another name: first the one on the disk, then the one asked for',
    todo: 'correct the name, or the path and offset',
  },
  {
    pattern: /verify_dblock wrong checksum/,
    example: 's1:r2 verify_dblock wrong checksum de2f55a0 bb0eceda',
    found: 'the block of one host in the lease is damaged: no host can have the lease',
    todo: 'holdfast who shows whose block it is, and holdfast repair empties it',
  },
  {
    pattern: /leader\d+ (paxos|delta)_\w+ error -?\d+|leader[2-5] (path|m|sn|wi) /,
    example: 's1:r2 leader1 paxos_acquire error -223 sn lvm_vg1 rn 0pNl2M-Y82U',
    found: 'what was found instead of the lease with that name (rn) follows in the next lines',
    todo: NUMBER,
  },
  {
    pattern: /acquire_token open error/,
    example: 's1:r2 acquire_token open error -2',
    found: 'the disk of the lease cannot be opened',
    todo: 'see that its path is there, and that the user of sanlock may open it',
  },
  {
    pattern: /open_disk \S+ error|open error -?\d+ \//,
    example: 'open error -2 /dev/sdx',
    found: 'that disk cannot be opened (-2: it is not there; -13: not for the user of sanlock)',
    todo: 'correct the path, or add that user to the group of the disk',
  },
  {
    pattern: /acquire_token disk error|acquire_disk rv -\d+/,
    example: 's1:r2 acquire_token disk error -223',
    found: 'the lease could not be had; the lines before, and the number, say why',
    todo: NUMBER,
  },
  {
    pattern: /cmd_acquire [\d,]+ invalid lockspace found/,
    example: 's1:r2 cmd_acquire 2,9,15017 invalid lockspace found -1 failed 0 name LS1',
    isWithoutResult: true,
    found: 'a lease of a lockspace was asked for that this host is not in (-28)',
    todo: 'join it: sanlock client add_lockspace; of a VG: vgchange --lock-start VG',
  },
  {
    pattern: /cmd_acquire [\d,]+ acquire_token -?\d+/,
    example: 's1:r2 cmd_acquire 2,9,15017 acquire_token -223 lease not found',
    found: 'the lease was refused to the process whose number is the third one',
    todo: NUMBER,
  },
  {
    pattern: /release_token (error|release leader) -?\d+|paxos_release \w+ error/,
    example: 's1:r2 release_token error -223 r_flags 0',
    found:
      'a lease could not be given back on the disk: this host keeps it until it leaves or is dead',
    todo: DAMAGED,
  },
  // What the names in other lines mean.
  {
    pattern: /^(\S+ \S+ \d+ \[\d+\]: )?s\d+ lockspace [^:\s]+:\d+:/,
    example: 's1 lockspace LS1:1:/dev/sdc:0',
    found: 'in the lines that follow, s1 is that lockspace, with the host id of this host',
    todo: 'nothing',
  },
  {
    pattern: /s\d+:r\d+ resource [^:\s]+:/,
    example: 's1:r1 resource LS1:vm7:/dev/sdc:1048576',
    found:
      'in the lines that follow, r1 is that lease; of lvm VGLK and GLLK are a VG, and the global lock',
    todo: 'nothing',
  },
  {
    pattern: /s\d+ host \d+ \d+ \d+ \S+$/,
    example: 's1 host 2 1 52859 node2',
    found: 'another host is in the lockspace: its host id, its generation, when, and its name',
    todo: 'nothing',
  },
  {
    pattern: /s\d+ host \d+ \d+ \d+ is dead/,
    example: 's1 host 1 2 53629 is dead',
    found: 'another host of the lockspace is dead: what it had may be taken from now on',
    todo: 'nothing here; see that host',
  },
  // The daemon.
  {
    pattern: /our_host_name set from/,
    example: 'our_host_name set from uuid_generate: 80415640-1897.node1',
    found: 'the name of this host in leases; one that was made up is another one at each start',
    todo: 'with our_host_name in sanlock.conf a host that was killed has its host id again at once',
  },
  {
    pattern: /sanlock daemon started \d/,
    example: 'sanlock daemon started 3.8.5 host 1f65-4134.node1 (node1)',
    found: 'sanlock has started; the name behind "host" is that of this host in leases',
    todo: 'nothing',
  },
  {
    pattern: /Running in unprivileged mode/,
    example: 'Running in unprivileged mode',
    found: 'sanlock does not run as root, or was told so: it locks no memory, and changes no user',
    todo: 'nothing in a test; else start it as root, by its unit',
  },
  {
    pattern: /(user|group) '\S+' not found, using [ug]id: 0/,
    example: "user 'sanlock' not found, using uid: 0",
    found: 'there is no such user or group on this host: the daemon runs as root',
    todo: 'correct uname and gname in sanlock.conf, or -U and -G',
  },
  {
    pattern: /ignore shutdown, lockspace exists/,
    example: 'ignore shutdown, lockspace exists',
    found: 'sanlock was asked to end, and does not: a lockspace is in use',
    todo: 'leave it first: for a VG vgchange --lock-stop VG; sanlock client status shows what is in use',
  },
  {
    pattern: /lockfile setlk error \S*sanlock\.pid/,
    example: 'lockfile setlk error /run/sanlock/sanlock.pid: Resource temporarily unavailable',
    found: 'another sanlock runs here',
    todo: 'nothing, or end that one first: systemctl stop sanlock',
  },
];
