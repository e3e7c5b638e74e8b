import type { ManPage } from '../frame/man.ts';

/** The page of the program: its commands have pages of their own. */
export function holdfastMan(
  commands: Readonly<Record<string, { readonly about: string }>>,
): ManPage {
  const rows = Object.entries(commands).map(([name, { about }]) => [name, about] as const);
  return {
    name: 'holdfast',
    section: 8,
    about: 'what administrators of sanlock, wdmd and lvmlockd ask and do',
    synopsis: ['holdfast COMMAND [options]', 'holdfast help COMMAND', 'holdfast version'],
    sections: [
      {
        title: 'DESCRIPTION',
        parts: [
          'The daemons of holdfast take the place of sanlock, wdmd and lvmlockd. This program shows what ' +
            'they and the shared disks say, also where the daemons are the originals, and changes it ' +
            'only where a command says so.',
          'Each command has a page of its own: that of holdfast who is holdfast-who(8).',
        ],
      },
      { title: 'COMMANDS', parts: [{ rows }] },
      {
        title: 'OPTIONS',
        parts: [
          {
            rows: [
              ['--help', 'Behind a command: its options, with examples and its exit statuses.'],
              ['--json', 'Behind most: one JSON object, as docs/operations/json.md describes it.'],
            ],
          },
        ],
      },
      {
        title: 'EXIT STATUS',
        parts: [
          {
            rows: [
              ['0', 'It is so, or done, and nothing needs attention.'],
              ['1', 'Something needs attention, or the answer is no.'],
              ['2', 'Wrong words, or it could not be asked or done.'],
            ],
          },
          'The page of a command says what they mean there.',
        ],
      },
      {
        title: 'EXAMPLES',
        parts: [
          'Which host has an LV:',
          { lines: ['holdfast who vg1/data'] },
          'What a number of sanlock means:',
          { lines: ['holdfast explain -223'] },
        ],
      },
    ],
    seeAlso: [
      ...Object.keys(commands).map((name) => `holdfast-${name}(8)`),
      ...['sanlock(8)', 'wdmd(8)', 'lvmlockd(8)'],
    ],
  };
}
