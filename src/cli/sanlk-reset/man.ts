import type { ManPage } from '../frame/man.ts';
import { RESET_COMMANDS, RESET_ROWS, RESETD_ROWS } from './options.ts';

const HELP = ['--help | -h, --version | -V', 'The help, or the version.'] as const;

export const RESET_MAN: ManPage = {
  name: 'sanlk-reset',
  section: 8,
  about: 'has the sanlk-resetd of another host reset that host',
  synopsis: [
    'sanlk-reset reset [options] LOCKSPACE:HOST_ID ...',
    ...RESET_COMMANDS.map(([form]) => form),
  ],
  sections: [
    {
      title: 'DESCRIPTION',
      parts: [
        'The request goes through the shared disk, as an event of sanlock: no network is needed. The ' +
          'host is known to be reset when it has answered and its watchdog has had the time to fire, or ' +
          'when it is dead in the lockspace.',
        'On that host sanlk-resetd must listen in the lockspace. Run it as root.',
      ],
    },
    { title: 'OPTIONS OF RESET', parts: [{ rows: [...RESET_ROWS, HELP] }] },
    {
      title: 'OTHER COMMANDS',
      parts: ['They tell the sanlk-resetd of this host where to listen.', { rows: RESET_COMMANDS }],
    },
    {
      title: 'EXIT STATUS',
      parts: [
        {
          rows: [
            ['0', 'The host has been reset, or the command was sent.'],
            ['1', 'It has not, or that is not known.'],
            ['2', 'The command is not valid.'],
          ],
        },
      ],
    },
    {
      title: 'EXAMPLES',
      parts: [
        'Host 2 of the lockspace LS1 is reset by its watchdog:',
        { lines: ['sanlk-reset reset LS1:2'] },
      ],
    },
  ],
  seeAlso: ['sanlk-resetd(8)', 'sanlock(8)', 'fence_sanlock(8)'],
};

export const RESETD_MAN: ManPage = {
  name: 'sanlk-resetd',
  section: 8,
  about: 'lets other hosts reset this one through its watchdog',
  synopsis: ['sanlk-resetd [options] LOCKSPACE ...'],
  sections: [
    {
      title: 'DESCRIPTION',
      parts: [
        'It listens in lockspaces of sanlock for the request of another host, and then has wdmd let ' +
          'the watchdog fire. Run it as root, from sanlk-resetd.service, beside wdmd and sanlock.',
      ],
    },
    {
      title: 'OPTIONS',
      parts: [{ rows: RESETD_ROWS.map(([head, about]) => [head, about || HELP[1]]) }],
    },
    {
      title: 'SIGNALS',
      parts: [{ rows: [['SIGTERM, SIGINT', 'It ends in order, and listens no more.']] }],
    },
    {
      title: 'EXIT STATUS',
      parts: [
        {
          rows: [
            ['0', 'Its orderly end.'],
            ['1', 'It cannot serve.'],
            ['2', 'The command is not valid.'],
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
              '/run/sanlk-resetd/sanlk-resetd.sock',
              'Where sanlk-reset tells it what to listen for.',
            ],
          ],
        },
      ],
    },
    {
      title: 'EXAMPLES',
      parts: ['It listens in the lockspace LS1:', { lines: ['sanlk-resetd LS1'] }],
    },
  ],
  seeAlso: ['sanlk-reset(8)', 'wdmd(8)', 'sanlock(8)'],
};
