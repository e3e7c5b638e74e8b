import type { ManPage } from '../frame/man.ts';
import { LVMLOCKCTL_ROWS } from './options.ts';

export const LVMLOCKCTL_MAN: ManPage = {
  name: 'lvmlockctl',
  section: 8,
  about: 'shows and controls the state of lvmlockd',
  synopsis: ['lvmlockctl [options]'],
  sections: [
    {
      title: 'DESCRIPTION',
      parts: [
        'lvmlockctl asks lvmlockd of this host. Without an option it shows what options there are.',
        'sanlock runs lvmlockctl --kill when a volume group has lost the disk of its leases: nobody has ' +
          'to. It can be rehearsed with --dry-run.',
      ],
    },
    { title: 'OPTIONS', parts: [{ rows: LVMLOCKCTL_ROWS }] },
    {
      title: 'WHAT --info SHOWS',
      parts: [
        {
          rows: [
            ['VG NAME lock_type=sanlock UUID', 'A volume group that is started here.'],
            ['LS sanlock lvm_NAME', 'Its lockspace.'],
            ['LK GL un|sh|ex', 'The global lock, in the volume group that carries it.'],
            ['LK VG un|sh|ex', 'The lock of the volume group: a command has it, or had it.'],
            ['LK LV ex|sh UUID', 'An LV that is active here.'],
          ],
        },
      ],
    },
    {
      title: 'EXIT STATUS',
      parts: [
        {
          rows: [
            ['0', 'Done.'],
            ['1', 'lvmlockd could not be reached, or did not do it; or wrong words.'],
            ['2', '--limit was over.'],
          ],
        },
      ],
    },
    {
      title: 'EXAMPLES',
      parts: [
        'The locks of this host:',
        { lines: ['lvmlockctl --info'] },
        'Whether every lease of a volume group is sound, and belongs to an LV:',
        { lines: ['lvmlockctl --check vg1'] },
        'What would happen to its LVs if it lost its leases now:',
        { lines: ['lvmlockctl --kill vg1 --dry-run'] },
      ],
    },
  ],
  seeAlso: ['lvmlockd(8)', 'holdfast-who(8)', 'holdfast-repair(8)', 'lvm(8)'],
};
