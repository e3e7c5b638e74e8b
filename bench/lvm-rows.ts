import { resolve } from 'node:path';
import type { Host } from '../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig } from '../src/rig/rig.ts';
import { type Row, succeed } from './rows.ts';
import { median } from './statistics.ts';
import { BlockingLvmlockd } from './text-client.ts';

/** What an administrator waits for: lvmlockd and sanlock of one maker under unmodified lvm. */

export interface LvmOptions {
  readonly ours: boolean;
  /** Requests of each kind on the socket. */
  readonly calls: number;
  /** Runs of the commands. */
  readonly commands: number;
  /** LVs that are activated at once. */
  readonly lvs: number;
  /** LVs that each of two hosts makes at the same time. */
  readonly made: number;
}

const BIN = resolve('bin');
const IO_TIMEOUT_S = 3;

export async function lvmRows(options: LvmOptions): Promise<readonly Row[]> {
  const makers = options.ours ? ALL_OURS : ALL_ORIGINAL;
  const rig = await Rig.create({
    hosts: [makers, makers],
    bin: BIN,
    ioTimeoutS: IO_TIMEOUT_S,
    mebibytes: 3072,
    lvmlockMebibytes: 640,
  });
  try {
    const [a, b] = [rig.host(1), rig.host(2)];
    await Promise.all([a.startDaemons(), b.startDaemons()]);
    const rows: Row[] = [];
    rows.push(...(await create(rig, a)));
    rows.push(await timed('vgchange --lockstart, second host', () => start(rig, b)));
    await a.mustLvm('lvcreate', '-an', '-n', 'lv0', '-L', '4m', rig.vg);
    // A daemon runs for months: its first calls are not its speed.
    await socketRows(rig, a, options.calls);
    rows.push(...(await socketRows(rig, a, options.calls)));
    rows.push(await contended(rig, a, b));
    rows.push(...(await activation(rig, a, options.commands)));
    rows.push(await makeBoth(rig, [a, b], options.made));
    rows.push(...(await activateMany(rig, a, options.lvs - 2 * options.made)));
    return rows;
  } finally {
    await rig.close();
  }
}

/** Most of vgcreate is the join, of which 2·t are what any host must wait (spec 10 §5.2). */
async function create(rig: Rig, host: Host): Promise<readonly Row[]> {
  const made = await timed('vgcreate --shared, without the join', async () => {
    await host.mustLvm('vgcreate', '--shared', '--lockopt', 'nowait', rig.vg, rig.lun.device);
  });
  const joined = await timed('join of the first host', () => start(rig, host));
  return [made, { ...made, name: 'vgcreate --shared', value: made.value + joined.value }];
}

async function start(rig: Rig, host: Host): Promise<void> {
  await host.mustLvm('vgchange', '--lockstart', rig.vg);
}

async function timed(name: string, work: () => Promise<void>): Promise<Row> {
  const startMs = performance.now();
  await work();
  const value = performance.now() - startMs;
  console.error(name, value);
  return { name, unit: 'ms', value };
}

/** Between two requests the event loop reads what the daemons log, or they would wait. */
async function socketRows(rig: Rig, host: Host, count: number): Promise<readonly Row[]> {
  const client = new BlockingLvmlockd(host.path('/run/lvm/lvmlockd.socket'));
  const times = new Map<string, number[]>();
  const ask = async (name: string, request: string, mode: string) => {
    await new Promise(setImmediate);
    const startNs = process.hrtime.bigint();
    const result = client.ask(request, [
      ['mode', mode],
      ['opts', 'none'],
      ['vg_name', request === 'lock_gl' ? 'none' : rig.vg],
      ['vg_lock_type', 'sanlock'],
    ]);
    const tookUs = Number(process.hrtime.bigint() - startNs) / 1000;
    succeed(result, name);
    times.set(name, [...(times.get(name) ?? []), tookUs]);
  };
  for (let i = 0; i < count; i++) {
    await ask('lock_vg ex', 'lock_vg', 'ex');
    await ask('lock_vg un of ex', 'lock_vg', 'un');
  }
  for (let i = 0; i < count; i++) {
    await ask('lock_vg sh', 'lock_vg', 'sh');
    await ask('lock_vg un of sh', 'lock_vg', 'un');
  }
  for (let i = 0; i < count; i++) {
    await ask('lock_gl sh', 'lock_gl', 'sh');
    await ask('lock_gl un of sh', 'lock_gl', 'un');
  }
  client.close();
  const rows = [...times].map(([name, values]) => ({ name, value: median(values) }));
  const both = rows.filter(({ name }) => /^lock_vg (un of )?ex$/.test(name));
  rows.push({ name: 'lock_vg ex and un', value: both.reduce((sum, { value }) => sum + value, 0) });
  return rows.map(({ name, value }) => ({ name, unit: 'µs', value }));
}

