import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import type { Finding } from '../../src/base/finding.ts';
import type { Host } from '../../src/rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { must, until } from '../../src/rig/run.ts';
import { SOON } from './guard-service.ts';
import { LIBVIRT_LOCKSPACE, Libvirt, whyNoLibvirt } from './libvirt-host.ts';

/** holdfast guard install, status, check and uninstall beside a real libvirtd, from nothing to nothing. */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const HOLDFAST = resolve(ROOT, 'bin/holdfast');
const HOOK = '/etc/libvirt/hooks/qemu.d/50-holdfast-guard';
const CONF = '/etc/holdfast/guard.conf';
const IO_TIMEOUT_S = 2;
const obstacle = rigObstacle() ?? whyNoLibvirt();

class Commands {
  readonly host: Host;
  #service: ChildProcess | null = null;

  constructor(host: Host) {
    this.host = host;
  }

  guard(...words: readonly string[]) {
    return this.host.run(HOLDFAST, ['guard', ...words]);
  }

  /** @returns what it prints */
  async does(status: number, ...words: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.guard(...words);
    assert.equal(code, status, `holdfast guard ${words.join(' ')}: ${stdout}${stderr}`);
    return `${stdout}${stderr}`;
  }

  async findings(status: number, ...words: readonly string[]): Promise<readonly string[]> {
    const said = await this.does(status, 'check', '--json', ...words);
    const { findings } = JSON.parse(said) as { readonly findings: readonly Finding[] };
    return findings.filter(({ weight }) => weight !== 'note').map(({ kind }) => kind);
  }

  async startService(): Promise<void> {
    this.#service = this.host.spawn(HOLDFAST, ['guard', 'serve'], ['ignore', 'ignore', 'inherit']);
    const isJoined = async () => (await this.guard('status')).code === 0;
    await until('the guard has joined the lockspace', isJoined, SOON);
  }

  async stopService(): Promise<void> {
    const child = this.#service;
    assert.ok(child !== null);
    const ended = new Promise((done) => child.once('exit', done));
    child.kill('SIGTERM');
    assert.equal(await ended, 0);
  }

  /** What stands in a file of the host; null: it is not there. */
  file(path: string): string | null {
    const at = this.host.path(path);
    return existsSync(at) ? readFileSync(at, 'utf8') : null;
  }
}

interface Parts {
  readonly guard: Commands;
  readonly libvirt: Libvirt;
  readonly leases: string;
}

test('the commands of the guard', { skip: obstacle ?? false, timeout: 900_000 }, async (t) => {
  const rig = await Rig.create({
    ...{ hosts: [ALL_OURS], bin: join(ROOT, 'bin'), ioTimeoutS: IO_TIMEOUT_S },
  });
  try {
    const { dir } = rig;
    const leases = join(dir, 'leases');
    mkdirSync(leases);
    const host = rig.host(1);
    await ownEtc(host, dir);
    await host.startSanlock();
    const how = { dir, leases, ioTimeoutS: IO_TIMEOUT_S, lockManager: 'nop' };
    const libvirt = await Libvirt.start(host, how);
    for (const name of ['web', 'db']) {
      const image = join(dir, `${name}.img`);
      writeFileSync(image, new Uint8Array(1 << 20));
      await libvirt.define(name, image);
    }
    const parts = { guard: new Commands(host), libvirt, leases };
    await t.test('install', () => installs(parts));
    await t.test('a start without the service', () => refused(parts));
    await t.test('status and check of a guest', () => shows(parts));
    await t.test('a guest lives on without the service', () => livesOn(parts));
    await t.test('uninstall', () => uninstalls(parts));
  } finally {
    await rig.close();
  }
});

/** What is written in /etc stays with the host. */
async function ownEtc(host: Host, dir: string): Promise<void> {
  const own = join(dir, 'own-etc');
  await must('nsenter', host.enter('cp', ['-a', '/etc', own]));
  await must('nsenter', host.enter('mount', ['--bind', own, '/etc']));
}

