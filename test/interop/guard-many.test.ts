import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { GuardedHost, NbdServer } from './guard-host.ts';
import { whyNoLibvirt } from './libvirt-host.ts';
import { startSanlocks } from './libvirt-rig.ts';

/** Many guests at once: none is refused that could run, and none is left behind. */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const originals = originalsInstalled() ? null : 'the originals are not installed';
const obstacle = rigObstacle() ?? originals ?? whyNoLibvirt();
const GUESTS = 50;

test('50 guests start and stop on two hosts at the same time', {
  skip: obstacle ?? false,
  timeout: 600_000,
}, async (t) => {
  const rig = await Rig.create({ hosts: [ALL_OURS, ALL_ORIGINAL], bin: join(ROOT, 'bin') });
  const { dir } = rig;
  const storage = NbdServer.start(dir, GUESTS);
  try {
    const leases = await startSanlocks(rig);
    const hosts = await Promise.all(
      rig.hosts.map(async (host) => {
        return await GuardedHost.start(host, { dir, leases, ioTimeoutS: 4 });
      }),
    );
    const guests = Array.from({ length: GUESTS }, (_, n) => n);
    const defined = guests.map((n) => {
      return { name: `g${n}`, uuid: uuidOf(n), disks: [storage.disk(n)] };
    });
    for (const host of hosts) await host.define(...defined);
    const began = performance.now();
    await startedAndStopped(guests, (n) => at(hosts, n));
    t.diagnostic(`${GUESTS} guests in ${Math.round(performance.now() - began)} ms`);
    // Each where another one has just been.
    await startedAndStopped(some(guests), (n) => at(hosts, n + 1));
    for (const host of hosts) {
      const isEmpty = async () => (await host.report())?.guests.length === 0;
      await until(`nothing is left on ${host.host.name}`, isEmpty, { withinMs: 60_000 });
    }
  } finally {
    storage.close();
    await rig.close();
  }
});

async function startedAndStopped(
  guests: readonly number[],
  on: (n: number) => GuardedHost,
): Promise<void> {
  const started = guests.map((n) => on(n).libvirt.virsh('start', `g${n}`));
  assert.deepEqual(
    (await Promise.all(started)).filter(({ code }) => code !== 0),
    [],
  );
  for (const n of some(guests)) {
    assert.match(await on(n + 1).libvirt.refuses('start', `g${n}`), /is in use by host host-/);
  }
  const stopped = guests.map((n) => on(n).libvirt.virsh('destroy', `g${n}`));
  assert.deepEqual(
    (await Promise.all(stopped)).filter(({ code }) => code !== 0),
    [],
  );
}

function some(guests: readonly number[]): readonly number[] {
  return guests.filter((n) => n % 5 === 0);
}

function at(hosts: readonly GuardedHost[], n: number): GuardedHost {
  const host = hosts[n % hosts.length];
  assert.ok(host !== undefined);
  return host;
}

function uuidOf(n: number): string {
  return `6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a40${n.toString(16).padStart(2, '0')}`;
}
