import { assert } from '../base/assert.ts';
import { BITMAP_BYTES, BITMAP_OFFSET } from './geometry.ts';
import { MAX_HOST_ID } from './limits.ts';

/**
 * The bits by which a host calls others from its host lease (spec 10 §4.1). `offset` is that of the
 * host lease in `bytes`. An id that no host has is no bit: beside the map lie other sectors, and
 * before it the record itself.
 */

assert(MAX_HOST_ID <= BITMAP_BYTES * 8, 'every host has a bit in the map');

export function setHostBit(bytes: Uint8Array, offset: number, hostId: number): void {
  const at = placeOf(hostId);
  if (at === null) return;
  const byte = offset + BITMAP_OFFSET + at.byte;
  bytes[byte] = (bytes[byte] ?? 0) | at.mask;
}

export function hasHostBit(bytes: Uint8Array, offset: number, hostId: number): boolean {
  const at = placeOf(hostId);
  if (at === null) return false;
  return ((bytes[offset + BITMAP_OFFSET + at.byte] ?? 0) & at.mask) !== 0;
}

function placeOf(hostId: number): { readonly byte: number; readonly mask: number } | null {
  if (!Number.isInteger(hostId) || hostId < 1 || hostId > MAX_HOST_ID) return null;
  const bit = hostId - 1;
  return { byte: Math.floor(bit / 8), mask: 1 << (bit % 8) };
}
