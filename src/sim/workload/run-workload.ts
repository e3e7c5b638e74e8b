import { writeLockspace, writeResource } from '../../wire/sanlock/area-calls.ts';
import { checkQuick, watchHostLeases } from '../invariants/client-checks.ts';
import { actOnce, joinLockspace, startDaemon } from './actions.ts';
import { settle } from './settle.ts';
import { AREAS, resourceOf, T_S, Workload } from './workload.ts';

const FORMAT_MS = 2000;
const JOIN_MS = 5000;
const JOIN_CALLS = 3;

/**
 * Two hosts' whole daemons, and clients that send any request at any time. A model of the leases
 * that clients hold checks each answer, and at the end the state of disk and daemons.
 * @returns the workload, for its trace, and what was broken; null = nothing
 */
export function runWorkload(
  seed: number,
  actions: number,
): { readonly workload: Workload; readonly broken: string | null } {
  const workload = new Workload(seed);
  try {
    prepare(workload);
    for (let n = 0; n < actions; n++) {
      actOnce(workload);
      const { dice } = workload;
      workload.run(dice.chance(0.5) ? dice.between(0, 15) : dice.between(0, 400));
      checkQuick(workload);
    }
    settle(workload);
    return { workload, broken: null };
  } catch (error) {
    return { workload, broken: error instanceof Error ? (error.stack ?? '') : String(error) };
  }
}

function prepare(workload: Workload): void {
  const [host] = workload.hosts;
  for (const one of workload.hosts) startDaemon(workload, one);
  host.hasIoFaults = false;
  const lockspace = writeLockspace(workload.place(host), { ioTimeoutS: T_S });
  workload.call(workload.connect(host), lockspace, 'write_lockspace');
  workload.run(FORMAT_MS);
  for (let area = 0; area < AREAS; area++) {
    const resource = writeResource(resourceOf({ area, name: `R${area}` }, 0));
    workload.call(workload.connect(host), resource, 'write_resource');
  }
  workload.run(FORMAT_MS);
  host.hasIoFaults = true;
  watchHostLeases(workload);
  for (const one of workload.hosts) {
    for (let n = 0; n < JOIN_CALLS; n++) joinLockspace(workload, one);
  }
  workload.run(JOIN_MS);
}
