import { MAX_OFFSET } from '../../format/limits.ts';

/** Of the smallest sector. */
const ALIGNMENT = 512n;

/** Whether an area can begin there; the sectors and sizes of the disk may allow fewer places. */
export function isAreaOffset(offset: bigint): boolean {
  return offset % ALIGNMENT === 0n && offset <= MAX_OFFSET;
}
