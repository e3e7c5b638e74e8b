import { ERRNO } from '../base/errno.ts';

/** The errno by name with which a call of Node's failed, 'ENOENT'; null: the error has none. */
export function errnoNameOf(error: unknown): string | null {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : null;
  return typeof code === 'string' ? code : null;
}

/** The errno with which a call of Node's failed, positive; EIO for an error that has none. */
export function errnoOf(error: unknown): number {
  const errno: unknown = error instanceof Error ? Reflect.get(error, 'errno') : null;
  return typeof errno === 'number' ? Math.abs(errno) : ERRNO.EIO;
}

/** The sentence of whatever was thrown. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
