import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { leaseTimes } from '../../src/lease/lease-times.ts';
import { type Daemon, type Host, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, rigObstacle } from '../../src/rig/rig.ts';
import { pause } from '../../src/rig/run.ts';
import { whyNoWdmd } from '../interop/wdmd-host.ts';
import { CONTENDED_MS, WATCHDOG_TIMEOUT_S } from './checks.ts';
import { LVS, makeVolumes } from './lvm-users.ts';
import { startDaemon } from './outages.ts';
import { hostLease } from './places.ts';
import { SoakWorld } from './soak-world.ts';
import { checkSteps } from './steps.ts';
import { guest, pythonCounter, thief, type User } from './users.ts';
import { Verdict } from './verdict.ts';
import { monotonicMs, watchdogState } from './watchdog-watch.ts';

/** Daemons of host 1 stay away for too long: its users end before host 2 gets what they held. */
const IO_TIMEOUT_S = 2;
const { renewalFailMs, hostDeadMs } = leaseTimes(IO_TIMEOUT_S);
const LEASES = ['c1', 'g1'] as const;
const LOOK_MS = 100;
/** For host 2 to be sure, and to try again. */
const LATE_MS = 60_000;
const obstacle =
  rigObstacle() ?? whyNoWdmd() ?? (originalsInstalled() ? null : 'the originals are not installed');

interface Case {
  readonly what: string;
  readonly second: 'ours' | 'original';
  readonly ends: readonly Daemon[];
  /** Since the last renewal; null: they stay away. */
  readonly backAfterMs: number | null;
  readonly withWatchdog: boolean;
}

const CASES: readonly Case[] = [
  { what: 'sanlock stays away', ends: ['sanlock'], backAfterMs: null },
  { what: 'wdmd stays away', ends: ['wdmd'], backAfterMs: null },
  { what: 'all three stay away', ends: ['lvmlockd', 'sanlock', 'wdmd'], backAfterMs: null },
  { what: 'sanlock is back too late', ends: ['sanlock'], backAfterMs: renewalFailMs + 3000 },
  {
    what: 'sanlock is back too late, and there is no watchdog',
    ends: ['sanlock'],
    backAfterMs: renewalFailMs + 3000,
    withWatchdog: false,
  },
].map((one, n) => {
  const second = n % 2 === 0 ? ('original' as const) : ('ours' as const);
  return { withWatchdog: true, second, ...one, ends: one.ends as readonly Daemon[] };
});

/** What happened, in CLOCK_MONOTONIC milliseconds; null: not yet. */
class Story {
  resetMs: number | null = null;
  /** The guest of host 1, which held a lease all the time, was gone. */
  endedMs: number | null = null;
  leaseGrantedMs: number | null = null;
  volumeGrantedMs: number | null = null;

  get isComplete(): boolean {
    return this.leaseGrantedMs !== null && this.volumeGrantedMs !== null;
  }
}

function renewedMs(device: string, host: Host): number {
  return Number(hostLease(device, host.hostId).timestampS) * 1000;
}

/** Host 1 has leases and an active LV; all its users, and who tries to take them. */
async function prepare(world: SoakWorld): Promise<{ users: User[]; others: User[] }> {
  const { rig, places } = world;
  const [a, b] = [rig.host(1), rig.host(2)];
  await world.start();
  await makeVolumes(rig);
  const holder = await guest(a, places, 'guest-1');
  await world.acquireFor(holder, 'g1');
  const counting = { lease: 'c1', number: 1, seed: 'kept-down' };
  const users = [holder, pythonCounter(a, places, counting)];
  const others = [thief(b, places, 'g1'), pythonCounter(b, places, counting)];
  for (const counter of [users[1], others[1]]) await counter?.says('step', CONTENDED_MS);
  return { users, others };
}

/** As the device of a real machine would: everything ends at once. */
function resetWhenDue(world: SoakWorld, story: Story): void {
  if (world.device === null || story.resetMs !== null) return;
  const nowMs = monotonicMs();
  const { firesMs } = watchdogState(world.device.events(), WATCHDOG_TIMEOUT_S, nowMs);
  if (firesMs === null || nowMs < firesMs) return;
  world.rig.host(1).crash();
  story.resetMs = nowMs;
}

/** Host 2 asks lvm for the LV of host 1 until it gets it. */
async function takeVolume(world: SoakWorld, story: Story, isOver: () => boolean): Promise<void> {
  const { rig } = world;
  while (!isOver()) {
    const name = `${rig.vg}/${LVS.first}`;
    if ((await rig.host(2).lvm('lvchange', '-aey', name)).code === 0) {
      story.volumeGrantedMs = monotonicMs();
      return;
    }
    await pause(500);
  }
}

