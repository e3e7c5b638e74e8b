import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { LvmlockdPeer } from './lvmlockd-peer.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const BIN = join(ROOT, 'bin');
const HOLDFAST = join(BIN, 'holdfast');
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'the originals are not installed');
const SOON = { withinMs: 120_000, everyMs: 20 };

interface Said {
  readonly state: string;
  readonly says: string;
  readonly isClear: boolean;
  readonly kind: string;
  readonly refusals: readonly string[];
  readonly steps: readonly { readonly what: string; readonly state: string }[];
  readonly findings: readonly { readonly kind: string; readonly weight: string }[];
}

async function asks(host: Host, ...words: readonly string[]): Promise<Said> {
  const done = await host.run(HOLDFAST, [...words, '--json'], 240_000);
  assert.notEqual(done.stdout, '', done.stderr);
  return JSON.parse(done.stdout) as Said;
}

function setUse(rig: Rig, host: Host, use: 0 | 1): void {
  const path = join(rig.dir, host.name, 'etc', 'lvm.conf');
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace(/use_lvmlockd = \d/, `use_lvmlockd = ${use}`));
}

/** A VG with an LV, from before there were shared VGs. */
async function localVg(rig: Rig): Promise<void> {
  const [a] = rig.hosts as [Host, Host];
  setUse(rig, a, 0);
  await a.mustLvm('vgcreate', rig.vg, rig.lun.device);
  const place = `${rig.lun.device}:200-250`; // the first extents are the larger free part, and where a rig has leases
  await a.mustLvm('lvcreate', '-an', '-Wn', '-Zn', '-l', '2', '-n', 'lv', rig.vg, place);
}

/** As clvmd left it: the flag comes into a backup of the metadata, which is put back. */
async function makeClustered(rig: Rig): Promise<void> {
  const [a] = rig.hosts as [Host, Host];
  await a.mustLvm('vgcfgbackup', '-f', '/run/metadata', rig.vg);
  const config =
    `devices { use_devicesfile=0 filter=["a|${rig.lun.device}|","r|.*|"] ` +
    'obtain_device_list_from_udev=0 } global { activation=0 }';
  const script = `sed -i '0,/"WRITE"/s//"WRITE", "CLUSTERED"/' /run/metadata
    yes | LVM_SYSTEM_DIR=/nonexistent lvm vgcfgrestore --config '${config}' -f /run/metadata ${rig.vg}`;
  const done = await a.run('/bin/sh', ['-c', script]);
  assert.match(done.stdout, /Restored volume group/, done.stderr);
}

/** Starts it, and kills it once it has printed that; what lvm does for it by then goes on. */
async function killedAt(host: Host, words: readonly string[], printed: RegExp): Promise<void> {
  const child = host.spawn(HOLDFAST, words, ['ignore', 'pipe', 'pipe']);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (bytes) => {
      output += bytes;
    });
  }
  const isSo = () => printed.test(output) || child.exitCode !== null;
  await until(`${words.join(' ')} to print ${printed}`, isSo, SOON);
  assert.equal(child.exitCode, null, output);
  child.kill('SIGKILL');
  await until('its end', () => child.signalCode !== null, SOON);
}

async function lockTypeOf(host: Host, vg: string): Promise<string> {
  const how = ['--readonly', '--shared', '--nolocking', '--noheadings', '-o', 'vg_lock_type'];
  return (await host.mustLvm('vgs', ...how, vg)).trim();
}

describe('holdfast preflight and convert', { skip: obstacle ?? false, concurrency: false }, () => {
  for (const [whose, makers] of [
    ['ours', ALL_OURS],
    ['the originals', ALL_ORIGINAL],
  ] as const) {
    test(`a clustered VG becomes a shared one and then local, killed between the steps: ${whose}`, {
      timeout: 400_000,
    }, async () => {
      const rig = await Rig.create({ hosts: [makers, makers], bin: BIN, ioTimeoutS: 1 });
      try {
        await localVg(rig);
        await preflights(rig);
        await becomesShared(rig);
        await becomesLocal(rig);
      } finally {
        await rig.close();
      }
    });
  }
});

async function preflights(rig: Rig): Promise<void> {
  const [a, b] = rig.hosts as [Host, Host];
  const bare = await asks(a, 'preflight', rig.vg);
  assert.deepEqual([bare.isClear, bare.kind], [false, 'local']);
  assert.deepEqual(
    bare.findings.map(({ kind }) => kind),
    ['hostNotReady', 'otherHosts', 'firstVg'],
  );
  setUse(rig, a, 1);
  await Promise.all([a.startDaemons(), b.startDaemons()]);
  const ready = await asks(a, 'preflight', rig.vg);
  // The hosts of a rig have no watchdog.
  assert.deepEqual(
    ready.findings.filter(({ weight }) => weight !== 'note').map(({ kind }) => kind),
    ['noWatchdog'],
  );
  const absent = await a.run(HOLDFAST, ['preflight', 'absent', '--json']);
  assert.equal(absent.code, 2, absent.stdout);
}

