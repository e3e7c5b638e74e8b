import { test } from 'node:test';
import { writeLockspace, writeResource } from '../../wire/sanlock/area-calls.ts';
import { checkQuick, watchHostLeases } from '../invariants/workload-checks.ts';
import { actOnce, joins, starts } from './acts.ts';
import { settle } from './end.ts';
import { AREAS, Crowd, resourceOf, T_S } from './workload.ts';

// Two hosts' whole daemons and a crowd of clients that ask for anything at any time. What they were
// told is judged by a model of its own, at each answer and when everything has calmed down.

const SEEDS = Number(process.env['CROWD_SEEDS'] ?? 6);
const FIRST = Number(process.env['CROWD_FIRST'] ?? 1);
const ACTS = Number(process.env['CROWD_ACTS'] ?? 800);
const TOLD = Number(process.env['CROWD_TOLD'] ?? 60);

function prepared(seed: number): Crowd {
  const crowd = new Crowd(seed);
  for (const host of crowd.hosts) starts(crowd, host);
  const host = crowd.hosts[0];
  if (host === undefined) throw new Error('there are hosts');
  host.isRough = false;
  const place = crowd.place(host);
  crowd.ask(crowd.connect(host), writeLockspace(place, { ioTimeoutS: T_S }), 'write_lockspace');
  crowd.run(2000);
  for (let area = 0; area < AREAS; area++) {
    const resource = resourceOf({ area, name: `R${area}` }, 0);
    crowd.ask(crowd.connect(host), writeResource(resource), 'write_resource');
  }
  crowd.run(2000);
  host.isRough = true;
  watchHostLeases(crowd);
  for (const one of crowd.hosts) for (let n = 0; n < 3; n++) joins(crowd, one);
  crowd.run(5000);
  return crowd;
}

function play(seed: number): void {
  const crowd = prepared(seed);
  try {
    for (let n = 0; n < ACTS; n++) {
      actOnce(crowd);
      const { dice } = crowd;
      crowd.run(dice.chance(0.5) ? dice.between(0, 15) : dice.between(0, 400));
      checkQuick(crowd);
    }
    settle(crowd);
  } catch (error) {
    const told = crowd.trace.slice(-TOLD).join('\n');
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${told}`, { cause: error });
  }
}

test('whatever a crowd of clients asks, nobody is told of a lease that is not its own', () => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) play(seed);
});
