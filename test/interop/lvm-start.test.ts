import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type Host, type Makers, originalsInstalled } from '../../src/rig/host.ts';
import { Rig, rigObstacle } from '../../src/rig/rig.ts';
import { type Outcome, until } from '../../src/rig/run.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'the originals are not installed');

const OURS: Makers = { sanlock: 'ours', lvmlockd: 'ours', lvmlockctl: 'original' };
const SEATS: readonly (readonly [string, Makers])[] = [
  ['ours', OURS],
  ['the original', { ...OURS, sanlock: 'original' }],
];
/** sanlock refuses the host id of a living host after 8·t + 60 s, and waits as long for a dead one. */
const IO_TIMEOUT_S = 2;
/** What lvmlockd does by itself takes less, also on a busy machine. */
const SOON = { withinMs: 60_000, everyMs: 250 };

class Case {
  readonly t: TestContext;
  readonly rig: Rig;

  constructor(t: TestContext, rig: Rig) {
    this.t = t;
    this.rig = rig;
  }

  get vg(): string {
    return this.rig.vg;
  }

  /** Of lvmlockd, since its first start. */
  log(host: Host): string {
    return readFileSync(join(this.rig.dir, host.name, 'log', 'lvmlockd.err'), 'latin1');
  }

  async tells(host: Host, pattern: RegExp, from = 0): Promise<void> {
    const isTold = () => pattern.test(this.log(host).slice(from));
    await until(`lvmlockd of ${host.name} says ${pattern}`, isTold, SOON);
  }

  /** The line of its lockspace in `sanlock client status`; '': it has none. */
  async inSanlock(host: Host): Promise<string> {
    const { stdout } = await host.run('/usr/sbin/sanlock', ['client', 'status']);
    return stdout.split('\n').find((line) => line.startsWith(`s lvm_${this.vg}:`)) ?? '';
  }

  async assertJoined(host: Host): Promise<void> {
    assert.match(await this.inSanlock(host), /lvmlock:0 *$/);
  }

  /** Behind the back of lvmlockd. */
  async removeLockspace(host: Host): Promise<void> {
    const place = `lvm_${this.vg}:${host.hostId}:/dev/mapper/${this.vg}-lvmlock:0`;
    const done = await host.run('/usr/sbin/sanlock', ['client', 'rem_lockspace', '-s', place]);
    assert.match(done.stdout, /rem_lockspace done 0/);
  }

  ctl(host: Host, ...args: readonly string[]): Promise<string> {
    return this.#ctl(host, host.program('lvmlockctl'), args);
  }

  ownCtl(host: Host, ...args: readonly string[]): Promise<string> {
    return this.#ctl(host, join(ROOT, 'bin', 'lvmlockctl'), args);
  }

  async #ctl(host: Host, program: string, args: readonly string[]): Promise<string> {
    const done = await host.run(program, args);
    assert.equal(done.code, 0, `lvmlockctl ${args.join(' ')}: ${said(done)}`);
    return done.stdout;
  }

  async lockWorks(host: Host): Promise<void> {
    await host.mustLvm('lvchange', '-aey', `${this.vg}/lv1`);
    await host.mustLvm('lvchange', '-an', `${this.vg}/lv1`);
  }
}

const said = ({ stdout, stderr }: Outcome): string => `${stdout}${stderr}`;

async function nothingHeld(of: Case): Promise<void> {
  const { t, rig, vg } = of;
  const host = rig.host(1);
  await t.test('a lockspace that somebody removes is noticed, and joined again', async () => {
    await of.removeLockspace(host);
    await of.tells(host, /lockspace\.missing .*locks=0/);
    await of.tells(host, /lockspace\.returned/);
    await of.assertJoined(host);
    await of.lockWorks(host);
  });
  await t.test('a start after that is no hollow one', async () => {
    await of.removeLockspace(host);
    await host.mustLvm('vgchange', '--lockstart', vg);
    await of.assertJoined(host);
    await of.lockWorks(host);
  });
  await t.test('a killed VG without locks is started', async () => {
    await of.ctl(host, '--kill', vg);
    await host.mustLvm('vgchange', '--lockstart', vg);
    await of.assertJoined(host);
    await of.lockWorks(host);
  });
}

