import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Host, type Makers, originalsInstalled, renamedVg } from '../../src/rig/host.ts';
import { Lun } from '../../src/rig/lun.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { numberOf, textOf } from '../../src/wire/lvmlockd/libdaemon.ts';
import { LvmlockdPeer } from './lvmlockd-peer.ts';

/**
 * Two VGs and one global lock, on two hosts (decision 0023): two of ours under lvm's commands, and
 * one of ours beside an original, by the requests that lvm sends.
 */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const SOCKET = '/run/lvm/lvmlockd.socket';
const LUN_MIB = 300;
const DUPLICATE = 'DUP_GL_LS';
/** A slot is read every 10 s, a host that stops is seen two renewals later; the machine is slow. */
const NOTICED_MS = 120_000;

const VGS = ['gla', 'glb'] as const;
type Vg = (typeof VGS)[number];

/** A command on a host. */
class Asker {
  readonly #peer: LvmlockdPeer;
  readonly #hostId: number;

  private constructor(peer: LvmlockdPeer, hostId: number) {
    this.#peer = peer;
    this.#hostId = hostId;
  }

  static async on(host: Host): Promise<Asker> {
    return new Asker(await LvmlockdPeer.connect(host.path(SOCKET)), host.hostId);
  }

  of(name: string, vg: Vg, opts = 'none', args = '1.0.0:lvmlock'): Promise<number> {
    const at = [
      ['vg_name', vg],
      ['vg_lock_type', 'sanlock'],
      ['vg_lock_args', args],
      ['vg_uuid', `uuid-of-${vg}`],
    ] as const;
    return this.#peer.ask(name, [...at, ['host_id', this.#hostId], ['opts', opts]]);
  }

  async start(...vgs: readonly Vg[]): Promise<void> {
    for (const vg of vgs) assert.equal(await this.of('start_vg', vg), 0, `${vg} is started`);
    assert.equal(await this.#peer.ask('start_wait', []), 0, `${vgs} are joined`);
  }

  /** Once: a refusal is not waited for. */
  gl(mode: 'ex' | 'sh' | 'un'): Promise<number> {
    return this.#peer.ask('lock_gl', [
      ['mode', mode],
      ['max_retries', 0],
    ]);
  }

  /** The flags of the reply to a VG lock. */
  async flags(vg: Vg): Promise<string> {
    this.#peer.send('lock_vg', [
      ['mode', 'sh'],
      ['vg_name', vg],
    ]);
    const fields = await this.#peer.fields();
    assert.equal(numberOf(fields, 'op_result', 9999), 0, `${vg} is locked`);
    const unlock = [['mode', 'un'] as const, ['vg_name', vg] as const];
    assert.equal(await this.#peer.ask('lock_vg', unlock), 0);
    return textOf(fields, 'result_flags');
  }

  close(): void {
    this.#peer.close();
  }
}

async function eventually(what: string, is: () => Promise<boolean>): Promise<void> {
  const untilMs = Date.now() + NOTICED_MS;
  while (!(await is())) {
    assert.ok(Date.now() < untilMs, what);
    await new Promise((go) => setTimeout(go, 300));
  }
}

/** None of the two gets it while the other has it. */
async function excludeEachOther(one: Asker, other: Asker): Promise<void> {
  for (const [first, second] of [
    [one, other],
    [other, one],
  ] as const) {
    assert.equal(await first.gl('ex'), 0);
    assert.equal(await second.gl('ex'), -11);
    assert.equal(await first.gl('un'), 0);
  }
}

async function twoGlobalLocks(one: Asker, other: Asker): Promise<void> {
  for (const vg of VGS) assert.equal(await one.of('init_vg', vg, 'enable', 'lvmlock'), 0);
  await Promise.all([one.start('gla', 'glb'), other.start('glb', 'gla')]);
  for (const asker of [one, other]) {
    for (const vg of VGS) {
      const isTold = async () => (await asker.flags(vg)).includes(DUPLICATE);
      await eventually(`the duplicate is told with ${vg}`, isTold);
    }
  }
  await excludeEachOther(one, other);

  assert.equal(await one.of('disable_gl', 'glb'), 0);
  await eventually('both know of the end', async () => {
    // An original reads the slot of the VG that is locked, and no other.
    const flags = [await other.flags('glb'), await other.flags('gla'), await one.flags('gla')];
    return flags.every((text) => !text.includes(DUPLICATE));
  });
  // An original answers -210 where the one that it remembered is disabled, and searches then.
  await eventually('the other one is found', async () => (await other.gl('sh')) === 0);
  assert.equal(await other.gl('un'), 0);
  await excludeEachOther(one, other);
}

/** gla is removed: glb carries it, and the command that removes gla has it until its end. */
async function moved(one: Asker, other: Asker): Promise<void> {
  assert.equal(await other.of('stop_vg', 'gla'), 0);
  assert.equal(await one.gl('ex'), 0);
  await eventually('gla is left', async () => (await one.of('free_vg', 'gla')) === 0);
  assert.equal(await other.gl('ex'), -11);
  assert.equal(await one.gl('un'), 0);
  await excludeEachOther(one, other);
  assert.equal(await one.flags('glb'), 'none');
}

