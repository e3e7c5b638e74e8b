import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ownArchitecture } from '../../scripts/deb/koffi.ts';
import { BareCopy } from '../../src/rig/bare-copy.ts';
import { bareObstacle, type Release } from '../../src/rig/bare-root.ts';
import { holdfastDeb, nodeDeb, ROOT } from './deb-fixtures.ts';

/** The package, apt and dpkg, on bare Debian 12 and 13: no daemon runs, vm/debian has those. */
const APT = 'apt-get -y --no-install-recommends';
const UNITS = ['lvmlockd.service', 'lvmlocks.service', 'sanlock.service', 'wdmd.service'];
const RELEASES: readonly Release[] = [12, 13];

let folder = '';
let deb = '';
let later = '';
let node = '';

function obstacle(release: Release): string | false {
  if (process.getuid?.() !== 0) return 'only root may enter another root';
  if (ownArchitecture() !== 'amd64') return 'the bare Debians are of amd64';
  if (!existsSync(`${ROOT}/dist/holdfast.cjs`)) return 'not built yet: npm run build';
  return bareObstacle(release) ?? false;
}

before(() => {
  if (RELEASES.every((release) => obstacle(release) !== false)) return;
  folder = mkdtempSync(join(tmpdir(), 'holdfast-install-'));
  deb = holdfastDeb(folder);
  later = holdfastDeb(folder, '+1');
  node = nodeDeb(folder);
});
after(() => {
  if (folder !== '') rmSync(folder, { recursive: true, force: true });
});

/** In a copy of the release that has our packages in /srv, and whose apt can have them all. */
function inDebian(release: Release, name: string, body: (debian: BareCopy) => Promise<void>): void {
  test(`Debian ${release}: ${name}`, { skip: obstacle(release) }, async () => {
    const debian = await BareCopy.make(release);
    try {
      await debian.forbidDaemons();
      for (const file of [deb, later]) await debian.give(file);
      // What Debian 13 has, and NodeSource for Debian 12.
      if (release === 12) await debian.give(node);
      await body(debian);
    } finally {
      await debian.remove();
    }
  });
}

const OURS = './holdfast_0.1.0_amd64.deb';
const OUR_NEXT = './holdfast_0.1.0+1_amd64.deb';
const nodeOf = (release: Release) => (release === 12 ? './nodejs.deb' : '');
const enabled = (debian: BareCopy) =>
  debian.must(`for unit in ${UNITS.join(' ')}; do systemctl is-enabled $unit || true; done`);
const ALL_ENABLED = UNITS.map(() => 'enabled').join('\n');
/** All files that nobody counts among the leftovers of a package. */
const FILES = `find / -xdev -path /proc -prune -o -path /srv -prune -o -path /tmp -prune -o \\
  -path /var/lib/dpkg -prune -o -path /var/lib/apt -prune -o -path /var/cache -prune -o \\
  -path /var/log -prune -o -path '/etc/*-' -prune -o -print | sort
  cat /etc/passwd /etc/group /etc/shadow`;

/** The third of four is one that an administrator has disabled. */
const NOT_AT_BOOT = ALL_ENABLED.replace('enabled\nenabled', 'enabled\ndisabled');
const SETTINGS = 'cat /etc/default/sanlock /etc/sanlock/sanlock.conf';

async function installAndPurge(release: Release, debian: BareCopy): Promise<void> {
  await debian.must(`${APT} install ${release === 12 ? './nodejs.deb' : 'nodejs'}`);
  const before = await debian.must(FILES);
  await debian.must(`${APT} install ${OURS}`);
  const said = await debian.must(`holdfast version; sanlock version; lvmlockd -V; wdmd -V
    fence_sanlock -o metadata | head -3; holdfast explain -223 | head -1`);
  assert.match(said, /^holdfast 0\.1\.0\n3\.8\.5\nlvmlockd version/);
  assert.match(said, /-223/);
  assert.equal(await enabled(debian), ALL_ENABLED);
  assert.equal(await debian.must('dpkg --verify holdfast; dpkg --audit'), '');
  // Compiled for the Node.js that is there, and again for another.
  const compiled = 'ls -l --time-style=full-iso /usr/lib/holdfast/dist/*.v8cache';
  const first = await debian.must(compiled);
  assert.match(first, /sanlock-client\.\w+\.v8cache/);
  const again = `${APT} install --reinstall ${release === 12 ? './nodejs.deb' : 'nodejs'}`;
  assert.match(await debian.must(again), /^Processing triggers for holdfast/m);
  assert.notEqual(await debian.must(compiled), first);
  assert.match(await debian.must('id sanlock'), /\(sanlock\) gid=\d+\(sanlock\) .*\(disk\)$/);
  assert.match(await debian.must('sanlock daemon --check'), /its settings are sound/);

  // An upgrade asks nothing, and restores nothing that was deleted.
  await debian.must(`rm /etc/sanlock/sanlock.conf; systemctl disable lvmlocks 2>&1
    ${APT} install ${OUR_NEXT}`);
  assert.equal(await debian.must('ls /etc/sanlock'), '');
  assert.equal(await enabled(debian), NOT_AT_BOOT);
  assert.equal(await debian.must(`dpkg-query -W -f '\${Version}' holdfast`), '0.1.0+1');

  await debian.must(`echo 'our_host_name = me' >/etc/sanlock/sanlock.conf
    ${APT} purge holdfast`);
  assert.deepEqual((await debian.must(FILES)).split('\n'), before.split('\n'));
}

