import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { optionsOf } from '../src/sim/cluster/options.ts';
import { type Edit, MUTANTS, type Mutant } from './sim-mutants.ts';
import { HARSH_MUTANTS } from './sim-mutants-harsh.ts';

/**
 * The simulator must bite: with one safety rule taken out of the lease procedures, one of its
 * seeds has to find the broken promise. Each mutant is the project's own source, changed in one
 * place, or wherever that one rule is kept.
 */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const SEEDS = 40;
/** Of a world that costs a thousandth. */
const SILENT_OWNER_SEEDS = 600;
/** Of whole daemons, with lvmlockd. */
const RESTART_SEEDS = 12;
/** One in three finds it. */
const LATE_WDMD_SEEDS = 20;
/** Of one wdmd with simple clients: 100 in a second. */
const WDMD_RESTART_SEEDS = 400;
/** Daemons that die and are followed; each tries one of many things. */
const RESUMPTION_SEEDS = 100;

const SEEDS_OF = {
  world: SEEDS,
  'silent-owner': SILENT_OWNER_SEEDS,
  restarts: RESTART_SEEDS,
  'late-wdmd': LATE_WDMD_SEEDS,
  'wdmd-restarts': WDMD_RESTART_SEEDS,
  resumption: RESUMPTION_SEEDS,
  'harsh-resumption': RESUMPTION_SEEDS,
  'raced-resumption': RESUMPTION_SEEDS,
} as const;

function mutation(mutant: Mutant): Plugin {
  const edits: readonly Edit[] = [mutant, ...(mutant.also ?? [])];
  const files = [...new Set(edits.map(({ file }) => file))];
  return {
    name: 'mutant',
    setup({ onLoad }) {
      onLoad({ filter: new RegExp(`(${files.join('|')})$`) }, ({ path }) => {
        let contents = readFileSync(path, 'utf8');
        for (const { file, from, to } of edits) {
          if (!path.endsWith(file)) continue;
          assert.ok(contents.includes(from), `${file} still says: ${from}`);
          contents = contents.replace(from, to);
        }
        return { contents, loader: 'ts' };
      });
    },
  };
}

const PROGRAM_OF = {
  world: 'src/sim/world.ts',
  'silent-owner': 'src/sim/workload/silent-owner.ts',
  restarts: 'src/sim/workload/restarts.ts',
  'late-wdmd': 'src/sim/workload/late-wdmd.ts',
  'wdmd-restarts': 'src/sim/workload/wdmd-restarts.ts',
  resumption: 'src/sim/workload/resumption.ts',
  'harsh-resumption': 'src/sim/workload/resumption.ts',
  'raced-resumption': 'src/sim/workload/resumption.ts',
} as const;

const WEATHERS = {
  resumption: 'fair',
  'harsh-resumption': 'harsh',
  'raced-resumption': 'raced',
} as const;

/** Finds, by that world of a mutant, what is broken in a seed; null = nothing. */
async function worldOf(mutant: Mutant, index: number): Promise<(seed: number) => string | null> {
  const name = mutant.by ?? 'world';
  const outfile = join(ROOT, 'out', `mutant-${index}.mjs`);
  await build({
    entryPoints: [join(ROOT, PROGRAM_OF[name])],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    plugins: [mutation(mutant)],
    logLevel: 'silent',
  });
  const built: unknown = await import(pathToFileURL(outfile).href);
  if (name === 'silent-owner') {
    const { SilentOwner } = built as typeof import('../src/sim/workload/silent-owner.ts'); // built from that very file
    return (seed) => new SilentOwner(seed).run();
  }
  if (name === 'restarts') {
    const { Restarts } = built as typeof import('../src/sim/workload/restarts.ts'); // as above
    return (seed) => {
      const broken = new Restarts(seed).run();
      return broken?.includes('is active on') === true ? broken : null;
    };
  }
  if (name === 'late-wdmd') {
    const { LateWdmd } = built as typeof import('../src/sim/workload/late-wdmd.ts'); // as above
    return (seed) => new LateWdmd(seed).run();
  }
  if (name === 'wdmd-restarts') {
    const { WdmdRestarts } = built as typeof import('../src/sim/workload/wdmd-restarts.ts'); // as above
    return (seed) => new WdmdRestarts(seed).run();
  }
  if (name === 'resumption' || name === 'harsh-resumption' || name === 'raced-resumption') {
    const { Resumption } = built as typeof import('../src/sim/workload/resumption.ts'); // as above
    return (seed) => new Resumption(seed, WEATHERS[name]).run();
  }
  const { World } = built as typeof import('../src/sim/world.ts'); // as above
  return (seed) => {
    const plain = { hosts: 3, resources: 1, straysMs: 0, requests: 0, journals: 'sound' } as const;
    const wanted = { ...plain, ...mutant.world };
    const { broken } = new World(optionsOf(seed, wanted)).run();
    return broken === null ? null : broken.text;
  };
}

/** A part of what they are called: those alone are tried. */
const WANTED = process.env['MUTANT'] ?? '';

for (const [index, mutant] of [...MUTANTS, ...HARSH_MUTANTS].entries()) {
  if (!mutant.what.includes(WANTED)) continue;
  test(`the simulator notices when ${mutant.what}`, async (t) => {
    const broken = await worldOf(mutant, index);
    const seeds = SEEDS_OF[mutant.by ?? 'world'];
    const { firstSeed = 1 } = mutant;
    for (let run = 0; run < seeds; run++) {
      const seed = firstSeed + run;
      if (broken(seed) === null) continue;
      t.diagnostic(`found by seed ${seed}`);
      return;
    }
    assert.fail(`no promise was broken in ${seeds} runs`);
  });
}
