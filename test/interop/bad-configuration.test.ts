import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Daemon, Host } from '../../src/rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';

/** What an administrator gets wrong, and whether the answer says what to do about it. */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const BIN = join(ROOT, 'bin');
const skip = rigObstacle() ?? false;

async function withRig(
  hostIds: readonly number[],
  use: (rig: Rig) => Promise<void>,
): Promise<void> {
  const hosts = hostIds.map(() => ALL_OURS);
  const rig = await Rig.create({ hosts, hostIds, bin: BIN, ioTimeoutS: 1 });
  try {
    await use(rig);
  } finally {
    await rig.close();
  }
}

async function said(host: Host, command: string, ...args: readonly string[]): Promise<string> {
  const outcome = await host.lvm(command, ...args);
  return `${outcome.stdout}${outcome.stderr}`;
}

/** The test writes a daemon's output to its file, a moment later. */
async function logged(
  where: { readonly rig: Rig; readonly host: Host; readonly daemon: Daemon },
  what: RegExp,
): Promise<void> {
  const file = join(where.rig.dir, where.host.name, 'log', `${where.daemon}.err`);
  await until(`${what} in the log`, () => what.test(readFileSync(file, 'utf8')), {
    withinMs: 10_000,
  });
}

test('no host_id: the refusal names the setting', { skip }, async () => {
  await withRig([0], async (rig) => {
    const host = rig.host(1);
    await host.startDaemons();
    const text = await said(host, 'vgcreate', '--shared', rig.vg, rig.lun.device);
    assert.match(text, /host_id, set in lvmlocal\.conf/);
  });
});

test('a host_id twice: the second host does not join, and is told whose it is', {
  skip,
}, async () => {
  await withRig([1, 1], async (rig) => {
    const [first, second] = [rig.host(1), rig.host(2)];
    for (const host of rig.hosts) await host.startDaemons();
    await first.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
    const text = await said(second, 'vgchange', '--lockstart', rig.vg);
    assert.match(text, /invalid sanlock host_id|failed/);
    const status = await second.run(second.program('sanlock'), ['client', 'status']);
    assert.doesNotMatch(status.stdout, /^s .*(?<!ADD|REM)$/m, 'not joined');
    const where = { rig, host: second, daemon: 'lvmlockd' } as const;
    await logged(where, /host\.duplicate.*hostId=1.*otherHost=host-1/);
    await first.mustLvm('lvcreate', '-an', '-L', '4m', '-n', 'lv1', rig.vg);
  });
});

test('no lvmlockd: lvm says that it is not running', { skip }, async () => {
  await withRig([1], async (rig) => {
    const host = rig.host(1);
    await host.startSanlock();
    const text = await said(host, 'vgcreate', '--shared', rig.vg, rig.lun.device);
    assert.match(text, /lvmlockd process is not running/);
  });
});

test('no sanlock: lvm names the lock manager, and our log what to start', { skip }, async () => {
  await withRig([1], async (rig) => {
    const host = rig.host(1);
    await host.startLvmlockd();
    const text = await said(host, 'vgcreate', '--shared', rig.vg, rig.lun.device);
    assert.match(text, /lock manager|sanlock/i);
    await logged({ rig, host, daemon: 'lvmlockd' }, /start/i);
  });
});

test('a wrong device, an unformatted area, a host id too large: the codes of the original', {
  skip,
}, async () => {
  await withRig([1], async (rig) => {
    const host = rig.host(1);
    await host.startSanlock();
    const sanlock = async (...words: readonly string[]): Promise<string> =>
      (await host.run(host.program('sanlock'), ['client', ...words])).stdout;
    const device = rig.lun.device;
    assert.match(await sanlock('add_lockspace', '-s', 'LS:1:/dev/absent:0'), /done -19/);
    assert.match(await sanlock('add_lockspace', '-s', `LS:1:${device}:0`), /done -223/);
    await sanlock('init', '-s', `LS:0:${device}:0`, '-o', '1');
    assert.match(await sanlock('add_lockspace', '-s', `LS:2001:${device}:0`), /done -231/);
    assert.match(await sanlock('add_lockspace', '-s', `XX:1:${device}:0`), /done -226/);
  });
});
