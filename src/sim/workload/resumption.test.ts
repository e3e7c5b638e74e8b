import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Resumption } from './resumption.ts';

const SEEDS = Number(process.env['RESUMPTION_SEEDS'] ?? 40);
const FIRST = Number(process.env['RESUMPTION_FIRST'] ?? 1);

test('a daemon that dies at any moment has a successor with which nothing is lost, or nothing is shared', () => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const world = new Resumption(seed);
    const broken = world.run();
    assert.equal(broken, null, `seed ${seed}: ${broken}\n${world.trace.slice(-80).join('\n')}`);
  }
});
