import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './initramfs.ts';

const MKFS = '/usr/sbin/mkfs.ext4';
/** Room for the programs, and for what fills memory with pages that wait to be written. */
const IMAGE_BYTES = '3G';

/** Where our programs are in that root. */
export const PROGRAMS = '/holdfast';

/**
 * An ext4 image with a root of its own: Node, the libraries it wants, and our programs. A daemon
 * that runs from it has a root disk which can be filled, slowed and cut off.
 */
export function makeOwnRoot(image: string): void {
  const root = mkdtempSync('/var/tmp/holdfast-root-');
  try {
    for (const name of ['proc', 'sys', 'dev', 'run', 'tmp', 'var/log', 'etc']) {
      mkdirSync(join(root, name), { recursive: true });
    }
    for (const path of [process.execPath, ...librariesOf(process.execPath)]) {
      const to = join(root, path);
      mkdirSync(dirname(to), { recursive: true });
      cpSync(path, to, { dereference: true });
    }
    writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n');
    writeFileSync(join(root, 'etc/group'), 'root:x:0:\n');
    for (const name of ['package.json', 'dist', 'node_modules/koffi', 'node_modules/@koromix']) {
      cpSync(join(ROOT, name), join(root, PROGRAMS, name), { recursive: true });
    }
    execFileSync(MKFS, ['-q', '-F', '-d', root, image, IMAGE_BYTES]);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Absolute paths, the dynamic linker among them. */
function librariesOf(program: string): readonly string[] {
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' });
  return [...listed.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path ?? '');
}