/** One host keeps the VG lock; how long does a lock of an LV take while the other wants that one? */
async function contended(rig: Rig, a: Host, b: Host): Promise<Row> {
  const path = (host: Host) => host.path('/run/lvm/lvmlockd.socket');
  const holder = new BlockingLvmlockd(path(b));
  const waiter = new BlockingLvmlockd(path(a));
  const other = new BlockingLvmlockd(path(a));
  const vg = [
    ['opts', 'none'],
    ['vg_name', rig.vg],
    ['vg_lock_type', 'sanlock'],
  ] as const;
  succeed(holder.ask('lock_vg', [['mode', 'ex'], ...vg]), 'lock_vg of the holder');
  waiter.send('lock_vg', [['mode', 'ex'], ...vg]);
  const values: number[] = [];
  for (let i = 0; i < 20; i++) {
    const startMs = performance.now();
    succeed(
      other.ask('lock_gl', [
        ['mode', 'sh'],
        ['opts', 'none'],
        ['vg_name', 'none'],
      ]),
      'lock_gl',
    );
    succeed(
      other.ask('lock_gl', [
        ['mode', 'un'],
        ['opts', 'none'],
        ['vg_name', 'none'],
      ]),
      'lock_gl',
    );
    values.push(performance.now() - startMs);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  holder.close();
  waiter.close();
  other.close();
  return { name: 'GL beside a contended VG, longest', unit: 'ms', value: Math.max(...values) };
}

async function activation(rig: Rig, host: Host, count: number): Promise<readonly Row[]> {
  const values: number[] = [];
  for (let i = 0; i < count; i++) {
    const { value } = await timed('pair', async () => {
      await host.mustLvm('lvchange', '-aey', `${rig.vg}/lv0`);
      await host.mustLvm('lvchange', '-an', `${rig.vg}/lv0`);
    });
    values.push(value);
  }
  return [{ name: 'lvchange -aey and -an', unit: 'ms', value: median(values) }];
}

/** Both hosts make LVs in one VG at the same time. */
async function makeBoth(rig: Rig, hosts: readonly Host[], count: number): Promise<Row> {
  const make = async (host: Host) => {
    for (let i = 0; i < count; i++) {
      await host.mustLvm('lvcreate', '-an', '-n', `${host.name}-${i}`, '-L', '4m', rig.vg);
    }
  };
  return await timed(`lvcreate, ${count} on each of two hosts`, async () => {
    await Promise.all(hosts.map(make));
  });
}

async function activateMany(rig: Rig, host: Host, more: number): Promise<readonly Row[]> {
  for (let i = 0; i < more; i++) {
    await host.mustLvm('lvcreate', '-an', '-n', `more-${i}`, '-L', '4m', rig.vg);
  }
  const up = await timed('vgchange -aey of all LVs', async () => {
    await host.mustLvm('vgchange', '-aey', rig.vg);
  });
  const down = await timed('vgchange -an of all LVs', async () => {
    await host.mustLvm('vgchange', '-an', rig.vg);
  });
  return [up, down];
}
