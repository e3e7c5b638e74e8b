import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { ownArchitecture } from '../../scripts/deb/koffi.ts';
import { linksIn, readDocument } from '../../scripts/documents.ts';
import { EPOCH_S, holdfastDeb, ROOT } from './deb-fixtures.ts';

/** What the Debian package is made of, without installing it. */
const missing = existsSync('/usr/bin/dpkg-deb')
  ? ownArchitecture() === null && `there is no package for ${process.arch}`
  : 'dpkg-deb is not installed';
const here = { skip: missing };

let folder = '';
let deb = '';
/** Unpacked. */
let tree = '';

before(() => {
  if (missing) return;
  folder = mkdtempSync(join(tmpdir(), 'holdfast-contents-'));
  deb = holdfastDeb(folder);
  tree = join(folder, 'tree');
  said('dpkg-deb', ['--raw-extract', deb, tree]);
});
after(() => {
  if (folder !== '') rmSync(folder, { recursive: true, force: true });
});

function said(command: string, args: readonly string[]): string {
  const done = spawnSync(command, args, { encoding: 'utf8', timeout: 120_000 });
  assert.equal(done.status, 0, `${command} ${args.join(' ')}: ${done.stderr}`);
  return done.stdout;
}

/** Paths of files and links, as on the machine that installs it. */
function installed(): readonly string[] {
  return readdirSync(tree, { recursive: true, withFileTypes: true })
    .filter((one) => !one.isDirectory())
    .map((one) => join(one.parentPath, one.name).slice(tree.length))
    .filter((path) => !path.startsWith('/DEBIAN/'));
}

const text = (path: string) => readFileSync(join(tree, path), 'utf8');

test('two builds give the same bytes', here, () => {
  const again = holdfastDeb(join(folder, 'again'));
  assert.deepEqual(readFileSync(again), readFileSync(deb));
});

test(
  'everything belongs to root, has the time of the source, and others write nothing',
  here,
  () => {
    const listed = said('dpkg-deb', ['--contents', deb]).trim().split('\n');
    const wanted = new Date(EPOCH_S * 1000).toISOString().slice(0, 10);
    for (const line of listed) {
      assert.match(line, /^(-rw-r--r--|-rwxr-xr-x|drwxr-xr-x|lrwxrwxrwx) root\/root /);
      assert.equal(/ (\d{4}-\d\d-\d\d) /.exec(line)?.[1], wanted, line);
    }
  },
);

test('every program is on the PATH, and its launcher takes the Node.js it depends on', here, () => {
  const { bin } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8'));
  for (const name of Object.keys(bin)) {
    assert.ok(lstatSync(join(tree, 'usr/sbin', name)).isSymbolicLink(), name);
    assert.match(text(`/usr/sbin/${name}`), /^exec \/usr\/bin\/node /m);
    const program = `${name.replaceAll('_', '-')}.cjs`;
    assert.ok(existsSync(join(tree, 'usr/lib/holdfast/dist', program)), program);
  }
});

test('its units start programs that are in it', here, () => {
  const paths = new Set(installed());
  const units = readdirSync(`${ROOT}/packaging`).filter((name) => /\.(service|slice)$/.test(name));
  for (const unit of units) {
    const lines = text(`/usr/lib/systemd/system/${unit}`);
    assert.doesNotMatch(lines, /\/usr\/local/, unit);
    for (const [, path = ''] of lines.matchAll(/(\/usr\/sbin\/\S+)/g)) {
      assert.ok(paths.has(path), `${unit}: ${path}`);
    }
  }
});

test('one compiled part, of its architecture; nothing that only builders need', here, () => {
  const native = installed().filter((path) => path.endsWith('.node'));
  assert.equal(native.length, 1, native.join(' '));
  assert.match(native[0] ?? '', /\/koffi-linux-(x64|arm64)\/linux_\1\/koffi\.node$/);
  assert.deepEqual(
    installed().filter((path) => /\.(map|v8cache|ts|cc|hh)$/.test(path) && !/\.d\.ts$/.test(path)),
    [],
  );
});

test('no configuration file belongs to it: nobody is asked about one', here, () => {
  assert.ok(!existsSync(join(tree, 'DEBIAN/conffiles')));
  assert.deepEqual(
    installed().filter((path) => path.startsWith('/etc/')),
    [],
  );
  for (const name of ['sanlock', 'wdmd.d']) {
    assert.ok(existsSync(join(tree, 'etc', name)), name);
  }
});

