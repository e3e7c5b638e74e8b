import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Snapshot } from '../../src/inspect/snapshot/snapshot.ts';
import { type Host, type Maker, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { must, type Outcome, until } from '../../src/rig/run.ts';
import { HELD_ELSEWHERE, LIBVIRT_LOCKSPACE, type Libvirt, whyNoLibvirt } from './libvirt-host.ts';
import { startLibvirts, untilHeldBy } from './libvirt-rig.ts';
import { refused } from './mixture-scenario.ts';
import { FakeWatchdog, whyNoWdmd } from './wdmd-host.ts';

// The steps of docs/operations/migrate.md: a cluster of the originals becomes ours and back, host by
// host; what `holdfast` says before and after each host is what the page says.

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const HOLDFAST = join(ROOT, 'bin/holdfast');
const originals = originalsInstalled() ? null : 'the originals are not installed';
const obstacle = rigObstacle() ?? whyNoWdmd() ?? originals;
const SOON = { withinMs: 60_000 };
const NAMES = ['alpha', 'beta', 'gamma'];

const holdfast = (host: Host, ...words: readonly string[]): Promise<Outcome> =>
  host.run(HOLDFAST, words);

/** It must say that all is well. */
async function isWell(host: Host, ...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await holdfast(host, ...words);
  assert.equal(code, 0, `${host.name}: holdfast ${words.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** Nothing needs anybody, and every host is seen to renew. */
async function allLive(host: Host, hosts: number): Promise<Snapshot> {
  let seen: Snapshot | null = null;
  const areLive = async () => {
    const { code, stdout } = await holdfast(host, 'status', '--json');
    seen = JSON.parse(stdout) as Snapshot;
    const live = seen.lockspaces[0]?.members.filter(({ state }) => state === 'live') ?? [];
    return live.length === hosts && code === 0; // lvm may be late on a busy machine
  };
  await until(`${host.name} sees ${hosts} hosts renew, and nothing else`, areLive, SOON);
  assert.ok(seen !== null);
  return seen;
}

/** What the page has administrators look at before and after each host. */
async function looksWell(rig: Rig, host: Host, maker: Maker): Promise<void> {
  const seen = await allLive(host, rig.hosts.length);
  const isOriginal = maker === 'original';
  const expected = ['wdmd', 'sanlock', 'lvmlockd'].map((name) => [name, 'running', isOriginal]);
  const found = seen.daemons.map(({ name, state, isOriginal: is }) => [name, state, is]);
  assert.deepEqual(found, expected, host.name);
  const { hostId } = host;
  assert.deepEqual([seen.host.hostId, seen.watchdog.state], [hostId, 'on'], host.name);
}

/** Its programs by those of another maker: exchange.md, "sanlock, wdmd and lvmlockd of one host". */
async function exchange(rig: Rig, host: Host, maker: Maker): Promise<void> {
  await isWell(host, 'leave', '--yes');
  await isWell(host, 'unused');
  for (const daemon of ['lvmlockd', 'sanlock', 'wdmd'] as const) await host.kill(daemon, 'SIGTERM');
  for (const program of ['sanlock', 'lvmlockd', 'lvmlockctl'] as const) {
    host.setMaker(program, maker);
  }
  await host.startDaemons();
  await host.mustLvm('vgchange', '--lockstart', rig.vg);
}

/** The LV of another host is refused and named; one of this host's own goes to the other and back. */
async function takesPart(rig: Rig, host: Host, other: Host): Promise<void> {
  const [kept, try1] = [`${rig.vg}/kept`, `${rig.vg}/try`];
  await refused(host, '-aey', kept);
  assert.match(await isWell(host, 'who', kept), new RegExp(`exclusive: ${other.name} \\(`));
  await host.mustLvm('lvcreate', '-aey', '-l', '1', '-n', 'try', rig.vg);
  await refused(other, '-aey', try1);
  assert.match(await isWell(other, 'who', try1), new RegExp(`exclusive: ${host.name} \\(`));
  await host.mustLvm('lvchange', '-an', try1);
  await other.mustLvm('lvchange', '-aey', try1);
  await other.mustLvm('lvremove', '-y', try1);
}

test('a cluster of the originals becomes ours host by host, and the originals again', {
  skip: obstacle ?? false,
  timeout: 900_000,
}, async (t) => {
  const watchdogs = await Promise.all(NAMES.map(() => FakeWatchdog.start()));
  const rig = await Rig.create({
    hosts: NAMES.map(() => ALL_ORIGINAL),
    hostNames: NAMES,
    bin: join(ROOT, 'bin'),
    ioTimeoutS: 1,
    watchdogs: watchdogs.map(({ path }) => path),
  });
  try {
    const [first, , last] = rig.hosts;
    assert.ok(first !== undefined && last !== undefined);
    for (const host of rig.hosts) await host.startDaemons();
    await last.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
    await last.mustLvm('lvcreate', '-aey', '-l', '1', '-n', 'kept', rig.vg);
    for (const host of rig.hosts) await host.mustLvm('vgchange', '--lockstart', rig.vg);
    for (const maker of ['ours', 'original'] as const) {
      for (const host of rig.hosts) {
        const before = maker === 'ours' ? 'original' : 'ours';
        await looksWell(rig, host, before);
        const keeper = host === last ? first : last;
        if (host === last) await moveKept(rig, last, first);
        await exchange(rig, host, maker);
        await looksWell(rig, host, maker);
        assert.doesNotMatch((await holdfast(host, 'doctor')).stdout, /PROBLEM/);
        await takesPart(rig, host, keeper);
        if (host === last) await moveKept(rig, first, last);
        t.diagnostic(`${host.name}: ${maker}`);
      }
    }
    for (const { words } of watchdogs.map((one) => ({ words: one.words() }))) {
      assert.ok(words.includes('write V'), 'wdmd ended in order, twice, and disarmed the device');
    }
  } finally {
    await rig.close();
    for (const watchdog of watchdogs) watchdog.close();
  }
});

async function moveKept(rig: Rig, from: Host, to: Host): Promise<void> {
  await from.mustLvm('lvchange', '-an', `${rig.vg}/kept`);
  await to.mustLvm('lvchange', '-aey', `${rig.vg}/kept`);
}

const GUEST = 'guest';
/** Of each host its own file: the lease goes by the path. */
const DISK = '/run/guest.img';

/** A host of guests: no guest, no lockspace of libvirt; and libvirtd again, which joins it anew. */
async function exchangeUnderLibvirt(rig: Rig, libvirt: Libvirt, maker: Maker): Promise<void> {
  const { host } = libvirt;
  const at = join(rig.dir, 'leases', LIBVIRT_LOCKSPACE);
  const unused = await holdfast(host, 'unused');
  assert.deepEqual(
    [unused.code, /lockspace __LIBVIRT__DISKS__ is joined/.test(unused.stdout)],
    [1, true],
  );
  await libvirt.kill(); // systemctl stop libvirtd
  const sanlock = host.program('sanlock');
  const left = await host.run(sanlock, [
    ...['client', 'rem_lockspace', '-s', `${LIBVIRT_LOCKSPACE}:${host.hostId}:${at}:0`],
  ]);
  assert.equal(left.code, 0, `${left.stdout}${left.stderr}`);
  await isWell(host, 'unused');
  await host.kill('sanlock', 'SIGTERM');
  host.setMaker('sanlock', maker);
  await host.startSanlock();
  await libvirt.startAgain();
}

test('a host of guests is exchanged while a guest runs on another, and gets it back', {
  skip: obstacle ?? whyNoLibvirt() ?? false,
  timeout: 900_000,
}, async () => {
  const rig = await Rig.create({
    hosts: [ALL_ORIGINAL, ALL_ORIGINAL],
    bin: join(ROOT, 'bin'),
    ioTimeoutS: 2,
  });
  try {
    mkdirSync(join(rig.dir, 'leases'), { recursive: true });
    const [one, two] = await startLibvirts(rig);
    assert.ok(one !== undefined && two !== undefined);
    const leases = join(rig.dir, 'leases');
    for (const libvirt of [one, two]) {
      await must('nsenter', libvirt.host.enter('truncate', ['-s', '1M', DISK]));
      await libvirt.define(GUEST, DISK);
    }
    for (const maker of ['ours', 'original'] as const) {
      await two.must('start', GUEST);
      await exchangeUnderLibvirt(rig, one, maker);
      assert.match(await one.refuses('start', GUEST), HELD_ELSEWHERE);
      await two.must('destroy', GUEST);
      await untilHeldBy(leases, DISK, []);
      await one.must('start', GUEST);
      assert.match(await two.refuses('start', GUEST), HELD_ELSEWHERE);
      await one.must('destroy', GUEST);
      await untilHeldBy(leases, DISK, []);
    }
  } finally {
    await rig.close();
  }
});
