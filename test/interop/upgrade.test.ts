import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { type Daemon, type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { type HungFile, noHungFile, startHungFile } from './hung-file.ts';
import { refused } from './mixture-scenario.ts';
import { makeArea } from './sanlock-daemons.ts';
import { holdfast, ownerOf, Supervisor } from './supervisor.ts';
import { FakeWatchdog, whyNoWdmd } from './wdmd-host.ts';
import { askWho } from './who-answers.ts';

/** `holdfast upgrade` without systemd: the test itself starts what has ended for its successor. */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle =
  rigObstacle() ?? whyNoWdmd() ?? (originalsInstalled() ? null : 'the originals are not installed');

test('holdfast upgrade replaces all three daemons under an active LV and a guest', {
  skip: obstacle ?? false,
  timeout: 600_000,
}, async (t) => {
  const watchdog = await FakeWatchdog.start();
  const rig = await Rig.create({
    hosts: [ALL_OURS, ALL_ORIGINAL],
    bin: join(ROOT, 'bin'),
    ioTimeoutS: 2,
    watchdogs: [watchdog.path, null],
  });
  try {
    await scenario(t, rig);
    assert.ok(!watchdog.words().includes('write V'), 'the device is never disarmed');
  } finally {
    await rig.close();
    watchdog.close();
  }
});

async function scenario(t: TestContext, rig: Rig): Promise<void> {
  const [host, other] = [rig.host(1), rig.host(2)];
  for (const one of rig.hosts) await one.startDaemons();
  const lv = `${rig.vg}/lv1`;
  await host.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
  await host.mustLvm('lvcreate', '-aey', '-L', '8m', '-n', 'lv1', rig.vg);
  await other.mustLvm('vgchange', '--lockstart', rig.vg);
  const area = makeArea(join(rig.dir, 'guests'), 3 * MIB);
  const { isHeld } = await startGuest(rig, host, area);
  const owner = ownerOf(area, MIB);
  const takers = async () => {
    const asked = [`LS:vm7:${area}:1M`, lv].map((lease) => askWho(other, lease, '--now'));
    return (await Promise.all(asked)).map(([one]) => one?.holders.map(({ takenBy }) => takenBy));
  };
  const before = await takers();
  assert.deepEqual(
    before.map((some) => some?.map((one) => one?.kind)),
    [['process'], ['lvm']],
  );

  const asked = await holdfast(host, 'upgrade', '--check');
  assert.equal(asked.code, 0, `${asked.stdout}${asked.stderr}`);
  assert.match(asked.stdout, /^wdmd, sanlock, lvmlockd can be restarted now: \d+ s are left/);

  const supervisor = new Supervisor(host);
  const done = await holdfast(host, 'upgrade');
  await supervisor.close();
  t.diagnostic(done.stdout);
  assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
  assert.deepEqual(supervisor.restarts, ['wdmd', 'sanlock', 'lvmlockd']);
  assert.match(done.stdout, /lockspace LS: 1 lease of 1 holder carried over/);
  assert.match(done.stdout, /1 VG with 1 LV lock carried over/);
  assert.doesNotMatch(done.stdout, /not carried over/);

  assert.ok(isHeld(), 'the guest runs');
  assert.deepEqual(ownerOf(area, MIB), owner, 'no generation, no version has changed');
  assert.deepEqual(await takers(), before, 'who took them, and when, stays on the disk');
  await refused(other, '-aey', lv);
  await host.mustLvm('lvchange', '-an', lv);
  await other.mustLvm('lvchange', '-aey', lv);
}

/** A process that has a lease in a lockspace of its own, as a guest has. */
async function startGuest(rig: Rig, host: Host, area: string) {
  const sanlock = async (...args: readonly string[]) => {
    const ran = await host.run(host.program('sanlock'), ['client', ...args]);
    assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
  };
  const lease = `LS:vm7:${area}:1M`;
  await sanlock('init', '-s', `LS:0:${area}:0`, '-o', `${rig.ioTimeoutS}`);
  await sanlock('init', '-r', lease);
  await sanlock('add_lockspace', '-s', `LS:1:${area}:0`, '-o', `${rig.ioTimeoutS}`);
  const mark = join(rig.dir, 'guest-runs');
  const guest = ['/bin/sh', '-c', `touch ${mark}; exec sleep 1000`];
  const child = host.spawn(host.program('sanlock'), [
    'client',
    'command',
    '-r',
    lease,
    '-c',
    ...guest,
  ]);
  await until('the guest', () => existsSync(mark), { withinMs: 20_000 });
  return { isHeld: () => child.exitCode === null && child.signalCode === null };
}

/** Refused from 41 to 80 s after the last renewal: time enough for two commands on a slow machine. */
const SLOW_IO_TIMEOUT_S = 10;

test('holdfast upgrade refuses while the storage is gone, and not when it has returned', {
  skip: obstacle ?? noHungFile() ?? false,
  timeout: 300_000,
}, async (t) => {
  const watchdog = await FakeWatchdog.start();
  const file = await startHungFile(3 * MIB);
  const rig = await Rig.create({
    hosts: [ALL_OURS],
    bin: join(ROOT, 'bin'),
    ioTimeoutS: SLOW_IO_TIMEOUT_S,
    watchdogs: [watchdog.path],
  });
  try {
    await refusedWithoutStorage(t, rig, file);
    assert.ok(!watchdog.words().includes('write V'), 'the device is never disarmed');
  } finally {
    file.recover(); // what waits in the kernel keeps its process from ending
    await rig.close();
    file.close();
    watchdog.close();
  }
});

async function refusedWithoutStorage(t: TestContext, rig: Rig, file: HungFile): Promise<void> {
  const host = rig.host(1);
  await host.startDaemons();
  const { isHeld } = await startGuest(rig, host, file.path);
  const isGood = async () => (await holdfast(host, 'upgrade', '--check')).code === 0;
  const healthy = await holdfast(host, 'upgrade', '--check');
  assert.equal(healthy.code, 0, `${healthy.stdout}${healthy.stderr}`);
  const before = seen(host);
  for (const daemon of ['lvmlockd', 'sanlock', 'wdmd'] as const)
    await refusedUnderHung(host, daemon);
  await until('a renewal', isGood, { withinMs: 60_000 });

  file.hang();
  let checked = healthy;
  const isRefused = async () => {
    checked = await holdfast(host, 'upgrade', '--check');
    return checked.code !== 0;
  };
  await until('a refusal', isRefused, { withinMs: 120_000 });
  const told = JSON.parse((await holdfast(host, 'upgrade', '--check', '--json')).stdout);
  assert.deepEqual([told.schema, told.isGood, told.restarts], ['holdfast.upgrade/1', false, []]);
  assert.match(told.obstacles[0].text, /\S/);
  const ordered = await holdfast(host, 'upgrade');
  assert.equal(ordered.code, 1, ordered.stdout);
  if (/lockspace LS is being lost/.test(ordered.stdout)) {
    // 8·t are over, and the guest is being stopped: refused for a later reason.
    t.diagnostic('this machine took longer than 4·t for two commands');
    return;
  }
  for (const { code, stdout } of [checked, ordered]) {
    assert.equal(code, 1, stdout);
    // The renewals that wdmd and sanlock know of are the same one, so it is refused by both.
    const found = [...stdout.matchAll(REFUSAL)].map(({ groups }) => groups ?? {});
    assert.equal(found.length, stdout.trimEnd().split('\n').length, stdout);
    assert.ok(found.length > 0);
    for (const { age, left } of found) {
      assert.equal(Number(age) + Number(left), 8 * SLOW_IO_TIMEOUT_S, stdout);
      assert.ok(Number(left) < 4 * SLOW_IO_TIMEOUT_S, stdout);
    }
  }
  assert.deepEqual(seen(host), before, 'the same daemons, all at work');
  assert.ok(isHeld(), 'the guest runs');

  file.recover();
  await until('a renewal', isGood, { withinMs: 60_000 });
  const supervisor = new Supervisor(host);
  const done = await holdfast(host, 'upgrade');
  await supervisor.close();
  assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
  assert.deepEqual(supervisor.restarts, ['wdmd', 'sanlock', 'lvmlockd']);
  assert.match(done.stdout, /lockspace LS: 1 lease of 1 holder carried over/);
  assert.ok(isHeld(), 'the guest runs');
}

/** A daemon that hangs would neither obey nor find the successor of another one. */
async function refusedUnderHung(host: Host, daemon: Daemon): Promise<void> {
  await host.kill(daemon, 'SIGSTOP');
  const { code, stdout } = await host.run(join(ROOT, 'bin/holdfast'), ['upgrade'], 60_000);
  await host.kill(daemon, 'SIGCONT');
  assert.equal(code, 1, stdout);
  assert.match(
    stdout,
    new RegExp(`^not now: ${daemon} \\(pid ${host.pid(daemon)}\\) runs and does`, 'm'),
  );
}

const REFUSAL =
  /^not now: (?:lockspace LS|the expiry of sanlock_LS:1 at wdmd) was renewed (?<age>\d+) s ago, (?<left>\d+) s of 80 are left, and a restart wants 40/gm;

/** What an order to end would change: processes, and what they leave for a successor. */
function seen(host: Host) {
  const daemons = (['wdmd', 'sanlock', 'lvmlockd'] as const).map(
    (name) => host.alive(name) && host.pid(name),
  );
  const files = ['/run/sanlock', '/run/wdmd', '/run/lvm'].map((folder) =>
    readdirSync(host.path(folder)).sort(),
  );
  return { daemons, files };
}
