import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { textToName } from '../../src/base/bytes.ts';
import { leaseResource } from '../../src/programs/guard-leases.ts';
import { type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { pause, until } from '../../src/rig/run.ts';
import { addLockspace } from '../../src/wire/sanlock/daemon-calls.ts';
import { acquire } from '../../src/wire/sanlock/lease-calls.ts';
import { explained, GuardedHost, NbdServer } from './guard-host.ts';
import { SOON } from './guard-service.ts';
import { LIBVIRT_LOCKSPACE, whyNoLibvirt } from './libvirt-host.ts';
import { migrate, startSanlocks } from './libvirt-rig.ts';
import { clientOf } from './sanlock-clients.ts';

/**
 * A guest with a network disk is migrated, and in the middle of it something ends. A third host
 * asks for its lease all the time.
 */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const originals = originalsInstalled() ? null : 'the originals are not installed';
const obstacle = rigObstacle() ?? originals ?? whyNoLibvirt();
const IO_TIMEOUT_S = 4;
const WEB = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';

interface Two {
  readonly rig: Rig;
  readonly a: GuardedHost;
  readonly b: GuardedHost;
  readonly thief: Thief;
}

test('migrations that fail', { skip: obstacle ?? false, timeout: 900_000 }, async (t) => {
  const hosts = [ALL_OURS, ALL_ORIGINAL, ALL_OURS];
  const rig = await Rig.create({ hosts, bin: join(ROOT, 'bin') });
  const { dir } = rig;
  const storage = NbdServer.start(dir, 1);
  let thief: Thief | null = null;
  try {
    const leases = await startSanlocks(rig);
    const options = { dir, leases, ioTimeoutS: IO_TIMEOUT_S };
    const [a, b] = await Promise.all([
      GuardedHost.start(rig.host(1), options),
      GuardedHost.start(rig.host(2), options),
    ]);
    for (const one of [a, b]) {
      await one.define({ name: 'web', uuid: WEB, disks: [storage.disk(0)] });
    }
    await a.libvirt.must('start', 'web');
    const name = (await a.report())?.guests[0]?.leases[0]?.name ?? '';
    thief = await Thief.start(rig.host(3), leases, name);
    const two = { rig, a, b, thief };
    await t.test('none of these', () => explained([a, b], () => migrated(two)));
    await t.test('given up by the target', () => explained([a, b], () => givenUp(two)));
    await t.test('started instead', () => explained([a, b], () => startedInstead(two)));
    await t.test('the target’s QEMU is killed', () => explained([a, b], () => targetKilled(two)));
    await t.test('the source’s guard is killed', () => explained([a, b], () => guardKilled(two)));
    await t.test('the source’s QEMU is killed', () => explained([a, b], () => sourceKilled(two)));
  } finally {
    thief?.stop();
    storage.close();
    await rig.close();
  }
});

/** Wants the lease exclusively, again and again. */
class Thief {
  tries = 0;
  /** Answers but for refusals. */
  readonly got: number[] = [];
  #isWanted = true;

  static async start(host: Host, leaseDir: string, name: string): Promise<Thief> {
    const socketPath = textToName(host.path('/run/sanlock/sanlock.sock'));
    const client = clientOf({ socketPath });
    const path = textToName(join(leaseDir, LIBVIRT_LOCKSPACE));
    const space = { name: LIBVIRT_LOCKSPACE, hostId: BigInt(host.hostId), path, offset: 0n };
    const joined = await client.call(addLockspace(space, { ioTimeoutS: IO_TIMEOUT_S }));
    assert.ok(joined.ok);
    const session = await client.registerProcess();
    assert.ok(session.ok);
    const thief = new Thief();
    const resource = leaseResource({ lockspace: LIBVIRT_LOCKSPACE, leaseDir }, name);
    void (async () => {
      while (thief.#isWanted) {
        const answer = await session.value.call(acquire([resource], { ownerNowait: true }));
        thief.tries++;
        if (answer.ok) thief.got.push(thief.tries);
        await pause(50);
      }
    })();
    return thief;
  }

  stop(): void {
    this.#isWanted = false;
  }
}

async function migrated({ a, b, rig, thief }: Two): Promise<void> {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const { code, stderr } = await migrate(from.libvirt, to.libvirt, 'web', rig);
    assert.equal(code, 0, stderr);
    await to.untilAlone('web');
    await from.untilWithout('web');
  }
  assert.deepEqual(thief.got, []);
}

/** @returns in the middle: the target’s QEMU waits for the guest, and both hosts have the lease */
async function middle({ a, b, rig }: Two) {
  const held = b.holdAt('started');
  const ending = migrate(a.libvirt, b.libvirt, 'web', rig);
  const hook = await held;
  // The source hears of its conversion when the target may have seen it on the disk already.
  await until('the source lends it', async () => (await a.held('web')) === 'lent', SOON);
  assert.equal(await b.held('web'), 'shared');
  return { ending, hook };
}

async function givenUp(two: Two): Promise<void> {
  const { a, b, thief } = two;
  const { ending, hook } = await middle(two);
  hook.go('failed');
  assert.notEqual((await ending).code, 0);
  await a.untilAlone('web');
  await b.untilWithout('web');
  assert.deepEqual(thief.got, []);
}

/** libvirt has announced a migration to the target, and starts the guest there itself. */
async function startedInstead({ a, b, rig, thief }: Two): Promise<void> {
  const held = b.holdAt('migrate');
  const ending = migrate(a.libvirt, b.libvirt, 'web', rig);
  const hook = await held;
  const isLent = async () => (await a.held('web')) === 'lent';
  await until('it is lent', isLent, SOON);
  const { code } = await b.libvirt.virsh('start', 'web');
  assert.notEqual(code, 0, 'libvirt found it ended before its CPUs ran');
  assert.match(b.log, /guest\.conflict .*guest=web .*code=-11/);
  await b.untilWithout('web');
  hook.go('failed');
  assert.notEqual((await ending).code, 0);
  await a.untilAlone('web');
  assert.deepEqual(thief.got, []);
}

async function targetKilled(two: Two): Promise<void> {
  const { a, b, thief } = two;
  const { ending, hook } = await middle(two);
  process.kill(b.libvirt.qemuPid('web'), 'SIGKILL');
  hook.go('on');
  assert.notEqual((await ending).code, 0);
  await a.untilAlone('web');
  await b.untilWithout('web');
  assert.deepEqual(thief.got, []);
}

async function guardKilled(two: Two): Promise<void> {
  const { a, b, thief } = two;
  const { ending, hook } = await middle(two);
  await a.killGuard();
  hook.go('on');
  a.startGuard();
  const { code, stderr } = await ending;
  assert.equal(code, 0, stderr);
  await b.untilAlone('web');
  await a.untilWithout('web');
  assert.equal((await migrate(b.libvirt, a.libvirt, 'web', two.rig)).code, 0);
  await a.untilAlone('web');
  assert.deepEqual(thief.got, []);
}

/** Then it runs nowhere, and its lease is anybody's. */
async function sourceKilled(two: Two): Promise<void> {
  const { a, b, thief } = two;
  const { ending, hook } = await middle(two);
  assert.deepEqual(thief.got, []);
  process.kill(a.libvirt.qemuPid('web'), 'SIGKILL');
  hook.go('on');
  assert.notEqual((await ending).code, 0);
  await until('the third host has it', () => thief.got.length > 0, SOON);
  for (const one of [a, b]) await one.untilWithout('web');
  assert.ok(thief.tries > 50, `${thief.tries} tries`);
}
