import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { getHeapSpaceStatistics } from 'node:v8';
import koffi from 'koffi';
import { MIB } from '../base/units.ts';
import { boundMemory } from './heap.ts';
import { mallocTrim } from './system-calls.ts';

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

  boundMemory();
  churn();
  assert.ok(youngBytes() > 0 && youngBytes() <= LIMIT_BYTES, `${youngBytes()} bytes`);
});

test('malloc gives back what a burst took, also below a block that stays', () => {
  boundMemory();
  const libc = koffi.load('libc.so.6');
  const malloc = libc.func('void *malloc(size_t bytes)') as (bytes: number) => unknown;
  const free = libc.func('void free(void *memory)') as (memory: unknown) => void;
  const memset = libc.func('void *memset(void *memory, int value, size_t bytes)');
  const taken = (bytes: number): unknown => {
    const memory = malloc(bytes);
    memset(memory, 1, bytes);
    return memory;
  };
  free(taken(4 * MIB)); // raises the thresholds of a malloc that is not bounded
  const before = heapBytes();
  const large = taken(2 * MIB);
  assert.ok(heapBytes() < before + MIB, 'a large block is no part of the heap');
  free(large);

  const burst = Array.from({ length: 200 }, () => taken(100_000));
  const last = taken(50_000);
  assert.ok(heapBytes() > before + 15 * MIB);
  for (const memory of burst) free(memory);
  mallocTrim(0);
  assert.ok(heapBytes() < before + 2 * MIB, `${heapBytes()} bytes, before ${before}`);
  free(last);
});

/** Resident, of malloc's heap. */
function heapBytes(): number {
  const heap = readFileSync('/proc/self/smaps', 'latin1').split('[heap]\n')[1] ?? '';
  return Number(/^Rss:\s+(\d+)/m.exec(heap)?.[1] ?? 0) * 1024;
}