async function becomesShared(rig: Rig): Promise<void> {
  const { vg } = rig;
  const [a] = rig.hosts as [Host, Host];
  await makeClustered(rig);
  assert.equal((await asks(a, 'preflight', vg)).kind, 'clustered');
  const refused = await asks(a, 'convert', vg, '--yes');
  assert.match(refused.refusals.join(), /then say --inactive-elsewhere/);
  const words = ['convert', vg, '--yes', '--inactive-elsewhere'];
  const planned = await asks(a, 'convert', vg, '--inactive-elsewhere', '--dry-run');
  assert.deepEqual([planned.state, planned.steps.length], ['planned', 5]);
  assert.equal((await asks(a, 'preflight', vg)).kind, 'clustered', 'the plan changed nothing');

  await killedAt(a, words, /^\[1\/5\]/m);
  assert.equal(await lockTypeOf(a, vg), '');
  // In the midst of the second one: lvm waits for the leases.
  await a.kill('sanlock', 'SIGSTOP');
  const child = a.spawn(HOLDFAST, words);
  let lvmPids: readonly number[] = [];
  const formats = async () => {
    const { stdout } = await a.run('pgrep', ['-f', `^lvm vgchange.*sanlock.*${vg}`]);
    lvmPids = stdout.split('\n').filter(Boolean).map(Number);
    const lvs = await a.lvm('lvs', '--nolocking', '--noheadings', '-a', '-o', 'lv_name', vg);
    return lvmPids.length > 0 && lvs.stdout.includes('lvmlock');
  };
  await until('lvm to wait for the leases', formats, SOON);
  child.kill('SIGKILL');
  for (const pid of lvmPids) process.kill(pid, 'SIGKILL');
  await until('its end', () => child.signalCode !== null, SOON);
  await a.kill('sanlock', 'SIGCONT');
  const left = await asks(a, 'preflight', vg);
  assert.ok(left.findings.some(({ kind }) => kind === 'leftover'));
  await killedAt(a, words, /^\[2\/4\]/m);
  assert.equal(await lockTypeOf(a, vg), 'sanlock');

  const done = await asks(a, ...words);
  assert.equal(done.state, 'done', done.says);
  const again = await asks(a, ...words);
  assert.deepEqual([again.state, again.steps], ['done', []], again.says);
  await a.mustLvm('lvchange', '-aey', `${vg}/lv`);
  await a.mustLvm('lvchange', '-an', `${vg}/lv`);
}

/** lvm was ended when lvmlockd had given up the leases, and before it wrote the metadata. */
async function freedHalfWay(rig: Rig): Promise<void> {
  const { vg } = rig;
  const [a] = rig.hosts as [Host, Host];
  assert.equal((await asks(a, 'convert', vg, '--yes', '--inactive-elsewhere')).state, 'done');
  const peer = await LvmlockdPeer.connect(a.path('/run/lvm/lvmlockd.socket'));
  const vgName = ['vg_name', vg] as const;
  assert.equal(await peer.ask('lock_gl', [['mode', 'ex']]), 0);
  assert.equal(await peer.ask('lock_vg', [['mode', 'ex'], vgName]), 0);
  const args = [['vg_lock_type', 'sanlock'] as const, ['vg_lock_args', '1.0.0:lvmlock'] as const];
  assert.equal(await peer.ask('free_vg', [vgName, ...args]), 0);
  peer.close();
  const back = await asks(a, 'convert', vg, '--yes');
  assert.equal(back.state, 'done', back.says);
  assert.equal(back.steps.length, 5);
  const local = await asks(a, 'convert', vg, '--lock-type', 'none', '--yes');
  assert.equal(local.state, 'done', local.says);
}

async function becomesLocal(rig: Rig): Promise<void> {
  const { vg } = rig;
  const [a, b] = rig.hosts as [Host, Host];
  await b.mustLvm('vgchange', '--lock-start', vg);
  const words = ['convert', vg, '--lock-type', 'none', '--yes'];
  const withOther = await asks(a, ...words);
  assert.match(withOther.refusals.join(), /host host-2 \(host id 2\) has VG \S+ started/);
  await b.mustLvm('vgchange', '--lock-stop', vg);
  await a.mustLvm('lvchange', '-aey', `${vg}/lv`);
  const inUse = await asks(a, ...words);
  assert.match(inUse.refusals.join(), /LV \S+\/lv is locked \(ex\) here/);
  await a.mustLvm('lvchange', '-an', `${vg}/lv`);
  await a.mustLvm('vgchange', '--lock-stop', vg);
  await killedAt(a, words, /^\[1\/2\]/m);
  const done = await asks(a, ...words);
  assert.equal(done.state, 'done', done.says);
  assert.equal(await lockTypeOf(a, vg), '');
  await freedHalfWay(rig);
  assert.equal((await asks(a, ...words)).state, 'done');
}
