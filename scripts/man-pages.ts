import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { manText } from '../src/cli/frame/man.ts';
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
