import type { Daemon } from './daemon.ts';
import { HOPS, type Hop, medianWay, requestsOf } from './hops.ts';
import { measured, OPERATIONS, type Operation, PAIR } from './operations.ts';
import { type Row, Stopwatch, type Storage } from './rows.ts';
import { type SystemCall, type Tracer, traced } from './trace.ts';
import { threadsOf } from './usage.ts';

interface Target {
  readonly daemon: Daemon;
  readonly storage: Storage;
}

/** System calls of an operation, of all processes and of each, by name. */
export interface OperationTrace {
  readonly name: string;
  readonly rows: readonly Row[];
  /** `epoll_pwait 4.0 · read 2.0`, by process. */
  readonly byName: ReadonlyMap<string, string>;
  readonly ways: ReadonlyMap<string, Partial<Record<Hop, number>>>;
  /** Of the same requests just before and after. */
  readonly untraced: readonly Row[];
}

const LEAST_SHOWN = 0.05;

export async function traceOperations(
  target: Target,
  how: { readonly count: number; readonly tracer: Tracer; readonly eachProcess: boolean },
): Promise<readonly OperationTrace[]> {
  const traces: OperationTrace[] = [];
  for (const operation of OPERATIONS) {
    const pids = [...target.daemon.pids(), process.pid];
    const times = new Stopwatch();
    const calls = await measured(target, { operation, count: how.count }, async (work, client) => {
      client.times = times;
      await work();
      client.times = new Stopwatch();
      const found = await traced(how.tracer, pids, work);
      client.times = times;
      await work();
      return found;
    });
    const untraced = times.medians();
    traces.push({ ...digest(operation, calls, { ...how, ...target }), untraced });
  }
  return traces;
}

function digest(
  operation: Operation,
  calls: readonly SystemCall[],
  how: { readonly daemon: Daemon; readonly count: number; readonly eachProcess: boolean },
): Omit<OperationTrace, 'untraced'> {
  const client = calls.filter(({ tid }) => tid === process.pid);
  const requests = requestsOf(client);
  if (requests.length === 0) throw new Error(`${operation.name}: the tracer saw no request`);
  const [from, until] = [requests[0]?.startUs ?? 0, requests.at(-1)?.endUs ?? 0];
  const threads = threadsOf(how.daemon);
  const counts = new Map<string, Map<string, number>>();
  for (const { tid, name, startUs, endUs } of calls) {
    const role = threads.get(tid)?.role;
    if (role === undefined || endUs < from || startUs > until) continue;
    const known = counts.get(role) ?? new Map<string, number>();
    known.set(name, (known.get(name) ?? 0) + 1 / how.count);
    counts.set(role, known);
  }
  const ofFirst = (role: string) =>
    calls.filter(({ tid }) => {
      const thread = threads.get(tid);
      return thread?.role === role && thread.isFirst;
    });
  const bySide = { client, front: ofFirst('front'), leaseProcess: ofFirst('lease process') };
  const ways = new Map<string, Partial<Record<Hop, number>>>();
  const kinds = operation === PAIR ? ['acquire ex', 'release ex'] : [operation.name];
  for (const [n, kind] of how.eachProcess ? kinds.entries() : []) {
    const some = requests.filter((_, i) => i % kinds.length === n);
    ways.set(kind, medianWay(some, bySide));
  }
  return {
    name: operation.name,
    rows: countRows(operation.name, counts, how),
    ...texts(counts),
    ways,
  };
}

function countRows(
  operation: string,
  counts: ReadonlyMap<string, ReadonlyMap<string, number>>,
  { eachProcess }: { readonly eachProcess: boolean },
): readonly Row[] {
  const sum = (of: ReadonlyMap<string, number>) => [...of.values()].reduce((a, b) => a + b, 0);
  const name = `${operation}: system calls`;
  const each = [...counts].map(([role, of]) => ({ role, value: sum(of) }));
  const all = each.reduce((total, { value }) => total + value, 0);
  const rows: Row[] = [{ name, unit: 'a call', value: all }];
  if (!eachProcess) return rows;
  for (const { role, value } of each) {
    if (value >= LEAST_SHOWN) rows.push({ name: `${name}, ${role}`, unit: 'a call', value });
  }
  return rows;
}

function texts(counts: ReadonlyMap<string, ReadonlyMap<string, number>>) {
  const byName = new Map<string, string>();
  for (const [role, of] of counts) {
    const sorted = [...of].filter(([, n]) => n >= LEAST_SHOWN).sort(([, a], [, b]) => b - a);
    byName.set(role, sorted.map(([name, n]) => `${name} ${n.toFixed(1)}`).join(' · '));
  }
  return { byName };
}

export function printNames(label: string, traces: readonly OperationTrace[]): void {
  console.log(`\nSystem calls of ${label}, for each operation:`);
  for (const { name, byName } of traces) {
    for (const [role, text] of byName) {
      if (text !== '') console.log(`  ${name}, ${role}: ${text}`);
    }
  }
}

export function printHops(traces: readonly OperationTrace[], tracer: Tracer): void {
  const ways = traces.flatMap((trace) => [...trace.ways]);
  const line = (cells: readonly string[]) =>
    console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(32) : cell.padStart(14))).join(''));
  console.log(`\nThe way of a request, median µs, by ${tracer}:`);
  line(['', ...ways.map(([kind]) => kind)]);
  for (const hop of HOPS) {
    line([hop, ...ways.map(([, way]) => way[hop]?.toFixed(0) ?? '–')]);
  }
  const whole = (kind: string) => untraced.find(({ name }) => name === kind)?.value;
  const untraced = traces.flatMap((trace) => trace.untraced);
  line(['whole, undisturbed', ...ways.map(([kind]) => whole(kind)?.toFixed(0) ?? '–')]);
}