async function requests(rig: Rig): Promise<void> {
  const askers: Asker[] = [];
  try {
    for (const host of rig.hosts) askers.push(await Asker.on(host));
    const [one, other] = askers;
    assert.ok(one !== undefined && other !== undefined);
    await twoGlobalLocks(one, other);
    await moved(one, other);
  } finally {
    for (const asker of askers) asker.close();
  }
}

/** lvm and lvmlockctl on a host that sees both LUNs. */
class Admin {
  readonly host: Host;
  readonly #config: string;

  constructor(host: Host, ...luns: readonly Lun[]) {
    this.host = host;
    const accepted = luns.map(({ device }) => `"a|^${device}$|"`).join(', ');
    this.#config = `devices { filter = [ ${accepted}, "r|.*|" ] }`;
  }

  async tries(command: string, ...args: readonly string[]) {
    const { code, stdout, stderr } = await (command === 'lvmlockctl'
      ? this.host.run(this.host.program('lvmlockctl'), args)
      : this.host.lvm(command, '--config', this.#config, ...args));
    return { isDone: code === 0, said: `${stdout}${stderr}` };
  }

  async does(command: string, ...args: readonly string[]): Promise<string> {
    const { isDone, said } = await this.tries(command, ...args);
    assert.ok(isDone, `${this.host.name}: ${command} ${args.join(' ')}: ${said}`);
    return said;
  }

  async refuses(command: string, ...args: readonly string[]): Promise<void> {
    assert.equal((await this.tries(command, ...args)).isDone, false, `${command} ${args}`);
  }

  eventually(command: string, ...args: readonly string[]): Promise<void> {
    const isDone = async () => (await this.tries(command, ...args)).isDone;
    return eventually(`${this.host.name}: ${command} ${args.join(' ')}`, isDone);
  }

  /** Whether `vgs` says something of this kind. */
  warns(of: RegExp, isSo: boolean): Promise<void> {
    const isWarned = async () => of.test((await this.tries('vgs')).said) === isSo;
    return eventually(
      `${this.host.name}: vgs ${isSo ? 'warns' : 'does not warn'}: ${of}`,
      isWarned,
    );
  }
}

async function commands(rig: Rig, second: Lun): Promise<void> {
  const [one, two] = rig.hosts.map((host) => new Admin(host, rig.lun, second));
  assert.ok(one !== undefined && two !== undefined);
  const [duplicate, any] = [/[Dd]uplicate sanlock global lock/, /[Gg]lobal lock/];
  assert.match(await one.does('vgcreate', '--shared', 'gla', rig.lun.device), /global lock/);
  assert.doesNotMatch(await one.does('vgcreate', '--shared', 'glb', second.device), any);
  await one.refuses('lvmlockctl', '--gl-enable', 'glb');

  // This host has not started gla, and cannot know.
  await two.does('vgchange', '--lockstart', 'glb');
  await two.does('lvmlockctl', '--gl-enable', 'glb');
  await one.warns(duplicate, true);
  await one.does('lvmlockctl', '--gl-disable', 'glb');
  await one.warns(any, false);
  await two.does('vgchange', '--lockstart', 'gla');
  await two.warns(any, false);

  const renamed = renamedVg('gla');
  // Its exit status is 0 also where it is refused, because another host is still seen.
  const isRenamed = async () => {
    return /successfully renamed/.test((await one.tries('vgrename', 'gla', renamed)).said);
  };
  await two.does('vgchange', '--lockstop', 'gla');
  await eventually('gla is renamed', isRenamed);
  await one.does('vgchange', '--lockstart', renamed);
  await one.warns(any, false);
  await one.eventually('vgchange', '-y', '--lock-type', 'none', renamed);
  for (const host of [one, two]) await host.warns(any, false); // it is in glb now
  await one.refuses('lvmlockctl', '--gl-enable', renamed);
  await two.does('vgchange', '--lockstop', 'glb');
  await one.eventually('vgremove', '-y', 'glb');
}

async function scenario(
  second: Makers,
  play: (rig: Rig, second: Lun) => Promise<void>,
): Promise<void> {
  const sizes = { ioTimeoutS: 2, mebibytes: LUN_MIB, vg: VGS[0] };
  const rig = await Rig.create({ hosts: [ALL_OURS, second], bin: join(ROOT, 'bin'), ...sizes });
  let lun: Lun | null = null;
  try {
    lun = await Lun.create(join(rig.dir, 'second'), LUN_MIB);
    for (const host of rig.hosts) {
      await host.run('ln', ['-s', lun.lvmlock, `/dev/mapper/${VGS[1]}-lvmlock`]);
    }
    await Promise.all(rig.hosts.map((host) => host.startDaemons()));
    await play(rig, lun);
  } finally {
    for (const host of rig.hosts) host.crash();
    await lun?.close();
    await rig.close();
  }
}

const missing = rigObstacle() ?? (originalsInstalled() ? null : 'the originals are not installed');
const where = { skip: missing ?? false, timeout: 400_000 };

test('lvm: a second global lock is told, and one whose VG goes moves', where, () =>
  scenario(ALL_OURS, commands),
);
test('two enabled global locks exclude a host of ours and an original, and move', where, () =>
  scenario(ALL_ORIGINAL, requests),
);
