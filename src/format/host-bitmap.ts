import { assert } from '../base/assert.ts';
import { BITMAP_BYTES, BITMAP_OFFSET } from './geometry.ts';
import { MAX_HOST_ID } from './limits.ts';

/**
 * The bits by which a host calls others from its host lease (spec 10 §4.1). `offset` is that of the
 * host lease in `bytes`. An id that no host has is no bit: beside the map lie other sectors, and
 * before it the record itself.
 */

assert(MAX_HOST_ID <= BITMAP_BYTES * 8, 'every host has a bit in the map');

/** Calls `hostId` (1..2000) by its bit in the host lease at `offset`; any other id has no bit. */
export function setHostBit(bytes: Uint8Array, offset: number, hostId: number): void {
  if (!isHost(hostId)) return;
  const byte = offset + BITMAP_OFFSET + Math.floor((hostId - 1) / 8);
  bytes[byte] = (bytes[byte] ?? 0) | (1 << ((hostId - 1) % 8));
}

/** Whether the host lease at `offset` calls `hostId`; false for an id that no host has. */
export function hasHostBit(bytes: Uint8Array, offset: number, hostId: number): boolean {
  if (!isHost(hostId)) return false;
  const byte = offset + BITMAP_OFFSET + Math.floor((hostId - 1) / 8);
  return ((bytes[byte] ?? 0) & (1 << ((hostId - 1) % 8))) !== 0;
}

function isHost(hostId: number): boolean {
  return Number.isInteger(hostId) && hostId >= 1 && hostId <= MAX_HOST_ID;
}
