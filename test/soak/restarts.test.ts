import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Makers, originalsInstalled } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, rigObstacle } from '../../src/rig/rig.ts';
import { Dice } from '../../src/sim/kernel/dice.ts';
import { whyNoWdmd } from '../interop/wdmd-host.ts';
import { DAEMONS } from './outages.ts';
import { RestartSoak, SOAK_LEASES } from './restart-soak.ts';
import { SoakWorld } from './soak-world.ts';

/**
 * The daemons of host 1 are killed and started again, in every order and at every moment, while
 * both hosts use their leases. HOLDFAST_RESTART_MINUTES sets the length, HOLDFAST_RESTART_SEED the
 * choices; HOLDFAST_RESTART_SECOND=ours or original leaves one of the two hosts 2 out, and
 * HOLDFAST_RESTART_DAEMONS=lvmlockd,wdmd leaves sanlock alone.
 */
const MINUTES = Number(process.env['HOLDFAST_RESTART_MINUTES'] ?? 3);
const SEED = process.env['HOLDFAST_RESTART_SEED'] ?? `${Date.now() % 1_000_000}`;
const ONLY = process.env['HOLDFAST_RESTART_SECOND'] ?? '';
const DAEMONS_ENDED = process.env['HOLDFAST_RESTART_DAEMONS']?.split(',');
const IO_TIMEOUT_S = 5;
const SECONDS = ['ours', 'original'] as const;
const obstacle =
  rigObstacle() ?? whyNoWdmd() ?? (originalsInstalled() ? null : 'the originals are not installed');

async function soak(t: TestContext, second: Makers, seed: string): Promise<void> {
  const world = await SoakWorld.create({
    second,
    ioTimeoutS: IO_TIMEOUT_S,
    leases: SOAK_LEASES,
    withWatchdog: true,
  });
  let isGood = false;
  try {
    const daemons = DAEMONS.filter((one) => DAEMONS_ENDED?.includes(one) ?? true);
    const run = new RestartSoak(world, { dice: new Dice(seed, 'outages'), seed, daemons });
    await run.prepare();
    await run.run(MINUTES);
    t.diagnostic(`seed ${seed}: ${await run.finish()}`);
    isGood = run.verdict.isGood;
    assert.ok(isGood, `${run.verdict.text()}\nseed ${seed}\n${world.lastWords()}`);
  } finally {
    if (!isGood) t.diagnostic(`the logs of seed ${seed} are in ${world.keepLogs()}`);
    await world.close(isGood ? 'removeAll' : 'keepLogs');
  }
}

test('daemons are killed and started again under load, and nobody loses anything', {
  skip: obstacle ?? false,
  concurrency: SECONDS.length,
}, async (t) => {
  const seconds = SECONDS.filter((second) => ONLY === '' || ONLY === second);
  await Promise.all(
    seconds.map((second) =>
      t.test(`host 2: ${second}`, { timeout: (MINUTES + 15) * 60_000 }, (own) =>
        soak(own, second === 'ours' ? ALL_OURS : ALL_ORIGINAL, `${SEED}-${second}`),
      ),
    ),
  );
});
