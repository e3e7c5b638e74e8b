import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bashText } from '../src/cli/frame/completion-bash.ts';
import { zshText } from '../src/cli/frame/completion-zsh.ts';
import { manText } from '../src/cli/frame/man.ts';
import { allCompletions } from './completions.ts';
import { allManPages, manFile } from './manual.ts';

/**
 * Writes what a package installs for readers and shells: `dist/man/man8/NAME.8`,
 * `dist/man/man5/NAME.5`, `dist/completion/bash/NAME` and `dist/completion/zsh/_NAME`.
 */
const root = process.env['HOLDFAST_ROOT'] ?? '.';

function writeFolder(folder: string, files: ReadonlyMap<string, string>): void {
  rmSync(folder, { recursive: true, force: true });
  for (const [name, text] of files) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}

const pages = await allManPages(root);
writeFolder(`${root}/dist/man`, new Map(pages.map((page) => [manFile(page), manText(page)])));

const completions = await allCompletions();
writeFolder(
  `${root}/dist/completion`,
  new Map(
    completions.flatMap((completion) => [
      [`bash/${completion.program}`, bashText(completion)],
      [`zsh/_${completion.program}`, zshText(completion)],
    ]),
  ),
);
