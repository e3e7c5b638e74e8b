import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bashText } from '../src/cli/frame/completion-bash.ts';
import { zshText } from '../src/cli/frame/completion-zsh.ts';
import { manText } from '../src/cli/frame/man.ts';
import { allCompletions } from './completions.ts';
import { allManPages, manFile } from './manual.ts';

/**
 * Writes what a package installs for readers and shells: `dist/man/man8/NAME.8`,
 * `dist/man/man5/NAME.5`, `dist/completion/bash/NAME` and `dist/completion/zsh/_NAME`. npm installs
 * the pages that package.json lists, so a page of a new command is entered there.
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

const manifest = `${root}/package.json`;
const before = readFileSync(manifest, 'utf8');
const listed = {
  ...JSON.parse(before),
  man: pages.map((page) => `./dist/man/${manFile(page)}`).sort(),
};
const after = `${JSON.stringify(listed, null, 2)}\n`;
if (after !== before) writeFileSync(manifest, after);

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
