import { readFileSync } from 'node:fs';
import { optionsOf, type WorldOptions } from '../src/sim/cluster/options.ts';
import { LateWdmd } from '../src/sim/workload/late-wdmd.ts';
import { Restarts } from '../src/sim/workload/restarts.ts';
import { Resumption } from '../src/sim/workload/resumption.ts';
import { runWorkload } from '../src/sim/workload/run-workload.ts';
import { SilentOwner } from '../src/sim/workload/silent-owner.ts';
import { WdmdRestarts } from '../src/sim/workload/wdmd-restarts.ts';
import { World } from '../src/sim/world.ts';

const FILE = `${process.env['HOLDFAST_ROOT'] ?? '.'}/test/regression-seeds`;
/** As in the test of the workload. */
const WORKLOAD_ACTIONS = 800;

/** A seed that found a fault, and finds it again where the fault comes back. */
interface RegressionSeed {
  readonly world: string;
  readonly seed: number;
  readonly options: Partial<WorldOptions>;
  readonly fault: string;
}

/** Each line is `world seed option=value …: what the seed found`; `#` begins a comment. */
export function readRegressionSeeds(): RegressionSeed[] {
  const lines = readFileSync(FILE, 'utf8').split('\n');
  return lines.filter((line) => line !== '' && !line.startsWith('#')).map(seedOf);
}

function seedOf(line: string): RegressionSeed {
  const [head = '', fault = ''] = line.split(/: (.*)/);
  const [world = '', seed = '', ...words] = head.split(/\s+/);
  if (fault === '' || !/^\d+$/.test(seed)) throw new Error(`${FILE}: cannot read "${line}"`);
  return { world, seed: Number(seed), options: Object.fromEntries(words.map(optionOf)), fault };
}

function optionOf(word: string): [string, unknown] {
  const [name = '', value = ''] = word.split('=');
  const usual: unknown = new Map<string, unknown>(Object.entries(optionsOf(0))).get(name);
  if (usual === undefined) throw new Error(`${FILE}: there is no option ${name}`);
  if (typeof usual === 'number') return [name, Number(value)];
  if (typeof usual === 'boolean') return [name, value === 'true'];
  return [name, Array.isArray(usual) ? value.split(',') : value];
}

/** @returns what was broken; null = nothing */
export function runRegressionSeed({ world, seed, options }: RegressionSeed): string | null {
  switch (world) {
    case 'world':
      return new World(optionsOf(seed, options)).run().broken?.text ?? null;
    case 'workload':
      return runWorkload(seed, WORKLOAD_ACTIONS).broken;
    case 'silent-owner':
      return new SilentOwner(seed).run();
    case 'resumption':
      return new Resumption(seed).run();
    case 'harsh-resumption':
      return new Resumption(seed, 'harsh').run();
    case 'raced-resumption':
      return new Resumption(seed, 'raced').run();
    case 'restarts':
      return new Restarts(seed).run();
    case 'late-wdmd':
      return new LateWdmd(seed).run();
    case 'wdmd-restarts':
      return new WdmdRestarts(seed).run();
    default:
      throw new Error(`${FILE}: there is no world ${world}`);
  }
}
