import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { leaseTimes } from '../../src/lease/lease-times.ts';
import { type Daemon, type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { pause, until } from '../../src/rig/run.ts';
import { refused } from './mixture-scenario.ts';

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
  { what: 'lvmlockd alone', ends: inTurn('lvmlockd'), comes: ['lvmlockd'] },
];

async function comesBack(host: Host, order: Order): Promise<void> {
  for (const daemon of order.comes) {
    if (daemon === 'sanlock') await host.startSanlock();
    else await host.startLvmlockd();
  }
}

/** The VG is started on this host, and was not started anew. */
async function isStarted(rig: Rig, host: Host): Promise<boolean> {
  const info = await host.run(host.program('lvmlockctl'), ['-i']);
  return info.stdout.includes(`VG ${rig.vg} `) && info.stdout.includes('LK LV ex');
}

test('daemons that die in any order leave an LV locked, and lvm works as before', {
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
      const isBack = () => isStarted(rig, host);
      await until(`the VG is started as before: ${order.what}`, isBack, { withinMs: 30_000 });
      for (const other of others) await refused(other, '-aey', lv);
    }
    // Until a host that has been silent since then would surely count as dead.
    const leftMs = restartedMs + leaseTimes(rig.ioTimeoutS).hostDeadMs + 5000 - performance.now();
    await pause(Math.max(0, leftMs));
    for (const { lv } of cases) {
      for (const other of others) await refused(other, '-aey', lv);
    }
    for (const [n, { host, lv }] of cases.entries()) {
      await host.mustLvm('vgchange', '--lockstart', rig.vg); // as a boot script would: it is started
      await host.mustLvm('lvchange', '-an', lv);
      const other = others[n % others.length];
      assert.ok(other !== undefined);
      await other.mustLvm('lvchange', '-aey', lv);
      await refused(host, '-aey', lv);
      await other.mustLvm('lvchange', '-an', lv);
      await host.mustLvm('lvchange', '-aey', lv);
    }
  } finally {
    await rig.close();
  }
});

test('lvm commands go on while sanlock is killed and started again under them', {
  skip: obstacle ?? false,
  timeout: 600_000,
}, async () => {
  const hosts = [ALL_OURS, ALL_OURS];
  const rig = await Rig.create({ hosts, bin: join(ROOT, 'bin'), ioTimeoutS: 4 });
  try {
    const [host, other] = [rig.host(1), rig.host(2)];
    const lv = `${rig.vg}/lv1`;
    for (const one of rig.hosts) await one.startDaemons();
    await host.mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
    await other.mustLvm('vgchange', '--lockstart', rig.vg);
    await host.mustLvm('lvcreate', '-aey', '-L', '8m', '-n', 'lv1', rig.vg);
    let commands = 0;
    let isOver = false;
    const works = async (): Promise<void> => {
      for (; !isOver; commands++) {
        await host.mustLvm('lvcreate', '-aey', '-L', '4m', '-n', `new${commands}`, rig.vg);
        await host.mustLvm('lvchange', '--addtag', `t${commands}`, lv);
        await host.mustLvm('lvremove', '-y', `${rig.vg}/new${commands}`);
      }
    };
    const dies = async (): Promise<void> => {
      for (let n = 0; n < 4; n++) {
        const before = commands;
        await until('a command more', () => commands > before, { withinMs: 60_000 });
        await pause(Math.random() * 500); // anywhere in the next one
        await host.kill('sanlock');
        await host.startSanlock();
        await refused(other, '-aey', lv);
      }
      isOver = true;
    };
    try {
      await Promise.all([works(), dies()]);
    } finally {
      isOver = true;
    }
    const tags = await other.mustLvm('lvs', '--noheadings', '-o', 'lv_tags', lv);
    const found = tags.trim().split(',');
    for (let n = 0; n < commands; n++) assert.ok(found.includes(`t${n}`), `${tags}: lost t${n}`);
    await host.mustLvm('lvchange', '-an', lv);
    await other.mustLvm('lvchange', '-aey', lv);
  } finally {
    await rig.close();
  }
});
