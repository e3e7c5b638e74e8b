import { ERRNO } from '../base/errno.ts';
import { SANLOCK_CODES } from '../wire/sanlock/codes.ts';

const ELSEWHERE: ReadonlySet<number> = new Set([
  SANLOCK_CODES.ACQUIRE_IDLIVE,
  SANLOCK_CODES.ACQUIRE_OWNED,
  SANLOCK_CODES.ACQUIRE_OTHER,
  SANLOCK_CODES.ACQUIRE_OWNED_RETRY,
  -ERRNO.EAGAIN,
]);

/** Whether another host has it, which the disk then names. */
export function isElsewhere(code: number): boolean {
  return ELSEWHERE.has(code);
}

/** Whether somebody has it, whom the user wants to know. */
export function isHeld(code: number): boolean {
  return isElsewhere(code) || code === -ERRNO.EEXIST;
}
