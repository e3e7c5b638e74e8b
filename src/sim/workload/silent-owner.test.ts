import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SilentOwner } from './silent-owner.ts';

const SEEDS = 600;

test('no owner loses its lease sooner than its silence allows, whatever a slow rival saw', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    assert.equal(new SilentOwner(seed).run(), null, `seed ${seed}`);
  }
});
