import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { file, program } from '../../scripts/deb/entries.ts';
import { ownArchitecture } from '../../scripts/deb/koffi.ts';
import { buildDeb, packEntries } from '../../scripts/deb/package.ts';

export const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
/** Any time: the same in every package of a test. */
export const EPOCH_S = 1_700_000_000;

/** Our package. @param suffix of a later version: `+1` */
export function holdfastDeb(folder: string, suffix = ''): string {
  const architecture = ownArchitecture();
  if (architecture === null) throw new Error(`there is no package for ${process.arch}`);
  return buildDeb({ root: ROOT, architecture, folder, epochS: EPOCH_S, suffix });
}

/** A package `nodejs` of this machine's Node, as NodeSource's has that name on Debian 12. */
export function nodeDeb(folder: string): string {
  const path = join(folder, 'nodejs.deb');
  const version = process.version.slice(1);
  const control = `Package: nodejs
Version: ${version}-1fixture
Architecture: ${ownArchitecture()}
Maintainer: nobody <nobody@localhost>
Description: Node.js of the machine that runs the tests
`;
  const node = { ...program('/usr/bin/node', ''), bytes: readFileSync(process.execPath) };
  packEntries([node, file('/DEBIAN/control', control)], path, EPOCH_S, 'none');
  return path;
}
