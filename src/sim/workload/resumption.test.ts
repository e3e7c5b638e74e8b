import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Resumption } from './resumption.ts';

const SEEDS = Number(process.env['RESUMPTION_SEEDS'] ?? 6);
const FIRST = Number(process.env['RESUMPTION_FIRST'] ?? 1);

test('a daemon that dies at any moment has a successor with which nothing is lost, or nothing is shared', () => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const world = new Resumption(seed);
    const broken = world.run();
    assert.equal(broken, null, `seed ${seed}: ${broken}\n${world.trace.slice(-80).join('\n')}`);
  }
});

const HARSH_SEEDS = Number(process.env['HARSH_SEEDS'] ?? 6);
const HARSH_FIRST = Number(process.env['HARSH_FIRST'] ?? 1);

test('nothing is shared whatever becomes of journal, host lease, machine and wdmd while a daemon is down', () => {
  for (let seed = HARSH_FIRST; seed < HARSH_FIRST + HARSH_SEEDS; seed++) {
    const world = new Resumption(seed, 'harsh');
    const broken = world.run();
    assert.equal(broken, null, `seed ${seed}: ${broken}\n${world.trace.slice(-80).join('\n')}`);
  }
});

const RACED_SEEDS = Number(process.env['RACED_SEEDS'] ?? 4);
const RACED_FIRST = Number(process.env['RACED_FIRST'] ?? 1);

test('of daemons that are started at one moment one serves, and the others touch nothing', () => {
  for (let seed = RACED_FIRST; seed < RACED_FIRST + RACED_SEEDS; seed++) {
    const world = new Resumption(seed, 'raced');
    const broken = world.run();
    assert.equal(broken, null, `seed ${seed}: ${broken}\n${world.trace.slice(-80).join('\n')}`);
  }
});
