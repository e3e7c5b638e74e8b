import type { ManPage } from '../frame/man.ts';
import { LVMLOCKD_ROWS } from './options.ts';

export const LVMLOCKD_MAN: ManPage = {
  name: 'lvmlockd',
  section: 8,
  about: 'locks volume groups and volumes that several hosts share',
  synopsis: ['lvmlockd [options]'],
  sections: [
    {
      title: 'DESCRIPTION',
      parts: [
        'lvm commands ask lvmlockd for the locks of shared volume groups, and lvmlockd asks the lock ' +
          'manager: sanlock, with leases on the disks of the volume group. So no two hosts change ' +
          'one volume group at the same time, and an LV is active on one host exclusively, or on ' +
          'several shared.',
        'Run it as root, from lvmlockd.service. It takes the place of the lvmlockd of lvm2: command ' +
          'line, socket, and leases on the disk are the same.',
        'It may be killed and started again while locks are held: sanlock keeps them, and the next ' +
          'lvmlockd adopts them (--adopt).',
        'A volume group that loses the disk of its leases has its LVs cut off from their disks, before ' +
          'another host may take them (--kill-action); the host is not reset.',
      ],
    },
    { title: 'OPTIONS', parts: [{ rows: LVMLOCKD_ROWS }] },
    {
      title: 'SHARED VOLUME GROUPS',
      parts: [
        'A volume group becomes shared when it is made, or by vgchange --lock-type sanlock. Every host ' +
          'starts it before it uses it, and each LV is activated in a mode:',
        {
          lines: [
            'vgcreate --shared vg1 /dev/sdb',
            'vgchange --lock-start vg1',
            'lvchange -aey vg1/data     # exclusively',
            'lvchange -asy vg1/data     # shared with other hosts',
          ],
        },
        'A refusal that names another host is explained by holdfast who vg1/data, and any message of ' +
          'lvm by holdfast explain.',
      ],
    },
    {
      title: 'SETTINGS OF LVM',
      parts: [
        'Of lvm.conf, the same on all hosts, and of lvmlocal.conf, which is of one host. lvm, and not ' +
          'lvmlockd, reads them; lvmconfig shows what counts.',
        {
          rows: [
            ['global/use_lvmlockd = 1', 'lvm asks lvmlockd at all.'],
            [
              'local/host_id = NUM',
              'In lvmlocal.conf: the number of this host, 1 to 2000, which no other host has.',
            ],
            [
              'global/lvmlockd_lock_retries = NUM',
              'How often lvm repeats a request that another host keeps waiting.',
            ],
            [
              'global/sanlock_lv_extend = MIB',
              'By how much lvm extends the LV of the leases when it is full; 0: never.',
            ],
            [
              'global/lvmlockctl_kill_command = "PATH"',
              'What lvmlockctl --kill runs for a volume group that lost its leases, instead of cutting its LVs off.',
            ],
            [
              'activation/lock_start_list, activation/auto_lock_start_list',
              'Which volume groups may be started here, and which at boot.',
            ],
          ],
        },
      ],
    },
    {
      title: 'ENVIRONMENT',
      parts: [
        {
          rows: [
            ['LVM_LVMLOCKD_SOCKET', 'The path of the socket, where --socket-path is not given.'],
            ['LVM_LVMLOCKD_PIDFILE', 'The path of the pid file, where --pid-file is not given.'],
          ],
        },
      ],
    },
    {
      title: 'EXIT STATUS',
      parts: [
        {
          rows: [
            ['0', 'Its orderly end.'],
            ['1', 'It cannot serve, wrong words, or locks were lost: its unit starts it again.'],
            ['13', 'Another lvmlockd runs.'],
            ['75', 'It has ended for its successor (holdfast upgrade).'],
          ],
        },
      ],
    },
    {
      title: 'FILES',
      parts: [
        {
          rows: [
            ['/run/lvm/lvmlockd.socket', 'Where lvm commands connect.'],
            ['/run/lvm/lvmlockd.adopt', 'The locks it has, for its successor.'],
            ['/etc/default/lvmlockd', 'OPTIONS of its unit.'],
            ['/etc/lvm/lvm.conf, /etc/lvm/lvmlocal.conf', 'The settings of lvm.'],
          ],
        },
      ],
    },
    {
      title: 'EXAMPLES',
      parts: [
        'To watch what lvm asks for:',
        { lines: ['lvmlockd --daemon-debug'] },
        'What it has now:',
        { lines: ['lvmlockctl --info'] },
      ],
    },
  ],
  seeAlso: [
    'lvmlockctl(8)',
    'sanlock(8)',
    'holdfast-who(8)',
    'holdfast-status(8)',
    'lvm(8)',
    'lvm.conf(5)',
  ],
};
