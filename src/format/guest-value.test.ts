import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeGuestValue, encodeGuestValue } from './guest-value.ts';

const VALUE = {
  uuid: '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10',
  hostId: 3n,
  generation: 7n,
  guestName: 'web',
  key: 'rbd:default/vms/disk1',
};

test('a value block comes back as it was written, in a sector of either size', () => {
  for (const sectorBytes of [512, 4096]) {
    const bytes = encodeGuestValue(VALUE, sectorBytes);
    assert.equal(bytes.length, sectorBytes);
    assert.deepEqual(decodeGuestValue(bytes), { ok: true, value: VALUE });
  }
  assert.equal(Buffer.from(encodeGuestValue(VALUE, 512)).toString('latin1', 0, 4), 'HFGV');
});

test('what is no value of ours is none, and a flipped bit is noticed wherever it is', () => {
  const said = (bytes: Uint8Array) => {
    const decoded = decodeGuestValue(bytes);
    return decoded.ok ? 'a value' : decoded.error;
  };
  assert.equal(said(new Uint8Array(512)), 'empty');
  assert.equal(said(new Uint8Array(100)), 'other');
  assert.equal(said(new Uint8Array(512).fill(0x41)), 'other');
  const good = encodeGuestValue(VALUE, 512);
  for (let at = 0; at < 388; at++) {
    const bytes = good.slice();
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    assert.notEqual(said(bytes), 'a value', `byte ${at}`);
  }
});

test('long names are cut', () => {
  const long = { ...VALUE, guestName: 'n'.repeat(300), key: 'k'.repeat(300) };
  const decoded = decodeGuestValue(encodeGuestValue(long, 512));
  assert.ok(decoded.ok);
  assert.equal(decoded.value.guestName.length, 64);
  assert.equal(decoded.value.key.length, 256);
});
