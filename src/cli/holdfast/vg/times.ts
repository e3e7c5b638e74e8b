import { SECOND_MS } from '../../../base/units.ts';

export const MINUTE_MS = 60 * SECOND_MS;
/** A daemon that starts answers at the latest then, on a busy machine too. */
export const ANSWERS_WITHIN_MS = 90 * SECOND_MS;
export const LOOK_MS = 500;
