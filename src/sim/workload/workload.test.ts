import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runWorkload } from './run-workload.ts';

const SEEDS = Number(process.env['WORKLOAD_SEEDS'] ?? 3);
const FIRST = Number(process.env['WORKLOAD_FIRST'] ?? 1);
const ACTIONS = Number(process.env['WORKLOAD_ACTIONS'] ?? 800);
const TRACE_LINES = Number(process.env['WORKLOAD_TRACE'] ?? 60);

test('whatever its clients request, no daemon grants a lease that another client holds', () => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const { workload, broken } = runWorkload(seed, ACTIONS);
    const trace = workload.trace.slice(-TRACE_LINES).join('\n');
    assert.equal(broken, null, `seed ${seed}: ${broken}\n${trace}`);
  }
});
