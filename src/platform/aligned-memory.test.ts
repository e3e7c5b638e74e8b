import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { type AlignedBuffer, AlignedPool } from './aligned-memory.ts';
import { wasmAllocator } from './disk-plain.ts';
import { allocateAligned, discardPages } from './system-calls.ts';

test('buffers of every class are page or sector aligned', () => {
  const pool = new AlignedPool(allocateAligned);
  for (const length of [512, 4096, 5000, 65536, MIB, 8 * MIB]) {
    const buffer = pool.take(length);
    assert.ok(buffer !== null);
    assert.ok(buffer.bytes.length >= length);
    assert.equal(buffer.address % Math.min(buffer.bytes.length, 4096), 0);
  }
});

test('the limit counts what is held, of whatever size, and a returned buffer is used again', () => {
  const pool = new AlignedPool(wasmAllocator(8 * MIB), 2 << 20);
  const first = pool.take(MIB);
  const second = pool.take(MIB);
  assert.ok(first !== null && second !== null);
  assert.equal(pool.take(512), null);
  assert.equal(pool.takenBytes, 2 << 20);
  pool.give(second);
  assert.equal(pool.take(600_000), second);
  pool.give(first);
  pool.give(second);
  assert.ok(
    pool.take(2 << 20) !== null,
    'what was needed in small pieces is no less for large ones',
  );
});

test('more than 8 MiB is refused, and a buffer is returned only once', () => {
  const pool = new AlignedPool(wasmAllocator(MIB));
  assert.equal(pool.take(8 * MIB + 1), null);
  const buffer = pool.take(512);
  assert.ok(buffer !== null);
  pool.give(buffer);
  assert.throws(() => pool.give(buffer), /returned once/);
});

test('buffers of one slab do not overlap', () => {
  const pool = new AlignedPool(allocateAligned);
  const buffers = Array.from({ length: 200 }, () => pool.take(512));
  for (const [i, buffer] of buffers.entries()) buffer?.bytes.fill(i);
  for (const [i, buffer] of buffers.entries()) {
    assert.ok(buffer?.bytes.every((byte) => byte === i % 256));
  }
});

test('only what was not used since the last check is discarded', () => {
  const pool = new AlignedPool(allocateAligned);
  const discarded: AlignedBuffer[] = [];
  const check = () => pool.discardUnused((buffer) => discarded.push(buffer), 1);
  const burst = Array.from({ length: 8 }, () => pool.take(MIB));
  for (const buffer of burst) if (buffer !== null) pool.give(buffer);
  check();
  assert.equal(discarded.length, 0, 'the burst was just now');
  const one = pool.take(MIB);
  assert.ok(one !== null);
  pool.give(one);
  check();
  assert.equal(discarded.length, 6, 'eight, less the one in use, less one kept');
  assert.equal(discarded.includes(one), false);
});

test('discarded pages are returned, and are good again', () => {
  const buffer = allocateAligned(MIB);
  assert.ok(buffer !== null);
  buffer.bytes.fill(7);
  discardPages(buffer);
  assert.equal(buffer.bytes[12345], 0);
  buffer.bytes.fill(9);
  assert.equal(buffer.bytes[12345], 9);
});
