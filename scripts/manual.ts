import { readFileSync } from 'node:fs';
import { AGENT_MAN, FENCED_MAN } from '../src/cli/fence-sanlock/man.ts';
import { confMan } from '../src/cli/frame/conf-rows.ts';
import { type ManPage, manOf } from '../src/cli/frame/man.ts';
import type { CommandPage } from '../src/cli/frame/page.ts';
import { COMMANDS } from '../src/cli/holdfast/main.ts';
import { holdfastMan } from '../src/cli/holdfast/man.ts';
import { LVMLOCKCTL_MAN } from '../src/cli/lvmlockctl/man.ts';
import { LVMLOCKD_MAN } from '../src/cli/lvmlockd/man.ts';
import { RESET_MAN, RESETD_MAN } from '../src/cli/sanlk-reset/man.ts';
import { SANLOCK_MAN } from '../src/cli/sanlock/man.ts';
import { WDMD_MAN } from '../src/cli/wdmd/man.ts';

/** The pages of the programs whose command lines are those of the originals. */
export const PROGRAM_PAGES: readonly ManPage[] = [
  SANLOCK_MAN,
  WDMD_MAN,
  LVMLOCKD_MAN,
  LVMLOCKCTL_MAN,
  RESET_MAN,
  RESETD_MAN,
  AGENT_MAN,
  FENCED_MAN,
];

/** The pages of the commands of `holdfast`. */
export async function commandPages(): Promise<readonly CommandPage[]> {
  return Promise.all(Object.values(COMMANDS).map(({ help }) => help()));
}

/** Every page of the manual. @param root the folder of the project */
export async function allManPages(root: string): Promise<readonly ManPage[]> {
  const example = (file: string) => readFileSync(`${root}/packaging/${file}`, 'utf8');
  return [
    ...PROGRAM_PAGES,
    holdfastMan(COMMANDS),
    ...(await commandPages()).map(manOf),
    confMan(
      {
        name: 'sanlock.conf',
        about: 'the settings of the sanlock daemon',
        seeAlso: ['sanlock(8)', 'wdmd(8)'],
      },
      example('sanlock.conf'),
      [
        'sanlock daemon --check says what is wrong with the file. A mistake in a setting that decides ' +
          'which host may have a lease, or as which user the daemon runs, keeps the daemon from ' +
          'starting; any other is logged, and the default used.',
      ],
    ),
    confMan(
      {
        name: 'holdfast-guard.conf',
        about: "the settings of the guard of libvirt's guests",
        seeAlso: ['holdfast-guard(8)', 'sanlock(8)'],
      },
      example('guard.conf'),
      [],
    ),
  ];
}

/** `man8/wdmd.8`, below the folder of the manual. */
export function manFile({ name, section }: ManPage): string {
  return `man${section}/${name}.${section}`;
}