async function originalsAndBack(release: Release, debian: BareCopy): Promise<void> {
  await debian.must(`${APT} install sanlock lvm2-lockd sanlk-reset python3-sanlock
    echo 'sanlock_opts="-w 0 -H 1" # mine' >/etc/default/sanlock
    mkdir -p /etc/sanlock; echo 'our_host_name = me' >/etc/sanlock/sanlock.conf
    systemctl disable lvmlocks 2>&1`);
  const before = await debian.must(SETTINGS);
  // dpkg alone removes nothing: only apt finds out what has to go first.
  const alone = await debian.run(`dpkg -i ${OURS}`);
  assert.equal(alone.code, 1);
  assert.match(alone.stdout, /holdfast conflicts with sanlock/);

  const toOurs = `${APT} install ${OURS} ${nodeOf(release)}`;
  await debian.must(toOurs);
  assert.equal(await debian.must(SETTINGS), before);
  assert.equal(await enabled(debian), NOT_AT_BOOT);
  assert.equal(await debian.must('dpkg --verify holdfast'), '', 'all of its files are there');
  assert.match(await debian.must('readlink -f /usr/sbin/sanlock'), /holdfast/);
  assert.match(await debian.must('dpkg -s python3-sanlock'), /^Status: install ok installed$/m);

  await debian.must(`${APT} install sanlock lvm2-lockd`);
  assert.equal(await debian.must(SETTINGS), before);
  assert.equal(await enabled(debian), NOT_AT_BOOT);
  const changed = 'dpkg --verify sanlock lvm2-lockd | grep -v " c " || true';
  assert.equal(await debian.must(changed), '', 'all of their files are there');
  assert.equal(await debian.must('readlink -f /usr/sbin/sanlock'), '/usr/sbin/sanlock');

  await debian.must(`${APT} purge holdfast`);
  assert.equal(await debian.must(SETTINGS), before, 'they are settings of the originals, too');
  assert.equal(await enabled(debian), NOT_AT_BOOT);
  assert.match(await debian.must('id sanlock'), /\(disk\)/);

  // Purged while ours are there, the originals would take their user, and disable the units.
  await debian.must(toOurs);
  await debian.must(`${APT} purge sanlock lvm2-lockd`);
  assert.match(await debian.must('id sanlock'), /\(sanlock\) gid=\d+\(sanlock\) .*\(disk\)$/);
  assert.equal(await enabled(debian), ALL_ENABLED);
  assert.equal(await debian.must('dpkg --verify holdfast'), '');
}

for (const release of RELEASES) {
  inDebian(release, 'installed, upgraded and purged, which leaves nothing', (debian) =>
    installAndPurge(release, debian),
  );
  inDebian(release, 'the originals, ours, and back: settings are kept', (debian) =>
    originalsAndBack(release, debian),
  );
}

inDebian(12, 'without a newer Node.js it says what is missing, and where it is', async (debian) => {
  const byApt = await debian.run(`${APT} install ${OURS}`);
  assert.equal(byApt.code, 100);
  assert.match(byApt.stdout, /holdfast : Depends: nodejs \(>= 20\.19\) but /);
  const byDpkg = await debian.run(`dpkg -i ${OURS}`);
  assert.equal(byDpkg.code, 1);
  assert.match(
    byDpkg.stdout,
    /holdfast: it needs Node\.js 20\.19 or newer as the package nodejs, and /,
  );
  assert.match(byDpkg.stdout, /holdfast depends on nodejs \(>= 20\.19\)/);
  // What is half installed goes away again.
  await debian.must('dpkg --purge holdfast');
  const described = await debian.must(`dpkg-deb -f ${OURS} Description`);
  assert.match(described, /Debian 12 has version 18: install nodejs/);
});

/** What `npm install -g` and `holdfast install-units` leave: units that name /usr/local/bin. */
const BY_NPM = `mkdir npm-units
for unit in $(dpkg -L holdfast | grep 'system/.*\\.service$'); do
  sed s,/usr/sbin/,/usr/local/bin/, $unit >npm-units/$(basename $unit)
done`;

