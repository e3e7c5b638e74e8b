import { ERRNO } from '../base/errno.ts';
import type { LeaseError } from '../lease/lease-error.ts';
import { SANLOCK_CODES } from '../wire/sanlock/codes.ts';

/** The negative number an existing client must see for a refusal. */
export function resultNumber(error: LeaseError): number {
  if (error.code === 'ERRNO') return -(error.errno ?? ERRNO.EIO);
  return SANLOCK_CODES[error.code];
}
