import { constants } from 'node:os';

export const EPERM = 1;
export const ESRCH = 3;
export const EIO = 5;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EINVAL = 22;
export const ENOSPC = 28;
export const EMSGSIZE = 90;
export const ETIMEDOUT = 110;
export const ECANCELED = 125;

const NAMES = new Map<number, string>();
for (const [name, number] of Object.entries(constants.errno)) {
  if (!NAMES.has(number)) NAMES.set(number, name); // EAGAIN before its other name EWOULDBLOCK
}

/** 'ENOENT' for 2; for texts people read. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}
