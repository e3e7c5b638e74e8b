import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { getHeapSpaceStatistics } from 'node:v8';
import { MIB } from '../base/units.ts';
import { boundYoungGeneration } from './heap.ts';

const LIMIT_BYTES = 4 * MIB;

/** Garbage, some of which survives a while: it makes a young generation grow. */
function churn(): void {
  let kept: object[] = [];
  for (let n = 0; n < 2_000_000; n++) {
    kept.push({ of: [n], text: `x${n}` });
    if (kept.length > 5000) kept = [];
  }
}

function youngBytes(): number {
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
  return young?.space_size ?? 0;
}

test('the young generation stays small under a load that makes it grow elsewhere', () => {
  const program = `const { getHeapSpaceStatistics } = require('node:v8');
    ${churn} churn(); ${youngBytes} console.log(youngBytes());`;
  const elsewhere = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' });
  assert.ok(Number(elsewhere.stdout) > LIMIT_BYTES, elsewhere.stderr || elsewhere.stdout);

  boundYoungGeneration();
  churn();
  assert.ok(youngBytes() > 0 && youngBytes() <= LIMIT_BYTES, `${youngBytes()} bytes`);
});
