import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { textToName } from '../../src/base/bytes.ts';
import { MIB } from '../../src/base/units.ts';
import type { DiskLease } from '../../src/guard/lease-names.ts';
import {
  type Holdings,
  type LeaseSteps,
  lend,
  reclaim,
  releaseAll,
  releaseOrphans,
  survey,
  type Taken,
} from '../../src/guard/lease-steps.ts';
import { takeAll, takeLent } from '../../src/guard/take-steps.ts';
import { MonotonicClock } from '../../src/platform/clock.ts';
import { daemonSockets } from '../../src/platform/daemon-sockets.ts';
import { NodePlainFiles } from '../../src/platform/plain-files.ts';
import { GuardLeaseFiles } from '../../src/programs/guard-lease-files.ts';
import { GuardLeases, type KeptGuest } from '../../src/programs/guard-leases.ts';
import type { Host } from '../../src/rig/host.ts';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { writeLockspace } from '../../src/wire/sanlock/area-calls.ts';
import { addLockspace } from '../../src/wire/sanlock/daemon-calls.ts';
import { LIBVIRT_LOCKSPACE } from './libvirt-host.ts';
import { clientOf } from './sanlock-clients.ts';

/** A guest's leases over real daemons, from its start through a migration to its end. */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const UUID = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';
const IO_TIMEOUT_S = 2;
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'the originals are not installed');
const LEASES: readonly DiskLease[] = ['a', 'b'].map((letter) => ({
  ...{ name: letter.repeat(32), key: `/srv/${letter}.img`, target: `vd${letter}` },
  mode: 'exclusive',
}));

class Guarded {
  readonly #leases: GuardLeases;
  readonly #guest: KeptGuest;

  constructor(host: Host, of: { leaseDir: string; keeperPid: number; uuid?: string }) {
    const clock = new MonotonicClock();
    const socketPath = textToName(host.path('/run/sanlock/sanlock.sock'));
    const sanlock = { socketPath, sockets: daemonSockets(), clock };
    const at = { lockspace: LIBVIRT_LOCKSPACE, leaseDir: of.leaseDir, hostId: host.hostId };
    const owners = { uid: null, gid: null, ioTimeoutS: IO_TIMEOUT_S };
    const files = new GuardLeaseFiles({
      ...{ sanlock, ...at, ...owners },
      files: new NodePlainFiles(),
    });
    this.#leases = new GuardLeases({ clock, sanlock, files, ...at });
    this.#guest = { uuid: of.uuid ?? UUID, name: 'web', keeperPid: of.keeperPid };
  }

