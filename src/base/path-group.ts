import type { ByteString } from './bytes.ts';

/** Folders in which names of unlike devices lie side by side. */
const MIXED = ['/dev', '/dev/mapper', '/dev/disk/by-id', '/dev/disk/by-path', '/dev/disk/by-uuid'];

/**
 * What the paths of one device probably have in common: files of one folder, volumes of one group.
 * Requests share by it before their device is known; it decides about fairness alone.
 */
export function pathGroup(path: ByteString): ByteString {
  const folder = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  return MIXED.includes(folder) ? path : folder;
}