test('the sums that dpkg --verify goes by are those of its files', here, () => {
  const sums = new Map(
    text('/DEBIAN/md5sums')
      .trim()
      .split('\n')
      .map((line) => [`/${line.slice(34)}`, line.slice(0, 32)]),
  );
  const files = installed().filter((path) => !lstatSync(join(tree, path)).isSymbolicLink());
  assert.deepEqual([...sums.keys()].sort(), [...files].sort());
  for (const [path, sum] of sums) {
    const bytes = readFileSync(join(tree, path));
    assert.equal(createHash('md5').update(bytes).digest('hex'), sum, path);
  }
});

test('maintainer scripts are small, of POSIX sh, and call what is there by then', here, () => {
  for (const name of ['preinst', 'postinst', 'prerm', 'postrm']) {
    said('dash', ['-n', join(tree, 'DEBIAN', name)]);
    const lines = text(`/DEBIAN/${name}`).split('\n');
    assert.deepEqual(lines.slice(0, 2), ['#!/bin/sh', 'set -e'], name);
    assert.ok(lines.length <= 110, `${name}: ${lines.length} lines`);
  }
  // Before it is unpacked, and when it is gone, there is no program of it.
  for (const name of ['preinst', 'postrm'])
    assert.doesNotMatch(text(`/DEBIAN/${name}`), /holdfast unused/);
});

test('it stands for the packages that it replaces, and apt removes them first', here, () => {
  const field = (name: string) => said('dpkg-deb', ['--field', deb, name]).trim();
  assert.match(field('Depends'), /^nodejs \(>= 20\.19\), /);
  assert.equal(
    field('Provides'),
    'sanlock (= 3.8.5), lvm2-lockd (= 2.03.16), sanlk-reset (= 3.8.5)',
  );
  assert.equal(field('Conflicts'), 'sanlock, lvm2-lockd, sanlk-reset');
  // With it, dpkg removes them after it has unpacked ours; on Debian 12 their /lib/systemd/system/sanlock.service
  // is our /usr/lib/systemd/system/sanlock.service.
  assert.equal(field('Replaces'), '');
});

test('the licences of all that is in it, and what has changed', here, () => {
  const copyright = text('/usr/share/doc/holdfast/copyright');
  assert.match(
    copyright,
    /^Format: https:\/\/www\.debian\.org\/doc\/packaging-manuals\/copyright-/,
  );
  const notice = readFileSync(`${ROOT}/NOTICE`, 'utf8');
  for (const [name] of notice.matchAll(/^\S+(?= \(https:.*\)$)/gm)) {
    assert.ok(copyright.includes(name), name);
  }
  assert.match(copyright, /Niels Martignène/);
  assert.ok(installed().includes('/usr/share/doc/holdfast/changelog.gz'));
});

test('who maintains it has an address that apt takes, and that is nobody’s', here, () => {
  const maintainer = said('dpkg-deb', ['--field', deb, 'Maintainer']).trim();
  // RFC 2606: no mail ever arrives at such a name, nor at somebody else.
  assert.match(maintainer, /^[\w ]+ <[a-z]+@[a-z]+\.invalid>$/);
  assert.match(text('/usr/share/doc/holdfast/copyright'), /^Upstream-Contact: \S/m);
});

test('links of the documents for administrators lead to files that are in it', here, () => {
  const doc = '/usr/share/doc/holdfast';
  const pages = readdirSync(join(tree, doc, 'operations')).map((name) => `operations/${name}`);
  assert.ok(pages.length > 15, pages.join(' '));
  const links = ['README.md', ...pages].flatMap((name) => {
    const folder = dirname(realpathSync(join(tree, doc, name)));
    return linksIn(readDocument(name, text(`${doc}/${name}`)))
      .filter(({ name: link }) => !link.startsWith('#'))
      .map(({ place, name: link }) => ({
        place,
        link,
        path: join(folder, link.split('#')[0] ?? ''),
      }));
  });
  assert.ok(links.length > 80, `${links.length} links were found`);
  const broken = links.filter(({ path }) => !existsSync(path));
  assert.deepEqual(
    broken.map(({ place, link }) => `${place}: ${link}`),
    [],
  );
});

test('man pages and completions that the build has made are in it', here, () => {
  const paths = new Set(installed());
  const made = (of: string) =>
    readdirSync(`${ROOT}/dist/${of}`, { recursive: true, encoding: 'utf8' });
  const pages = made('man').filter((name) => /\.[1-8]$/.test(name));
  assert.ok(pages.includes('man8/sanlock.8'));
  for (const page of pages) assert.ok(paths.has(`/usr/share/man/${page}.gz`), page);
  const folders = { bash: 'bash-completion/completions', zsh: 'zsh/vendor-completions' };
  for (const [shell, folder] of Object.entries(folders)) {
    const names = made(`completion/${shell}`);
    assert.ok(names.length > 0, shell);
    for (const name of names) assert.ok(paths.has(`/usr/share/${folder}/${name}`), name);
  }
});
