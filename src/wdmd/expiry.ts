import { SECOND_MS } from '../base/units.ts';

/** The device has its own clock: how far 1000 ppm take the two apart within 60 s, and more. */
const CLOCKS_APART_MS = 100;

/** Whether an expiry has passed, or may have by the clock of the device. */
export function hasPassed(expireS: bigint, nowMs: number): boolean {
  return BigInt(Math.floor((nowMs + CLOCKS_APART_MS) / SECOND_MS)) >= expireS;
}