async function duplicate(of: Case): Promise<void> {
  const { t, rig, vg } = of;
  await t.test('a host id that another host has is refused, with that name', async () => {
    const done = await rig.host(2).lvm('vgchange', '--lockstart', vg);
    assert.match(said(done), /invalid sanlock host_id/);
    assert.notEqual(done.code, 0);
    assert.ok(done.ms < SOON.withinMs, `after ${done.ms} ms`);
    await of.tells(rig.host(2), /host\.duplicate .*otherHost=host-1/);
    await of.lockWorks(rig.host(1));
  });
}

async function lockHeld(of: Case): Promise<void> {
  const { t, rig, vg } = of;
  const host = rig.host(1);
  await t.test('a removed lockspace with a lock is told, and there is a way back', async () => {
    await host.mustLvm('lvchange', '-aey', `${vg}/lv1`);
    const from = of.log(host).length;
    // sanlock waits for the lock, and tells lvmlockd that it loses the lockspace.
    const removal = of.removeLockspace(host);
    await of.tells(host, /lockspace\.(killed|beingLost) .*vg|lockspace\.missing .*locks=1/, from);
    console.error(of.log(host).slice(from));
    await of.ctl(host, '--drop', vg);
    await removal;
    console.error(of.log(host).slice(from));
    await host.mustLvm('vgchange', '--lockstart', vg);
    await of.assertJoined(host);
    await of.lockWorks(host);
  });
}

/** The other host dies, and sanlock waits for a host id until that host is surely dead. */
async function cancelled(of: Case): Promise<void> {
  const { t, rig, vg } = of;
  const host = rig.host(2);
  const orders: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['vgchange --lockstop', () => host.mustLvm('vgchange', '--lockstop', vg)],
    ['lvmlockctl --drop', () => of.ctl(host, '--drop', vg)],
    ['lvmlockctl -S -f of ours', () => of.ownCtl(host, '-S', '-f', '1')], // C refuses -f
  ];
  rig.host(1).crash();
  for (const [what, order] of orders) {
    await t.test(`${what} ends a start, and who waits for it is told`, async () => {
      const starter = host.lvm('vgchange', '--lockstart', vg);
      const joins = async () => (await of.inSanlock(host)).includes('ADD');
      await until('sanlock joins', joins, SOON);
      const beganMs = performance.now();
      await order();
      const done = await starter;
      assert.match(said(done), /start failed/);
      assert.ok(performance.now() - beganMs < SOON.withinMs);
      assert.doesNotMatch(await of.ctl(host, '-i'), /^VG /m);
      const isGone = async () => (await of.inSanlock(host)) === '';
      await until('sanlock has given it up', isGone, SOON);
    });
  }
  await t.test('the host that died comes back at once, with its host id', async () => {
    const back = rig.host(1);
    await back.startDaemons();
    const done = await back.lvm('vgchange', '--lockstart', vg);
    assert.equal(done.code, 0, said(done));
    await of.assertJoined(back);
    await of.lockWorks(back);
    assert.doesNotMatch(of.log(back), /host\.duplicate/);
  });
}

describe('starts of a VG', { skip: obstacle ?? false, concurrency: true }, () => {
  for (const [maker, makers] of SEATS) {
    test(`over the sanlock of ${maker}`, { timeout: 500_000 }, async (t) => {
      const bin = join(ROOT, 'bin');
      const hosts = [makers, makers];
      const rig = await Rig.create({ hosts, hostIds: [1, 1], bin, ioTimeoutS: IO_TIMEOUT_S });
      try {
        await Promise.all(rig.hosts.map((one) => one.startDaemons()));
        await rig.host(1).mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
        await rig.host(1).mustLvm('lvcreate', '-an', '-l', '1', '-n', 'lv1', rig.vg);
        const of = new Case(t, rig);
        await nothingHeld(of);
        await duplicate(of);
        await lockHeld(of);
        await cancelled(of);
      } finally {
        await rig.close();
      }
    });
  }
});
