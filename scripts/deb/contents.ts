import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Entry, file, folder, link, program } from './entries.ts';
import { type Architecture, koffiEntries } from './koffi.ts';

/** Where the programs are; /usr/sbin has links to them. */
const PROGRAMS = '/usr/lib/holdfast';
const UNITS = '/usr/lib/systemd/system';
const DOCUMENTS = `${PROGRAMS}/docs`;
const DOC = '/usr/share/doc/holdfast';
const EXAMPLES = `${DOC}/examples`;
/**
 * Of what is built: what no user runs (maps), what fits one version of Node alone, and what has a
 * place of its own.
 */
const LEFT_OUT = /\.(map|v8cache)$|^(man|completion)\//;
/** Documents beside docs that those in it, and the readme, refer to. */
const REFERRED_TO = ['ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'];
const AS_NPM_INSTALLS = '/usr/local/bin/';

/** All files of the Debian package of a built tree. */
export function contents(root: string, architecture: Architecture): readonly Entry[] {
  const entries = [
    ...programs(root),
    ...koffiEntries(root, `${PROGRAMS}/node_modules`, architecture),
    ...units(root),
    ...documents(root),
    ...manPages(root),
    ...completions(root),
    // `holdfast guard install` and the first installation begin with them; /usr/share/doc may be left out.
    ...['guard.conf', 'sanlock.conf'].map((name) =>
      file(`${PROGRAMS}/packaging/${name}`, read(root, `packaging/${name}`)),
    ),
    folder('/etc/sanlock'),
    folder('/etc/wdmd.d'),
  ];
  return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function read(root: string, path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** Every file below a folder, by its path within; none if there is no such folder. */
function filesBelow(path: string): readonly string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name).slice(path.length + 1))
    .sort();
}

function programs(root: string): Entry[] {
  const names = readdirSync(join(root, 'bin')).filter((name) => name !== 'package.json');
  const built = filesBelow(join(root, 'dist')).filter((name) => !LEFT_OUT.test(name));
  if (!built.includes('holdfast.cjs')) throw new Error('dist is not built: npm run build');
  return [
    file(`${PROGRAMS}/package.json`, read(root, 'package.json')),
    file(`${PROGRAMS}/bin/package.json`, read(root, 'bin/package.json')),
    ...names.flatMap((name) => [
      program(`${PROGRAMS}/bin/${name}`, ofDebiansNode(read(root, `bin/${name}`))),
      link(`/usr/sbin/${name}`, `../lib/holdfast/bin/${name}`),
    ]),
    ...built.map((name) =>
      file(`${PROGRAMS}/dist/${name}`, readFileSync(join(root, 'dist', name))),
    ),
  ];
}

/** The Node.js that the package depends on, whatever else root's PATH has. */
function ofDebiansNode(launcher: string): string {
  const changed = launcher.replace(/^exec node /m, 'exec /usr/bin/node ');
  if (changed === launcher) throw new Error('the launcher of bin has no line "exec node"');
  return changed;
}

function units(root: string): Entry[] {
  return readdirSync(join(root, 'packaging'))
    .filter((name) => /\.(service|slice)$/.test(name))
    .map((name) => {
      const text = read(root, `packaging/${name}`);
      return file(`${UNITS}/${name}`, text.replaceAll(AS_NPM_INSTALLS, '/usr/sbin/'));
    });
}

function documents(root: string): Entry[] {
  const examples = [
    ...['sanlock.conf', 'lvmlockd.default', 'lvm/lvm.conf', 'lvm/lvmlocal.conf'],
    ...['prometheus/alerts.yml', 'grafana/holdfast.json'],
  ];
  return [
    file(`${DOC}/copyright`, copyright(root)),
    file(`${DOC}/changelog.gz`, gzipSync(read(root, 'CHANGELOG.md'), { level: 9 })),
    file(`${DOC}/README.md`, read(root, 'README.md')),
    // `holdfast explain` reads some of them; /usr/share/doc may be left out of an installation.
    ...filesBelow(join(root, 'docs')).map((name) =>
      file(`${DOCUMENTS}/${name}`, readFileSync(join(root, 'docs', name))),
    ),
    ...REFERRED_TO.map((name) => file(`${PROGRAMS}/${name}`, read(root, name))),
    ...['docs', ...REFERRED_TO].map((name) =>
      link(`${DOC}/${name}`, `../../../lib/holdfast/${name}`),
    ),
    link(`${DOC}/operations`, 'docs/operations'),
    ...examples.map((name) => file(`${EXAMPLES}/${name}`, read(root, `packaging/${name}`))),
  ];
}

/** Debian's machine-readable form; each bundled package with its licence, as NOTICE has it. */
function copyright(root: string): string {
  const koffi = read(root, 'node_modules/koffi/LICENSE.txt');
  const indented = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`))
      .join('\n');
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: holdfast
Upstream-Contact: the issues of its repository; for vulnerabilities as SECURITY.md says

Files: *
Copyright: the holdfast project
License: Apache-2.0
 On Debian systems /usr/share/common-licenses/Apache-2.0 has the whole text.
Comment:
${indented(read(root, 'NOTICE'))}

Files: usr/lib/holdfast/node_modules/*
Copyright: Niels Martignène
License: MIT
${indented(koffi)}
`;
}

/** `dist/man/man8/holdfast.8`, compressed as Debian wants them. */
function manPages(root: string): Entry[] {
  const from = join(root, 'dist/man');
  return filesBelow(from).flatMap((path) => {
    const section = /\.([1-8])$/.exec(path)?.[1];
    if (section === undefined) return [];
    const to = `/usr/share/man/man${section}/${basename(path)}.gz`;
    return [file(to, gzipSync(readFileSync(join(from, path)), { level: 9 }))];
  });
}

/** `dist/completion/bash/NAME` and `dist/completion/zsh/_NAME`. */
function completions(root: string): Entry[] {
  const from = (shell: string) => join(root, 'dist/completion', shell);
  const copied = (shell: string, to: string) =>
    filesBelow(from(shell)).map((name) =>
      file(`${to}/${basename(name)}`, readFileSync(join(from(shell), name))),
    );
  return [
    ...copied('bash', '/usr/share/bash-completion/completions'),
    ...copied('zsh', '/usr/share/zsh/vendor-completions'),
  ];
}
