import { assert } from './assert.ts';

/** Milliseconds in a second: disk and wire count seconds, the code milliseconds. */
export const SECOND_MS = 1000;
/** Bytes in a mebibyte, the unit of an area (spec 10 §3). */
export const MIB = 1024 * 1024;

/** Uniform in [0, 1). Given by whoever composes the program; seeded in tests and the simulator. */
export type Random = () => number;

/** A record's u64 as a number. Only for fields whose range is known to be below 2^53. */
export function toSafeNumber(value: bigint, field: string): number {
  assert(value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER), `${field} fits a safe integer`);
  return Number(value);
}

/** Whole CLOCK_MONOTONIC seconds, as written on disk. Rounds down: a claim may only get shorter. */
export function wholeSeconds(nowMs: number): number {
  return Math.floor(nowMs / SECOND_MS);
}
