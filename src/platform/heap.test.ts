import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { test } from 'node:test';
import { getHeapSpaceStatistics } from 'node:v8';
import koffi from 'koffi';
import { MIB } from '../base/units.ts';
import { boundMemory } from './heap.ts';
import { mallocTrim } from './system-calls.ts';

const LIMIT_BYTES = 4 * MIB;
const PAGE_BYTES = 4096;
/** Of a page in the kernel's page map: its highest byte has the flags (proc(5)). */
const ENTRY_BYTES = 8;
const PRESENT_OR_SWAPPED = 0xc0;

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
  const taken = (bytes: number): Block => {
    const memory = malloc(bytes);
    memset(memory, 1, bytes);
    return { memory, address: Number(koffi.address(memory)), bytes };
  };
  const release = (blocks: readonly Block[]): void => {
    for (const { memory } of blocks) free(memory);
  };
  release([taken(4 * MIB)]); // raises the thresholds of a malloc that is not bounded
  const large = [taken(2 * MIB)];
  assert.ok(heldBytes(large) > 1.9 * MIB, `${heldBytes(large)} bytes of the large block`);
  release(large);
  // Not none: what V8 takes next may lie where the block was.
  assert.ok(heldBytes(large) < MIB, 'a large block is no part of the heap');

  const burst = Array.from({ length: 200 }, () => taken(100_000));
  burst.sort((a, b) => a.address - b.address);
  const last = burst.splice(-1); // at the end of the heap, which cannot shrink by itself then
  assert.ok(heldBytes(burst) > 15 * MIB, `${heldBytes(burst)} bytes of the burst`);
  release(burst);
  mallocTrim(0);
  assert.ok(heldBytes(burst) < 2 * MIB, `${heldBytes(burst)} bytes are left of the burst`);
  release(last);
});

interface Block {
  readonly memory: unknown;
  readonly address: number;
  readonly bytes: number;
}

/**
 * What the pages of these blocks take, by the kernel's page map. Not the size of the heap: where
 * V8 has put its code right behind the heap, malloc takes its memory elsewhere.
 */
function heldBytes(blocks: readonly Block[]): number {
  const map = openSync('/proc/self/pagemap', 'r');
  const held = blocks.flatMap(({ address, bytes }) => {
    const first = Math.ceil(address / PAGE_BYTES);
    const count = Math.floor((address + bytes) / PAGE_BYTES) - first;
    const entries = Buffer.alloc(count * ENTRY_BYTES);
    readSync(map, entries, 0, entries.length, first * ENTRY_BYTES);
    return Array.from({ length: count }, (_, n) => entries.readUInt8(n * ENTRY_BYTES + 7));
  });
  closeSync(map);
  return held.filter((flags) => (flags & PRESENT_OR_SWAPPED) !== 0).length * PAGE_BYTES;
}
