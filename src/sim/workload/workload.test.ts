import { test } from 'node:test';
import { writeLockspace, writeResource } from '../../wire/sanlock/area-calls.ts';
import { checkQuick, watchHostLeases } from '../invariants/client-checks.ts';
import { actOnce, joinLockspace, startDaemon } from './actions.ts';
import { settle } from './settle.ts';
import { AREAS, resourceOf, T_S, Workload } from './workload.ts';

// Two hosts' whole daemons and clients that send any request at any time. A model of who holds what
// checks each answer, and the state of disk and daemons when all faults are over.

const SEEDS = Number(process.env['WORKLOAD_SEEDS'] ?? 6);
const FIRST = Number(process.env['WORKLOAD_FIRST'] ?? 1);
const ACTIONS = Number(process.env['WORKLOAD_ACTIONS'] ?? 800);
const TRACE_LINES = Number(process.env['WORKLOAD_TRACE'] ?? 60);

function prepared(seed: number): Workload {
  const workload = new Workload(seed);
  for (const host of workload.hosts) startDaemon(workload, host);
  const host = workload.hosts[0];
  if (host === undefined) throw new Error('there are hosts');
  host.hasIoFaults = false;
  const place = workload.place(host);
  workload.call(
    workload.connect(host),
    writeLockspace(place, { ioTimeoutS: T_S }),
    'write_lockspace',
  );
  workload.run(2000);
  for (let area = 0; area < AREAS; area++) {
    const resource = resourceOf({ area, name: `R${area}` }, 0);
    workload.call(workload.connect(host), writeResource(resource), 'write_resource');
  }
  workload.run(2000);
  host.hasIoFaults = true;
  watchHostLeases(workload);
  for (const one of workload.hosts) for (let n = 0; n < 3; n++) joinLockspace(workload, one);
  workload.run(5000);
  return workload;
}

function play(seed: number): void {
  const workload = prepared(seed);
  try {
    for (let n = 0; n < ACTIONS; n++) {
      actOnce(workload);
      const { dice } = workload;
      workload.run(dice.chance(0.5) ? dice.between(0, 15) : dice.between(0, 400));
      checkQuick(workload);
    }
    settle(workload);
  } catch (error) {
    const trace = workload.trace.slice(-TRACE_LINES).join('\n');
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${trace}`, { cause: error });
  }
}

test('whatever its clients request, no daemon grants a lease that somebody else holds', () => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) play(seed);
});
