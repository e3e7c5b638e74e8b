import { join } from 'node:path';
import { test } from 'node:test';
import { type Maker, type Makers, originalsInstalled } from '../../src/rig/host.ts';
import { Rig, rigObstacle } from '../../src/rig/rig.ts';
import { mixtureScenario, takeDown, takeover } from './mixture-scenario.ts';

/**
 * All 16 mixtures of {ours, original} in {sanlock, lvmlockd} of {host A, host B}, under unmodified
 * lvm. Each is named by four letters: sanlock and lvmlockd of A, then of B; h = ours, c = original.
 * HOLDFAST_MIXTURES=hhhh,hhcc runs only some; HOLDFAST_RIGS=6 at a time.
 */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const ALL = Array.from({ length: 16 }, (_, n) =>
  [8, 4, 2, 1].map((bit) => (n & bit ? 'c' : 'h')).join(''),
);
const wanted = process.env['HOLDFAST_MIXTURES']?.split(',') ?? ALL;
const atOnce = Number(process.env['HOLDFAST_RIGS'] ?? 6);
const obstacle = rigObstacle() ?? (originalsInstalled() ? null : 'the originals are not installed');

function maker(letter: string | undefined): Maker {
  return letter === 'h' ? 'ours' : 'original';
}

function makers(sanlock: string | undefined, lvmlockd: string | undefined): Makers {
  const lvmlockctl = maker(lvmlockd);
  return { sanlock: maker(sanlock), lvmlockd: maker(lvmlockd), lvmlockctl };
}

async function runMixture(name: string, log: (line: string) => void): Promise<void> {
  const hosts = [makers(name[0], name[1]), makers(name[2], name[3])];
  const rig = await Rig.create({ hosts, bin: join(ROOT, 'bin') });
  try {
    await mixtureScenario(rig, log);
    await takeover(rig, log);
    await takeDown(rig);
  } finally {
    await rig.close();
  }
}

test('all mixtures of ours and the originals share a volume group', {
  skip: obstacle ?? false,
  concurrency: atOnce,
}, async (t) => {
  const mixtures = wanted.map((name) =>
    t.test(`mixture ${name}`, { timeout: 900_000 }, async (own) => {
      await runMixture(name, (line) => own.diagnostic(`${name}: ${line}`));
    }),
  );
  await Promise.all(mixtures);
});
