import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { leaseTimes } from '../../src/lease/lease-times.ts';
import { MonotonicClock } from '../../src/platform/clock.ts';
import { originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { until } from '../../src/rig/run.ts';
import { explained, GuardedHost, NbdServer } from './guard-host.ts';
import { LIBVIRT_LOCKSPACE, whyNoLibvirt } from './libvirt-host.ts';
import { lastRenewalS } from './sanlock-daemons.ts';

/**
 * Hosts with guests lose their power: another host may have these guests when nobody can write for
 * them any more, and not before.
 */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const originals = originalsInstalled() ? null : 'the originals are not installed';
const obstacle = rigObstacle() ?? originals ?? whyNoLibvirt();
const IO_TIMEOUT_S = 2;
const GUESTS = [
  { name: 'web', uuid: '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10' },
  { name: 'db', uuid: '7f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f11' },
] as const;
const IN_USE = [/is in use by host host-1/, /is in use by host host-2/];

test('guests of hosts that crash', { skip: obstacle ?? false, timeout: 400_000 }, async (t) => {
  const hosts = [ALL_OURS, ALL_ORIGINAL, ALL_OURS];
  const rig = await Rig.create({ hosts, bin: join(ROOT, 'bin') });
  const { dir } = rig;
  const storage = NbdServer.start(dir, GUESTS.length);
  try {
    const leases = join(dir, 'leases');
    mkdirSync(leases);
    await Promise.all(rig.hosts.map((host) => host.startSanlock()));
    const guarded = await Promise.all(
      rig.hosts.map(async (host) => {
        const one = await GuardedHost.start(host, { dir, leases, ioTimeoutS: IO_TIMEOUT_S });
        await one.define(...GUESTS.map((guest, n) => ({ ...guest, disks: [storage.disk(n)] })));
        return one;
      }),
    );
    const [ours, original, third] = guarded;
    assert.ok(ours !== undefined && original !== undefined && third !== undefined);
    await ours.libvirt.must('start', 'web');
    await original.libvirt.must('start', 'db');
    for (const { host } of [ours, original]) host.crash();
    const lockspace = join(leases, LIBVIRT_LOCKSPACE);
    await explained([third], () => takenOver(t, third, lockspace));
    await explained([ours, third], () => comesBack(ours, third));
  } finally {
    storage.close();
    await rig.close();
  }
});

/** The first guest was on host 1, the second one on host 2. */
async function takenOver(t: TestContext, by: GuardedHost, lockspace: string): Promise<void> {
  const { hostDeadMs } = leaseTimes(IO_TIMEOUT_S);
  // Both at once: each may wait for 45 s, and after two of them the hosts count as dead.
  const refusals = await Promise.all(GUESTS.map(({ name }) => by.libvirt.refuses('start', name)));
  for (const [n, said] of refusals.entries()) assert.match(said, IN_USE[n] ?? /^$/);
  for (const [n, { name }] of GUESTS.entries()) {
    const renewedMs = lastRenewalS(lockspace, n + 1) * 1000;
    const starts = async () => (await by.libvirt.virsh('start', name)).code === 0;
    await until(`guest ${name} of a dead host`, starts, { withinMs: 2 * hostDeadMs });
    const ageMs = new MonotonicClock().nowMs() - renewedMs;
    t.diagnostic(`${name} starts ${Math.round(ageMs / 1000)} s after the last renewal`);
    assert.ok(ageMs >= hostDeadMs, `${ageMs} ms after the last renewal: too early`);
    assert.equal(await by.held(name), 'exclusive');
  }
}

/** It knows nothing of its guest, and is refused as long as the other host runs it. */
async function comesBack(crashed: GuardedHost, other: GuardedHost): Promise<void> {
  const { host, libvirt } = crashed;
  await host.startSanlock();
  await libvirt.startAgain();
  crashed.startGuard();
  assert.match(await libvirt.refuses('start', 'web'), /is in use by host host-3/);
  await other.libvirt.end('web');
  await libvirt.must('start', 'web');
  assert.equal(await crashed.held('web'), 'exclusive');
}
