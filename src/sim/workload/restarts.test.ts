import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Restarts } from './restarts.ts';

const SEEDS = Number(process.env['RESTART_SEEDS'] ?? 3);
const FIRST = Number(process.env['RESTART_FIRST'] ?? 1);

test('an active LV is active on no other host, whatever daemon of its host is killed and started again', () => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const world = new Restarts(seed);
    const broken = world.run();
    assert.equal(broken, null, `seed ${seed}: ${broken}\n${world.trace.slice(-80).join('\n')}`);
  }
});
