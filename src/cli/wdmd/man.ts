import type { ManPage } from '../frame/man.ts';
import { WDMD_ROWS } from './options.ts';

export const WDMD_MAN: ManPage = {
  name: 'wdmd',
  section: 8,
  about: 'the watchdog of a host, for all programs that rely on it',
  synopsis: ['wdmd [options]'],
  sections: [
    {
      title: 'DESCRIPTION',
      parts: [
        'A watchdog device resets its machine unless it is pinged. wdmd has the device, and pings it ' +
          'while every program that has registered renews its expiry: sanlock does so for each of its ' +
          'lockspaces, whenever it has renewed its lease there. Where a program fails to, the machine is ' +
          'reset within a minute of the expiry, and other hosts may rely on that.',
        'Run it as root, from wdmd.service. It takes the place of the wdmd of sanlock 3.8.5: command ' +
          'line, socket and messages are the same.',
        'If wdmd dies, its device goes on: the machine is reset unless another wdmd is started within ' +
          'a minute, which takes over what the one before had promised.',
      ],
    },
    {
      title: 'OPTIONS',
      parts: [
        { rows: WDMD_ROWS },
        'An option and its value may be one word (-S1, --trytimeout=30). Of several actions in one ' +
          'command line the one that shows something, and then the one that touches the device, counts.',
      ],
    },
    {
      title: 'DEVICES',
      parts: [
        'The first that can be used is taken: that of -w, /dev/watchdog0, /dev/watchdog1, ' +
          '/dev/watchdog. It must take a timeout of 60 seconds. A device that would reset the machine ' +
          'later than it says, or that the kernel stops when wdmd dies, is refused with the reason.',
        'With -S 1 wdmd also runs every executable file of /etc/wdmd.d, again and again: a status ' +
          'other than 0 counts as a program that has not renewed its expiry.',
      ],
    },
    {
      title: 'SIGNALS',
      parts: [
        {
          rows: [
            [
              'SIGTERM, SIGINT',
              'It ends in order, and disarms the device, if no program relies on it.',
            ],
            ['SIGHUP', 'It looks for scripts again.'],
          ],
        },
      ],
    },
    {
      title: 'EXIT STATUS',
      parts: [
        {
          rows: [
            ['0', 'Its orderly end, or what was asked for was shown.'],
            ['1', 'What was asked for could not be shown; or wrong words.'],
            ['75', 'It has ended for its successor (holdfast upgrade).'],
            ['255', 'It cannot serve: no device can be used, or another wdmd runs.'],
          ],
        },
      ],
    },
    {
      title: 'FILES',
      parts: [
        {
          rows: [
            ['/run/wdmd/wdmd.sock', 'Where programs connect.'],
            ['/run/wdmd/wdmd.duties', 'What it has promised, for its successor.'],
            ['/dev/shm/wdmd', 'It is there while a wdmd runs, or was killed.'],
          ],
        },
      ],
    },
    {
      title: 'EXAMPLES',
      parts: [
        'Which device would be used:',
        { lines: ['wdmd --probe'] },
        'Who relies on it now, and until when:',
        { lines: ['wdmd --dump'] },
      ],
    },
  ],
  seeAlso: ['sanlock(8)', 'sanlk-resetd(8)', 'fence_sanlockd(8)', 'holdfast-upgrade(8)'],
};
