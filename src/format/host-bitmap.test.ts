import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BITMAP_BYTES, BITMAP_OFFSET } from './geometry.ts';
import { hasHostBit, setHostBit } from './host-bitmap.ts';

const AT = 512;

test('each host has a bit of its own in the map, and no id has one anywhere else', () => {
  for (let hostId = 1; hostId <= 2000; hostId++) {
    const bytes = new Uint8Array(1536);
    setHostBit(bytes, AT, hostId);
    const set = bytes.reduce((count, byte) => count + (byte === 0 ? 0 : 1), 0);
    const [first, end] = [AT + BITMAP_OFFSET, AT + BITMAP_OFFSET + BITMAP_BYTES];
    assert.equal(set, 1);
    assert.ok(bytes.subarray(first, end).some((byte) => byte !== 0));
    assert.ok(hasHostBit(bytes, AT, hostId));
    assert.equal(hasHostBit(bytes, AT, 1 + (hostId % 2000)), false);
  }
  const bytes = new Uint8Array(1536);
  // 4294965249: its place would be 256 bytes before the map, in the record's magic number.
  const ids = [0, -1, -2047, 2001, 2048, 2049, 4294965249, 2 ** 32 + 1, 2 ** 53, NaN, 1.5];
  for (const hostId of ids) {
    setHostBit(bytes, AT, hostId);
    assert.ok(
      bytes.every((byte) => byte === 0),
      `${hostId}`,
    );
    bytes.fill(0xff);
    assert.equal(hasHostBit(bytes, AT, hostId), false, `${hostId}`);
    bytes.fill(0);
  }
});
