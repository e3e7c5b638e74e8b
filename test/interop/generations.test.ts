import { test } from 'node:test';
import { debian13Folder, debian13Obstacle } from '../../src/rig/debian-root.ts';
import { originalsInstalled } from '../../src/rig/host.ts';
import { rigObstacle } from '../../src/rig/rig.ts';
import { ALL_MIXTURES, runMixture } from './mixture.ts';

/**
 * The mixtures with the originals and the lvm of Debian 13, and with a host of Debian 13 beside one
 * of this machine's Debian: 'hhcc@13+12' is A of Debian 13 with ours, and B of Debian 12 with the
 * originals. Of the sixteen on Debian 13 seven are made, in which every program of ours meets every
 * original; HOLDFAST_GENERATIONS=all makes every one, hhcc@13+12,… only some; HOLDFAST_RIGS=6 at a
 * time.
 */
const onBoth = (mixture: string) => `${mixture}@13+13`;
const BOTH_13 = ['hhhh', 'hhcc', 'cchh', 'hchc', 'chch', 'hcch', 'chhc'].map(onBoth);
const ACROSS = [
  ...['hhhh@12+13', 'cccc@12+13', 'cccc@13+12'],
  ...['hhcc@12+13', 'hhcc@13+12', 'cchh@12+13', 'cchh@13+12'],
];
const asked = process.env['HOLDFAST_GENERATIONS'];
const wanted =
  asked === 'all'
    ? [...ALL_MIXTURES.map(onBoth), ...ACROSS]
    : (asked?.split(',') ?? [...BOTH_13, ...ACROSS]);
const atOnce = Number(process.env['HOLDFAST_RIGS'] ?? 6);
const originals = originalsInstalled() ? null : 'the originals are not installed';
const obstacle = rigObstacle() ?? originals ?? debian13Obstacle();

test('all mixtures share a volume group on Debian 13, and beside Debian 12', {
  skip: obstacle ?? false,
  concurrency: atOnce,
}, async (t) => {
  const mixtures = wanted.map((name) =>
    t.test(`mixture ${name}`, { timeout: 900_000 }, async (own) => {
      const [mixture = '', places = ''] = name.split('@');
      const roots = places.split('+').map((place) => (place === '13' ? debian13Folder() : null));
      await runMixture(mixture, roots, (line) => own.diagnostic(`${name}: ${line}`));
    }),
  );
  await Promise.all(mixtures);
});
