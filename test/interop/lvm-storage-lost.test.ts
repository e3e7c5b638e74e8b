import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Daemon, Host } from '../../src/rig/host.ts';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { FailingWay, noHungFile } from './hung-file.ts';
import { refused } from './mixture-scenario.ts';
import { FakeWatchdog } from './wdmd-host.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const obstacle =
  rigObstacle() ??
  noHungFile() ??
  (originalsInstalled() ? null : 'the originals are not installed');

const LOST_MS = 60_000; //     16 s, and the start of lvmlockctl
const RETURNED_MS = 150_000; // the pauses between attempts, and a join

/** Two hosts of ours have each a way of its own to the LUN; the third is of the originals. */
class World {
  readonly ways: readonly [FailingWay, FailingWay];
  readonly rig: Rig;
  readonly watchdogs: readonly FakeWatchdog[];

  private constructor(rig: Rig, ways: World['ways'], watchdogs: readonly FakeWatchdog[]) {
    this.rig = rig;
    this.ways = ways;
    this.watchdogs = watchdogs;
  }

  static async create(): Promise<World> {
    const ways = [new FailingWay(), new FailingWay()] as const;
    const watchdogs = [await FakeWatchdog.start(), await FakeWatchdog.start()];
    const rig = await Rig.create({
      hosts: [ALL_OURS, ALL_OURS, ALL_ORIGINAL],
      bin: join(ROOT, 'bin'),
      ioTimeoutS: 2,
      watchdogs: [...watchdogs.map(({ path }) => path), null],
      ways: [...ways.map((way) => (image: string) => way.open(image)), null],
    });
    return new World(rig, ways, watchdogs);
  }

  async close(): Promise<void> {
    for (const way of this.ways) way.recover(); // a device that hangs cannot be closed
    await this.rig.close();
    for (const way of this.ways) way.close();
    for (const watchdog of this.watchdogs) watchdog.close();
  }

  log(host: Host, daemon: Daemon): string {
    return readFileSync(join(this.rig.dir, host.name, 'log', `${daemon}.err`), 'utf8');
  }

  hasLogged(host: Host, event: string): boolean {
    return this.log(host, 'lvmlockd').includes(`: ${event} vg=${this.rig.vg}`);
  }

  async ctl(host: Host, ...args: readonly string[]): Promise<string> {
    const done = await host.run(host.program('lvmlockctl'), args);
    assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
    return done.stdout;
  }
}

async function start(world: World): Promise<void> {
  const { rig } = world;
  for (const host of rig.hosts) await host.startDaemons();
  await rig.host(3).mustLvm('vgcreate', '--shared', rig.vg, rig.lun.device);
  for (const n of [1, 2]) {
    await rig.host(n).mustLvm('vgchange', '--lockstart', rig.vg);
    await rig.host(n).mustLvm('lvcreate', '-aey', '-L', '8m', '-n', `lv${n}`, rig.vg);
  }
}

/** Until the storage of that host is lost; what lvm holds there is held against others. */
async function lost(world: World, host: Host): Promise<void> {
  const isKilled = () => world.hasLogged(host, 'lockspace.killed');
  await until(`the loss of the VG on ${host.name}`, isKilled, { withinMs: LOST_MS });
  await refused(world.rig.host(3), '-aey', `${world.rig.vg}/lv${host.hostId}`);
}

/** lvm gives up when another host has the lock of the VG for some seconds. */
async function works(host: Host, ...command: readonly [string, ...string[]]): Promise<void> {
  const isDone = async () => (await host.lvm(...command)).code === 0;
  await until(`${command.join(' ')} on ${host.name}`, isDone, { withinMs: 60_000, everyMs: 500 });
}

