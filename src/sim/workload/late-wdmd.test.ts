import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LateWdmd } from './late-wdmd.ts';

const SEEDS = Number(process.env['LATE_WDMD_SEEDS'] ?? 30);
const FIRST = Number(process.env['LATE_WDMD_FIRST'] ?? 1);

test('whenever wdmd stalls, its host is reset before another one has the lease', () => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const world = new LateWdmd(seed);
    const broken = world.run();
    assert.equal(broken, null, `seed ${seed}: ${broken}\n${world.trace.join('\n')}`);
  }
});