async function keptDown(t: TestContext, of: Case, world: SoakWorld): Promise<void> {
  const { users, others } = await prepare(world);
  const host = world.rig.host(1);
  const { device } = world.places;
  const story = new Story();
  for (const daemon of of.ends) await host.kill(daemon);
  const latestMs = monotonicMs() + WATCHDOG_TIMEOUT_S * 1000 + hostDeadMs + LATE_MS;
  const isOver = () => story.isComplete || monotonicMs() > latestMs;
  let isBack = of.backAfterMs === null;
  const taking = takeVolume(world, story, isOver);
  while (!isOver()) {
    resetWhenDue(world, story);
    for (const user of [...users, ...others]) user.read();
    const granted = others[0]?.saying('granted')[0];
    if (granted !== undefined) story.leaseGrantedMs ??= granted.ms;
    if (users[0]?.isAlive === false) story.endedMs ??= monotonicMs();
    const silentMs = monotonicMs() - renewedMs(device, host);
    if (!isBack && of.backAfterMs !== null && silentMs > of.backAfterMs) {
      isBack = true;
      for (const daemon of of.ends) await startDaemon(host, daemon);
    }
    await pause(LOOK_MS);
  }
  await taking;
  check(of, story, {
    renewedMs: renewedMs(device, host),
    volumeRenewedMs: renewedMs(world.rig.lun.lvmlock, host),
  });
  const counters = [users[1], others[1]].filter((user) => user !== undefined);
  for (const counter of counters) await counter.kill();
  const verdict = new Verdict();
  const counter = world.places.counter('c1');
  const steps = checkSteps({ users: counters, lease: 'c1', counter }, verdict);
  assert.ok(verdict.isGood, verdict.text());
  t.diagnostic(`${of.what}: ${storyText(of, story, renewedMs(device, host))}, ${steps} steps`);
}

function storyText(of: Case, story: Story, sinceMs: number): string {
  const at = (ms: number | null) =>
    ms === null ? 'never' : `${Math.round((ms - sinceMs) / 1000)} s`;
  const said = `guest ended ${at(story.endedMs)}, lease granted ${at(story.leaseGrantedMs)}, `;
  const volume = `LV granted ${at(story.volumeGrantedMs)} after the last renewal`;
  return `${said}${volume}${of.withWatchdog ? `, reset ${at(story.resetMs)}` : ''}`;
}

/** No earlier than 8·t + 60 s, and not before the users were gone; but then it is. */
function check(
  of: Case,
  story: Story,
  at: { readonly renewedMs: number; readonly volumeRenewedMs: number },
): void {
  const said = storyText(of, story, at.renewedMs);
  const { endedMs, leaseGrantedMs, volumeGrantedMs, resetMs } = story;
  assert.ok(leaseGrantedMs !== null, `host 2 never got the lease: ${said}`);
  assert.ok(volumeGrantedMs !== null, `host 2 never got the LV: ${said}`);
  assert.ok(endedMs !== null, `the guest of host 1 outlived its lease: ${said}`);
  assert.ok(endedMs <= leaseGrantedMs, `host 2 got the lease before its holder was gone: ${said}`);
  if (of.withWatchdog) {
    assert.ok(resetMs !== null, `the watchdog of host 1 did not fire: ${said}`);
    assert.ok(resetMs - at.renewedMs <= hostDeadMs, `the watchdog fired too late: ${said}`);
    assert.ok(resetMs <= volumeGrantedMs, `the LV was granted before the reset: ${said}`);
    assert.ok(leaseGrantedMs - at.renewedMs >= hostDeadMs, `the lease was granted early: ${said}`);
    assert.ok(
      volumeGrantedMs - at.volumeRenewedMs >= hostDeadMs,
      `the LV was granted early: ${said}`,
    );
  }
}

test('users end before another host gets what they held, when daemons stay away', {
  skip: obstacle ?? false,
  concurrency: CASES.length,
}, async (t) => {
  await Promise.all(
    CASES.map((one) =>
      t.test(one.what, { timeout: 600_000 }, async (own) => {
        const second = one.second === 'ours' ? ALL_OURS : ALL_ORIGINAL;
        const { withWatchdog } = one;
        const options = { second, ioTimeoutS: IO_TIMEOUT_S, leases: LEASES, withWatchdog };
        const world = await SoakWorld.create(options);
        let isGood = false;
        try {
          await keptDown(own, one, world);
          isGood = true;
        } finally {
          if (!isGood) own.diagnostic(`the logs of "${one.what}" are in ${world.keepLogs()}`);
          await world.close(isGood ? 'removeAll' : 'keepLogs');
        }
      }),
    ),
  );
});