/** The VG is started again by itself: an LV of it can be locked here, and then elsewhere. */
async function returned(world: World, host: Host): Promise<void> {
  const lv = `${world.rig.vg}/lv${host.hostId}`;
  const other = world.rig.host(3);
  const isBack = () => world.hasLogged(host, 'lockspace.returned');
  await until(`the return of the VG on ${host.name}`, isBack, { withinMs: RETURNED_MS });
  await works(host, 'lvchange', '-aey', lv);
  await refused(other, '-aey', lv);
  await works(host, 'lvchange', '-an', lv);
  await works(other, 'lvchange', '-aey', lv);
  await refused(host, '-aey', lv);
  const shown = await world.ctl(host, '-i');
  assert.match(shown, new RegExp(`^VG ${world.rig.vg} `, 'm'));
  assert.doesNotMatch(shown, /^ST/m);
}

/** Each request fails at once, and the kill command of lvm.conf takes the LVs down meanwhile. */
async function fails(world: World): Promise<void> {
  const { rig } = world;
  const [way] = world.ways;
  const host = rig.host(1);
  way.fail();
  await lost(world, host);
  const isDropped = () => world.hasLogged(host, 'lockspace.returns');
  await until('lvmlockctl to drop the VG', isDropped, { withinMs: LOST_MS });
  assert.equal(readFileSync(killedBy(rig), 'ascii'), `${rig.vg}\n`);
  const shown = await world.ctl(host, '-i');
  assert.match(shown, new RegExp(`^ST ${rig.vg} returning: .* starts it again by itself`, 'm'));
  assert.doesNotMatch(shown, /^VG/m);
  const isTried = async () => /failed \(\w+\)/.test(await world.ctl(host, '-i'));
  await until('an attempt without the storage', isTried, { withinMs: RETURNED_MS });
  way.recover();
  await returned(world, host);
}

/** Requests hang; an administrator takes the LV down when they do not any more. */
async function hangs(world: World): Promise<void> {
  const { rig } = world;
  const [, way] = world.ways;
  const host = rig.host(2);
  way.hang();
  await lost(world, host);
  const shown = await world.ctl(host, '-i');
  assert.match(shown, new RegExp(`^ST ${rig.vg} killed: .* Deactivate its LVs`, 'm'));
  way.recover();
  const tried = await host.lvm('vgchange', '--lockstart', rig.vg);
  assert.match(`${tried.stdout}${tried.stderr}`, new RegExp(`VG ${rig.vg} start failed: -217`));
  assert.notEqual(tried.code, 0);
  assert.match(world.log(host, 'lvmlockd'), /lockspace\.stillUsed .*deactivate the LVs/);
  await works(host, 'lvchange', '-an', `${rig.vg}/lv2`);
  await returned(world, host);
}

function killedBy(rig: Rig): string {
  return join(rig.dir, 'killed');
}

/** As a script that removes the devices of the VG's LVs would be set. */
function setKillCommand(rig: Rig, host: Host): void {
  const script = join(rig.dir, 'deactivate.sh');
  writeFileSync(script, `#!/bin/sh\necho "$@" >>${killedBy(rig)}\n`, { mode: 0o755 });
  const config = join(rig.dir, host.name, 'etc', 'lvm.conf');
  appendFileSync(config, `global/lvmlockctl_kill_command = "${script}"\n`);
}

test('a VG whose storage is lost and returns is started again by itself, on either host', {
  skip: obstacle ?? false,
  timeout: 600_000,
}, async (t: TestContext) => {
  const world = await World.create();
  try {
    setKillCommand(world.rig, world.rig.host(1));
    await start(world);
    assert.equal(existsSync(killedBy(world.rig)), false);
    const ends = await Promise.allSettled([fails(world), hangs(world)]);
    for (const n of [1, 2]) t.diagnostic(world.log(world.rig.host(n), 'lvmlockd'));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    for (const watchdog of world.watchdogs) {
      const words = watchdog.words();
      const at = words.indexOf('close'); // it would have fired 60 s after that
      assert.ok(at > 0 && words.indexOf('keepalive', at) > at, words.join(', '));
    }
    for (const n of [1, 2]) {
      const host = world.rig.host(n);
      assert.ok(host.alive('sanlock') && host.alive('lvmlockd') && host.alive('wdmd'));
    }
  } finally {
    await world.close();
  }
});
