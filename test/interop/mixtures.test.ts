import { test } from 'node:test';
import { originalsInstalled } from '../../src/rig/host.ts';
import { rigObstacle } from '../../src/rig/rig.ts';
import { ALL_MIXTURES, runMixture } from './mixture.ts';

/**
 * All 16 mixtures of {ours, original} in {sanlock, lvmlockd} of {host A, host B}, under unmodified
 * lvm. HOLDFAST_MIXTURES=hhhh,hhcc runs only some; HOLDFAST_RIGS=6 at a time.
 */
const wanted = process.env['HOLDFAST_MIXTURES']?.split(',') ?? ALL_MIXTURES;
const atOnce = Number(process.env['HOLDFAST_RIGS'] ?? 6);
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'the originals are not installed');
const MACHINES_OWN = [null, null];

test('all mixtures of ours and the originals share a volume group', {
  skip: obstacle ?? false,
  concurrency: atOnce,
}, async (t) => {
  const mixtures = wanted.map((name) =>
    t.test(`mixture ${name}`, { timeout: 900_000 }, async (own) => {
      await runMixture(name, MACHINES_OWN, (line) => own.diagnostic(`${name}: ${line}`));
    }),
  );
  await Promise.all(mixtures);
});
