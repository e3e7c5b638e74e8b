/**
 * `npm run sim`: many hosts on one simulated LUN, from a seed; finds broken promises, repeats them.
 */
import { optionsOf } from '../src/sim/cluster/options.ts';
import { type Outcome, World } from '../src/sim/world.ts';

const USAGE = `npm run sim -- [--seed n] [--seeds n] [--hosts n] [--resources n] [--steps n]
  [--latency ms] [--daemons 0..1] [--trace]
  --seed n    this run only; without it, --seeds n runs (default 20) of seeds never tried before
  --check     the fixed seeds of npm run check`;

/** Chosen so that each rule of the invariant checker finds states to check; see scripts/sim-mutants.test.ts. */
const CHECK_SEEDS = Array.from({ length: 24 }, (_, index) => 8842 + index);

function main(): number {
  const args = process.argv.slice(2);
  const given = (flag: string): number | null => {
    const at = args.indexOf(flag);
    if (at < 0) return null;
    const value = Number(args[at + 1]);
    if (!Number.isFinite(value)) throw new Error(`${flag} wants a number`);
    return value;
  };
  if (args.includes('--help')) {
    console.log(USAGE);
    return 0;
  }
  const wanted = Object.fromEntries(
    (['hosts', 'resources', 'steps', 'latencyMs', 'daemons'] as const).flatMap((name) => {
      const value = given(`--${name.replace('Ms', '')}`);
      return value === null ? [] : [[name, value]];
    }),
  );
  const seed = given('--seed');
  const one = seed === null ? null : [seed];
  const seeds =
    one ?? (args.includes('--check') ? CHECK_SEEDS : freshSeeds(given('--seeds') ?? 20));
  const tally = { grants: 0, steps: 0, virtualMs: 0, fallen: 0 };
  for (const seed of seeds) {
    const options = optionsOf(seed, { ...wanted, traceAll: args.includes('--trace') });
    const outcome = new World(options).run();
    if (options.traceAll) console.log(outcome.trace.join('\n'));
    if (outcome.broken !== null) return report(outcome);
    tally.grants += outcome.grants;
    tally.steps += outcome.steps;
    tally.virtualMs += outcome.virtualMs;
    tally.fallen += outcome.fallen;
    if (one !== null) {
      for (const [what, count] of [...outcome.answers].sort()) console.log(`${count}\t${what}`);
    }
  }
  const hours = (tally.virtualMs / 3_600_000).toFixed(1);
  console.log(
    `${seeds.length} runs, ${hours} hours of virtual time, ${tally.steps} events, ` +
      `${tally.grants} leases granted, ${tally.fallen} leaders fell and were mended, ` +
      'no promise broken',
  );
  return 0;
}

function freshSeeds(count: number): number[] {
  return Array.from({ length: count }, () => Math.floor(Math.random() * 1e9));
}

function report({ options, broken, trace, steps }: Outcome): number {
  console.log(trace.slice(-120).join('\n'));
  console.log(`\nBROKEN after ${steps} events: ${broken?.text}`);
  const { seed, hosts, resources, steps: most, latencyMs, daemons } = options;
  const size = `--hosts ${hosts} --resources ${resources} --steps ${most}`;
  const weather = `--latency ${latencyMs} --daemons ${daemons}`;
  console.log(`again: npm run sim -- --seed ${seed} ${size} ${weather}`);
  return 1;
}

process.exitCode = main();
