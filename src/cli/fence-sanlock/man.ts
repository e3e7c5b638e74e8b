import type { ManPage } from '../frame/man.ts';
import { AGENT_ROWS } from './agent-options.ts';
import { FENCED_FORMS, FENCED_ROWS } from './daemon-options.ts';

const SETUP =
  'One device of 129 MiB or more with sectors of 512 bytes, which all hosts have, holds the leases.';

export const AGENT_MAN: ManPage = {
  name: 'fence_sanlock',
  section: 8,
  about: 'fences a host by its watchdog and leases on storage',
  synopsis: ['fence_sanlock -o ACTION [-p PATH] [-i HOST_ID]'],
  sections: [
    {
      title: 'DESCRIPTION',
      parts: [
        'A fence agent that needs no power switch: a host is known to be down when the lease that its ' +
          'fence_sanlockd held could be taken. One that still runs is asked through the storage to let ' +
          'its watchdog reset it.',
        'fence_sanlockd must run on every host, also on the one that fences.',
        SETUP,
      ],
    },
    {
      title: 'OPTIONS',
      parts: [
        { rows: AGENT_ROWS },
        'Without arguments, lines action=, path= and host_id= are read from standard input, as fencing ' +
          'daemons send them.',
      ],
    },
    {
      title: 'EXIT STATUS',
      parts: [
        {
          rows: [
            ['0', 'Done; of status: the host is on.'],
            ['1', 'Failed, or wrong words.'],
            ['2', 'Of status: the host is off.'],
          ],
        },
      ],
    },
    {
      title: 'EXAMPLES',
      parts: [
        'Once, from any host:',
        { lines: ['fence_sanlock -o sanlock_init -p /dev/disk/by-id/lun7'] },
        'Host 3 is fenced:',
        { lines: ['fence_sanlock -o off -p /dev/disk/by-id/lun7 -i 3'] },
      ],
    },
  ],
  seeAlso: ['fence_sanlockd(8)', 'sanlock(8)', 'wdmd(8)'],
};

export const FENCED_MAN: ManPage = {
  name: 'fence_sanlockd',
  section: 8,
  about: 'lets other hosts fence this one by its watchdog',
  synopsis: FENCED_FORMS.map(([form]) => form),
  sections: [
    {
      title: 'DESCRIPTION',
      parts: [
        'It holds the lease of this host, and renews its expiry at wdmd: fence_sanlock of another host ' +
          'takes that lease, which proves that this one is down. fence_sanlockd.service runs it, as root.',
        SETUP,
        { rows: FENCED_FORMS },
      ],
    },
    { title: 'OPTIONS', parts: [{ rows: FENCED_ROWS }] },
    {
      title: 'SIGNALS',
      parts: [
        {
          rows: [
            ['SIGHUP, SIGINT', 'It ends in order, and gives the lease back.'],
            ['SIGTERM', 'What sanlock sends when the lockspace has failed: the host is reset.'],
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
            ['1', 'It cannot serve, or wrong words.'],
          ],
        },
      ],
    },
    {
      title: 'FILES',
      parts: [
        {
          rows: [
            [
              '/run/fence_sanlockd/fence_sanlockd.fifo',
              'While it waits: where fence_sanlock tells it the host id.',
            ],
          ],
        },
      ],
    },
    {
      title: 'EXAMPLES',
      parts: [
        'Host 3, which another host may fence from now on:',
        { lines: ['fence_sanlockd -p /dev/disk/by-id/lun7 -i 3'] },
      ],
    },
  ],
  seeAlso: ['fence_sanlock(8)', 'sanlock(8)', 'wdmd(8)'],
};
