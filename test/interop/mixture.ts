import { join } from 'node:path';
import type { Maker, Makers } from '../../src/rig/host.ts';
import { Rig } from '../../src/rig/rig.ts';
import { mixtureScenario, takeDown, takeover } from './mixture-scenario.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';

/**
 * Who made what on two hosts, in four letters: sanlock and lvmlockd of A, then of B; h = ours,
 * c = original.
 */
export const ALL_MIXTURES = Array.from({ length: 16 }, (_, n) =>
  [8, 4, 2, 1].map((bit) => (n & bit ? 'c' : 'h')).join(''),
);

function maker(letter: string | undefined): Maker {
  return letter === 'h' ? 'ours' : 'original';
}

function makers(sanlock: string | undefined, lvmlockd: string | undefined): Makers {
  const lvmlockctl = maker(lvmlockd);
  return { sanlock: maker(sanlock), lvmlockd: maker(lvmlockd), lvmlockctl };
}

/** `roots`: of A and of B the folder of another Debian, or null. */
export async function runMixture(
  mixture: string,
  roots: readonly (string | null)[],
  log: (line: string) => void,
): Promise<void> {
  const [sanlockA, lvmlockdA, sanlockB, lvmlockdB] = mixture;
  const hosts = [makers(sanlockA, lvmlockdA), makers(sanlockB, lvmlockdB)];
  const rig = await Rig.create({ hosts, bin: join(ROOT, 'bin'), roots });
  try {
    await mixtureScenario(rig, log);
    await takeover(rig, log);
    await takeDown(rig);
  } finally {
    await rig.close();
  }
}
