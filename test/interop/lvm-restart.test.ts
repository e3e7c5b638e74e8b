import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { leaseTimes } from '../../src/lease/lease-times.ts';
import { type Daemon, type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { pause } from '../../src/rig/run.ts';
import { dropsVg, refused } from './mixture-scenario.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'the originals are not installed');

/** How the daemons of a host end while its LV is active, and how they come back. */
interface Order {
  readonly what: string;
  readonly ends: (host: Host) => Promise<void>;
  readonly comes: readonly Daemon[];
}

const bothAtOnce = async (host: Host): Promise<void> => {
  await Promise.all([host.kill('sanlock'), host.kill('lvmlockd')]);
};
const inTurn =
  (...order: readonly Daemon[]) =>
  async (host: Host): Promise<void> => {
    for (const daemon of order) await host.kill(daemon);
  };

const ORDERS: readonly Order[] = [
  {
    what: 'lvmlockd, then sanlock',
    ends: inTurn('lvmlockd', 'sanlock'),
    comes: ['sanlock', 'lvmlockd'],
  },
  {
    what: 'sanlock, then lvmlockd',
    ends: inTurn('sanlock', 'lvmlockd'),
    comes: ['lvmlockd', 'sanlock'],
  },
  { what: 'both at once', ends: bothAtOnce, comes: ['sanlock', 'lvmlockd'] },
  { what: 'sanlock alone', ends: inTurn('sanlock'), comes: ['sanlock'] },
];

async function comesBack(host: Host, order: Order): Promise<void> {
  for (const daemon of order.comes) {
    if (daemon === 'sanlock') await host.startSanlock();
    else await host.startLvmlockd();
  }
}

/** The administrator deactivates the LV, and has lvmlockd drop the VG. */
async function deactivates(rig: Rig, host: Host, lv: string, bySanlock: boolean) {
  await host.mustLvm('lvchange', '-an', lv);
  if (bySanlock) {
    await dropsVg(rig, host);
    return;
  }
  const dropped = await host.run(host.program('lvmlockctl'), ['--drop', rig.vg]);
  assert.equal(dropped.code, 0, `${host.name}: ${dropped.stdout}${dropped.stderr}`);
}

test('no order of deaths and starts frees an LV that is active here', {
  skip: obstacle ?? false,
  timeout: 600_000,
}, async () => {
  const hosts = [...ORDERS.map(() => ALL_OURS), ALL_OURS, ALL_ORIGINAL];
  const rig = await Rig.create({ hosts, bin: join(ROOT, 'bin'), ioTimeoutS: 2 });
  try {
    const users = rig.hosts.slice(0, ORDERS.length);
    const others = rig.hosts.slice(ORDERS.length);
    for (const host of rig.hosts) await host.startDaemons();
    const [first] = users;
    assert.ok(first !== undefined);
    await first.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
    for (const host of rig.hosts) {
      if (host !== first) await host.mustLvm('vgchange', '--lockstart', rig.vg);
    }
    const cases = ORDERS.flatMap((order, n) => {
      const host = users[n];
      return host === undefined ? [] : [{ order, host, lv: `${rig.vg}/lv${n}` }];
    });
    for (const [n, { host, lv }] of cases.entries()) {
      await first.mustLvm('lvcreate', '-an', '-L', '8m', '-n', `lv${n}`, rig.vg);
      await host.mustLvm('lvchange', '-aey', lv);
    }
    for (const { host, order } of cases) {
      await order.ends(host);
      await comesBack(host, order);
    }
    const restartedMs = performance.now();
    for (const { host, lv, order } of cases) {
      if (order.comes.includes('lvmlockd')) {
        const tried = await host.lvm('vgchange', '--lockstart', rig.vg);
        assert.match(`${tried.stdout}${tried.stderr}`, /Lock start failed/, order.what);
      }
      for (const other of others) await refused(other, '-aey', lv);
    }
    // Until a host that has been silent since then would surely count as dead.
    const leftMs = restartedMs + leaseTimes(rig.ioTimeoutS).hostDeadMs + 5000 - performance.now();
    await pause(Math.max(0, leftMs));
    for (const { lv } of cases) {
      for (const other of others) await refused(other, '-aey', lv);
    }
    for (const [n, { host, lv, order }] of cases.entries()) {
      await deactivates(rig, host, lv, order.what === 'both at once');
      const other = others[n % others.length];
      assert.ok(other !== undefined);
      await other.mustLvm('lvchange', '-aey', lv);
      await host.mustLvm('vgchange', '--lockstart', rig.vg);
      await refused(host, '-aey', lv);
      await other.mustLvm('lvchange', '-an', lv);
      await host.mustLvm('lvchange', '-aey', lv);
    }
  } finally {
    await rig.close();
  }
});