  run<T>(steps: LeaseSteps<T>): Promise<T> {
    return new Promise((resolve) => this.#leases.run(this.#guest, steps, resolve));
  }
}

async function keeperOn(host: Host): Promise<number> {
  const args = [join(ROOT, 'dist/guard-keeper.cjs'), '/bin/true', 'lost'];
  const child = host.spawn(process.execPath, args, ['ignore', 'pipe', 'inherit']);
  assert.ok(child.stdout !== null);
  const [said] = await once(child.stdout, 'data');
  assert.equal(`${said}`, 'ready\n');
  return child.pid ?? 0;
}

function granted(taken: Taken): Holdings {
  assert.ok(taken.ok, taken.ok ? '' : JSON.stringify(taken.error.refusal));
  return taken.value;
}

function refusedWith(taken: Taken): string {
  assert.ok(!taken.ok, 'it is refused');
  return `${taken.error.refusal.code} ${taken.error.refusal.during}`;
}

const PAIRS = [
  { names: 'ours and the original', makers: [ALL_OURS, ALL_ORIGINAL] },
  { names: 'the original and ours', makers: [ALL_ORIGINAL, ALL_OURS] },
] as const;

for (const { names, makers } of PAIRS) {
  test(`a guest's leases through a migration: ${names}`, {
    skip: obstacle ?? false,
    timeout: 900_000,
  }, async () => {
    const rig = await Rig.create({ hosts: [...makers], bin: join(ROOT, 'bin') });
    try {
      const leaseDir = join(rig.dir, 'leases');
      mkdirSync(leaseDir);
      await joined(rig, leaseDir);
      await migration(rig, leaseDir);
    } finally {
      await rig.close();
    }
  });
}

async function joined(rig: Rig, leaseDir: string): Promise<void> {
  const path = join(leaseDir, LIBVIRT_LOCKSPACE);
  writeFileSync(path, new Uint8Array(MIB));
  const clients = [];
  for (const host of rig.hosts) {
    await host.startSanlock();
    const socketPath = textToName(host.path('/run/sanlock/sanlock.sock'));
    clients.push(clientOf({ socketPath }));
  }
  const space = { name: LIBVIRT_LOCKSPACE, hostId: 0n, path: textToName(path), offset: 0n };
  const of = { ioTimeoutS: IO_TIMEOUT_S };
  const made = await clients[0]?.call(writeLockspace(space, of));
  assert.ok(made?.ok);
  const added = await Promise.all(
    clients.map((client, n) => client.call(addLockspace({ ...space, hostId: BigInt(n + 1) }, of))),
  );
  for (const one of added) assert.ok(one.ok);
}

async function migration(rig: Rig, leaseDir: string): Promise<void> {
  const [one, two] = [rig.host(1), rig.host(2)];
  const source = new Guarded(one, { leaseDir, keeperPid: await keeperOn(one) });
  const target = new Guarded(two, { leaseDir, keeperPid: await keeperOn(two) });
  const other = new Guarded(two, { leaseDir, keeperPid: await keeperOn(two), uuid: 'another' });
  const soon = (uuid: string) => ({ uuid, untilMs: new MonotonicClock().nowMs() + 1500 });

  const held = granted(await source.run(takeAll(LEASES)));
  assert.deepEqual([...held.values()], ['exclusive', 'exclusive']);
  assert.deepEqual(
    readdirSync(leaseDir).sort(),
    [LIBVIRT_LOCKSPACE, ...LEASES.map(({ name }) => name)].sort(),
    'no draft is left',
  );
  assert.equal(refusedWith(await target.run(takeAll(LEASES))), '-243 acquire');
  assert.equal(refusedWith(await target.run(takeLent(LEASES, soon(UUID)))), '-243 acquire');

  const coming = target.run(takeLent(LEASES, { ...soon(UUID), untilMs: Infinity }));
  const lent = await source.run(lend(LEASES, held));
  assert.deepEqual([lent.code, ...lent.holdings.values()], [0, 'lent', 'lent']);
  const shared = granted(await coming);
  assert.equal(refusedWith(await other.run(takeLent(LEASES, soon('another')))), '-243 lentToOther');
  assert.equal((await target.run(reclaim(LEASES, shared))).code, -11);
  assert.equal((await source.run(reclaim(LEASES, lent.holdings))).code, -11);

  assert.equal((await source.run(releaseAll(lent.holdings))).size, 0);
  const whole = await target.run(reclaim(LEASES, shared));
  assert.deepEqual([whole.code, ...whole.holdings.values()], [0, 'exclusive', 'exclusive']);
  assert.equal(refusedWith(await source.run(takeAll(LEASES))), '-243 acquire');
  assert.equal((await target.run(releaseAll(whole.holdings))).size, 0);
  const again = granted(await source.run(takeAll(LEASES)));
  assert.equal((await source.run(releaseAll(again))).size, 0);
  await orphaned(rig, leaseDir);
}

/** What a killed keeper leaves is nobody's, until it is released. */
async function orphaned(rig: Rig, leaseDir: string): Promise<void> {
  for (const [host, elsewhere] of [
    [rig.host(1), rig.host(2)],
    [rig.host(2), rig.host(1)],
  ] as const) {
    const keeperPid = await keeperOn(host);
    const guest = new Guarded(host, { leaseDir, keeperPid });
    const other = new Guarded(elsewhere, { leaseDir, keeperPid: await keeperOn(elsewhere) });
    const held = granted(await guest.run(takeAll(LEASES)));
    process.kill(keeperPid, 'SIGKILL');
    const names = LEASES.map(({ name }) => name);
    const isOrphaned = async () => (await guest.run(survey(names, held))).orphans.size === 2;
    await until('they are orphans', isOrphaned, { withinMs: 20_000 });
    assert.equal(refusedWith(await other.run(takeAll(LEASES))), '-243 acquire');
    assert.equal((await guest.run(releaseOrphans(held))).size, 0, host.name);
    const isFree = async () => {
      const taken = await other.run(takeAll(LEASES));
      return taken.ok && (await other.run(releaseAll(taken.value))).size === 0;
    };
    await until('another host has them', isFree, { withinMs: 20_000 });
  }
}