async function installs({ guard, libvirt }: Parts): Promise<void> {
  const before = await guard.findings(1);
  for (const kind of ['autoLeasesWithoutPlugin', 'noWatchdog', 'hookAbsent', 'serviceAbsent']) {
    assert.ok(before.includes(kind), `${kind} of ${before.join()}`);
  }
  assert.match(await guard.does(0, 'uninstall'), /^there is no hook of the guard/);
  const plan = await guard.does(0, 'install', '--dry-run');
  assert.match(plan, /would write the hook .*\nwould have libvirtd \(process \d+\) read its hooks/);
  assert.deepEqual([guard.file(HOOK), guard.file(CONF)], [null, null]);
  await libvirt.must('start', 'web');
  const said = await guard.does(0, 'install');
  assert.match(said, /^wrote \/etc\/holdfast\/guard\.conf, .*\nwrote the hook .*\nhad libvirtd/);
  assert.match(said, /once it runs: the guests that run now \(1\) have their leases then/);
  assert.equal(guard.file(CONF), readFileSync(join(ROOT, 'packaging/guard.conf'), 'utf8'));
  assert.equal(statSync(guard.host.path(HOOK)).mode & 0o7777, 0o755);
  assert.deepEqual(readdirSync(guard.host.path('/etc/libvirt/hooks')), ['qemu.d']);
  const again = await guard.does(0, 'install');
  assert.match(again, /guard\.conf is there already, and stays.*\nthe hook .* is there already\n/);
  const after = await guard.findings(1);
  for (const kind of ['hookAbsent', 'libvirtNotTold', 'hookOutdated']) {
    assert.ok(!after.includes(kind), after.join());
  }
  await libvirt.must('destroy', 'web');
}

async function refused({ guard, libvirt }: Parts): Promise<void> {
  assert.match(await guard.does(2, 'status'), /the guard service does not run: start it with/);
  // libvirtd reads its hooks beside what else it does.
  let said = '';
  const asks = async () => {
    const { code, stderr } = await libvirt.virsh('start', 'web');
    said = stderr;
    if (code === 0) await libvirt.must('destroy', 'web');
    return code !== 0;
  };
  await until('libvirtd asks the hook', asks, SOON);
  assert.match(
    said,
    /exit status 1: holdfast guard: the guard service does not run .*systemctl start/,
  );
}

async function shows({ guard, libvirt, leases }: Parts): Promise<void> {
  await guard.startService();
  assert.match(await guard.does(0, 'status'), /: joined\n\nno guests\n$/);
  await libvirt.must('start', 'web');
  const table = await guard.does(0, 'status');
  const pid = libvirt.qemuPid('web');
  assert.match(table, new RegExp(`^web +running +${pid} +\\d+ +vda +exclusive +exclusive +`, 'm'));
  const checked = await guard.does(0, 'check', 'web');
  assert.match(
    checked,
    /^guest web \(.*\), active on this host\n\nvda {2}file .*: protected by the/,
  );
  assert.match(
    checked,
    /exclusive {2}of \/.*web\.img +made +held by this host \(web, process \d+\)/,
  );
  const stopped = await guard.does(0, 'check', 'db');
  assert.match(stopped, /not active on this host\n\nvda .*\n.*not made yet +held by nobody/);
  assert.match(await guard.does(2, 'check', '../x'), /"..\/x" is no name of a guest/);
  assert.match(await guard.does(2, 'check', 'none'), /there is no guest none in/);
  const ofHost = await guard.findings(1);
  assert.ok(!ofHost.includes('serviceAbsent') && !ofHost.includes('confNotRead'), ofHost.join());
  assert.ok(readdirSync(leases).includes(LIBVIRT_LOCKSPACE));
}

async function livesOn({ guard, libvirt }: Parts): Promise<void> {
  const pid = libvirt.qemuPid('web');
  const isOutdated = async () => {
    writeFileSync(guard.host.path(CONF), guard.file(CONF) ?? '');
    return (await guard.guard('check', '--json', 'web')).stdout.includes('"confNotRead"');
  };
  await until('the service goes by an older configuration', isOutdated, SOON);
  await guard.stopService();
  assert.deepEqual(await guard.findings(1, 'web'), ['serviceAbsent']);
  await libvirt.kill();
  await libvirt.startAgain();
  // Which waits for the reconnection, and so for its hook.
  const status = ['qemu-monitor-command', 'web', '--hmp', 'info status'];
  assert.match(await libvirt.must(...status), /^VM status: running/, 'its hook has passed');
  assert.equal(libvirt.qemuPid('web'), pid);
  // Its hook gives a restarted service 5 s, and then lets libvirt go on.
  await libvirt.must('destroy', 'web');
  await guard.startService();
}

async function uninstalls({ guard, libvirt }: Parts): Promise<void> {
  await libvirt.must('start', 'web');
  const said = await guard.does(1, 'uninstall');
  assert.match(said, /guest web runs on this host: .* or give --force\n$/);
  assert.ok(guard.file(HOOK) !== null);
  await guard.does(0, 'uninstall', '--force');
  assert.equal(guard.file(HOOK), null);
  assert.ok(guard.file(CONF) !== null);
  await guard.stopService();
  await libvirt.must('start', 'db');
}
