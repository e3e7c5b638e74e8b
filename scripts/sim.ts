/**
 * `npm run sim`: many hosts on one simulated LUN, from a seed; finds broken promises, repeats them.
 */
import { optionsOf } from '../src/sim/cluster/options.ts';
import { type Outcome, World } from '../src/sim/world.ts';
import { readRegressionSeeds, runRegressionSeed } from './regression-seeds.ts';

const USAGE = `npm run sim -- [--seed n] [--seeds n] [--hosts n] [--resources n] [--steps n]
  [--latency ms] [--daemons 0..1] [--trace]
  --seed n    this run only; without it, --seeds n runs (default 20) of seeds never tried before
  --check     the fixed seeds of npm run check, and those of test/regression-seeds`;

/** Together they make every rule of the invariant checker apply. */
const CHECK_SEEDS = Array.from({ length: 16 }, (_, index) => 8842 + index);

function main(): number {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    console.log(USAGE);
    return 0;
  }
  const wanted = Object.fromEntries(
    (['hosts', 'resources', 'steps', 'latencyMs', 'daemons'] as const).flatMap((name) => {
      const value = numberAfter(args, `--${name.replace('Ms', '')}`);
      return value === null ? [] : [[name, value]];
    }),
  );
  const seed = numberAfter(args, '--seed');
  const isCheck = args.includes('--check');
  if (seed !== null) return runAll([seed], { ...wanted, traceAll: args.includes('--trace') });
  const seeds = isCheck ? CHECK_SEEDS : freshSeeds(numberAfter(args, '--seeds') ?? 20);
  const status = runAll(seeds, { ...wanted, traceAll: args.includes('--trace') });
  return isCheck && status === 0 ? runRegressionSeeds() : status;
}

function numberAfter(args: readonly string[], flag: string): number | null {
  const at = args.indexOf(flag);
  if (at < 0) return null;
  const value = Number(args[at + 1]);
  if (!Number.isFinite(value)) throw new Error(`${flag} wants a number`);
  return value;
}

function freshSeeds(count: number): number[] {
  return Array.from({ length: count }, () => Math.floor(Math.random() * 1e9));
}

function runAll(seeds: readonly number[], wanted: Parameters<typeof optionsOf>[1]): number {
  const total = { grants: 0, steps: 0, virtualMs: 0, staleLeaders: 0 };
  for (const seed of seeds) {
    const options = optionsOf(seed, wanted);
    const outcome = new World(options).run();
    if (options.traceAll) console.log(outcome.trace.join('\n'));
    if (outcome.broken !== null) return report(outcome);
    total.grants += outcome.grants;
    total.steps += outcome.steps;
    total.virtualMs += outcome.virtualMs;
    total.staleLeaders += outcome.staleLeaders;
    if (seeds.length > 1) continue;
    for (const [answer, count] of [...outcome.answers].sort()) console.log(`${count}\t${answer}`);
  }
  const hours = (total.virtualMs / 3_600_000).toFixed(1);
  console.log(
    `${seeds.length} runs, ${hours} hours of virtual time, ${total.steps} events, ` +
      `${total.grants} leases granted, ${total.staleLeaders} stale leaders were repaired, ` +
      'no promise broken',
  );
  return 0;
}

function runRegressionSeeds(): number {
  const seeds = readRegressionSeeds();
  for (const one of seeds) {
    const broken = runRegressionSeed(one);
    if (broken === null) continue;
    console.log(`BROKEN ${one.world} seed ${one.seed}, which once found: ${one.fault}\n${broken}`);
    return 1;
  }
  console.log(`${seeds.length} regression seeds, no promise broken`);
  return 0;
}

function report({ options, broken, trace, steps }: Outcome): number {
  console.log(trace.slice(-120).join('\n'));
  console.log(`\nBROKEN after ${steps} events: ${broken?.text}`);
  const { seed, hosts, resources, steps: most, latencyMs, daemons } = options;
  const size = `--hosts ${hosts} --resources ${resources} --steps ${most}`;
  const faults = `--latency ${latencyMs} --daemons ${daemons}`;
  console.log(`again: npm run sim -- --seed ${seed} ${size} ${faults}`);
  return 1;
}

process.exitCode = main();
