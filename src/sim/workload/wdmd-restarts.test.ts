import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WdmdRestarts } from './wdmd-restarts.ts';

const SEEDS = Number(process.env['WDMD_RESTART_SEEDS'] ?? 100);
const FIRST = Number(process.env['WDMD_RESTART_FIRST'] ?? 1);

test('whenever wdmd is killed and started again, its host is reset in time, and only then', () => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const world = new WdmdRestarts(seed);
    const broken = world.run();
    assert.equal(broken, null, `seed ${seed}: ${broken}\n${world.trace.join('\n')}`);
  }
});