inDebian(13, 'purged behind an installation by npm, it leaves what that uses', async (debian) => {
  await debian.must(`${APT} install ${OURS}; ${BY_NPM}; ${APT} remove holdfast`);
  await debian.must(`cp npm-units/* /etc/systemd/system/; mkdir -p /run/sanlock /run/holdfast /etc/holdfast
    systemctl enable ${UNITS.join(' ')} 2>&1; touch /run/sanlock/sanlock.sock /etc/holdfast/guard.conf`);
  const before = await debian.must(`${FILES}; cat /etc/sanlock/sanlock.conf`);
  assert.equal(await enabled(debian), ALL_ENABLED);
  await debian.must(`${APT} purge holdfast`);
  const after = await debian.must(`${FILES}; cat /etc/sanlock/sanlock.conf`);
  assert.deepEqual(
    before
      .split('\n')
      .filter((line) => !after.includes(line) && !line.startsWith('/var/lib/systemd/deb-')),
    [],
  );
  assert.equal(await enabled(debian), ALL_ENABLED);
});

/** Programs that note how they are called, and end with the status that the test gives them. */
const STUBS = `mkdir -p stubs /run/systemd/system
for name in systemctl deb-systemd-invoke holdfast; do
  printf '%s\\n' '#!/bin/sh' 'echo "$(basename $0) $*" >>/srv/called' \\
    'case "$*" in unused) exit $UNUSED ;; upgrade*) echo too late; exit $UPGRADE ;; esac' >stubs/$name
  chmod +x stubs/$name
done
rm -f called`;

inDebian(13, 'its scripts stop no daemon that is in use', async (debian) => {
  await debian.must(`${APT} install ${OURS}; ${STUBS}`);
  const script = async (name: string, words: string, statuses: string) => {
    const asked = `DPKG_MAINTSCRIPT_PACKAGE=holdfast PATH=/srv/stubs:$PATH ${statuses}`;
    const path = `${asked} /var/lib/dpkg/info/holdfast.${name} ${words}`;
    const { code, stdout } = await debian.run(`: >called; ${path}`);
    const told = 'invoke|upgrade|systemctl start|restart';
    const called = await debian.must(`grep -E "${told}" called || true`);
    return { code, said: stdout.trim(), called: called.split('\n') };
  };
  const stop = 'deb-systemd-invoke stop lvmlockd.service sanlock.service wdmd.service';
  const start = 'deb-systemd-invoke start wdmd.service sanlock.service lvmlockd.service';
  const again = 'systemctl start wdmd sanlock lvmlockd';
  const upgrade = 'holdfast upgrade wdmd sanlock lvmlockd';
  const page = 'deb-systemd-invoke restart holdfast-serve.service';
  const configure = 'configure 0.1.0';

  const idle = await script('postinst', configure, 'UNUSED=0 UPGRADE=1');
  assert.deepEqual([idle.code, idle.called], [0, [stop, start, again, page]]);
  const used = await script('postinst', configure, 'UNUSED=1 UPGRADE=0');
  assert.deepEqual([used.code, used.called], [0, [upgrade, start, again, page]]);
  // Refused: it says so, and leaves them alone.
  const refused = await script('postinst', configure, 'UNUSED=1 UPGRADE=1');
  assert.deepEqual([refused.code, refused.called], [0, [upgrade, page]]);
  assert.match(refused.said, /^too late$/m);
  assert.match(refused.said, /^holdfast: the daemons above run on as they are/m);

  // Not to be asked is no better than in use.
  for (const status of [1, 2, 127]) {
    const kept = await script('prerm', 'remove', `UNUSED=${status} UPGRADE=1`);
    assert.deepEqual([kept.code, kept.called], [1, ['']], `${status}`);
    assert.match(kept.said, /^holdfast: not removed, as this host would be reset/m);
  }
  const removed = await script('prerm', 'remove', 'UNUSED=0 UPGRADE=1');
  assert.equal(removed.code, 0);
  assert.match(
    removed.called[0] ?? '',
    /^deb-systemd-invoke stop .*sanlock\.service wdmd\.service$/,
  );
  for (const words of ['upgrade 0.1.0+1', 'deconfigure in-favour other 1']) {
    const goesOn = await script('prerm', words, 'UNUSED=1 UPGRADE=1');
    assert.deepEqual([goesOn.code, goesOn.called], [0, ['']], words);
  }
  const goesOn = await script('postinst', 'abort-upgrade 0.1.0+1', 'UNUSED=0 UPGRADE=0');
  assert.deepEqual([goesOn.code, goesOn.called], [0, ['']]);
  // What was to take its place could not be unpacked: prerm, above, had stopped all of it.
  const inFavour = 'abort-remove in-favour sanlock 1';
  const stays = await script('postinst', inFavour, 'UNUSED=0 UPGRADE=0');
  assert.equal(stays.code, 0);
  assert.match(stays.called.join(), /^systemctl start wdmd\.service sanlock\.service lvmlockd\./);
  // Refused, it has stopped nothing, and nothing is started.
  await script('prerm', 'remove', 'UNUSED=1 UPGRADE=0');
  const refusedAgain = await script('postinst', 'abort-remove', 'UNUSED=0 UPGRADE=0');
  assert.deepEqual([refusedAgain.code, refusedAgain.called], [0, ['']]);
});
