import type { ByteString } from './bytes.ts';

/** Folders in which names of unlike devices lie side by side. */
const MIXED = ['/dev', '/dev/mapper', '/dev/disk/by-id', '/dev/disk/by-path', '/dev/disk/by-uuid'];

/**
 * Paths that are likely to hang together, for who has to share before a device is known: files of
 * one folder, volumes of one group. It decides about fairness alone.
 */
export function pathGroup(path: ByteString): ByteString {
  const folder = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  return MIXED.includes(folder) ? path : folder;
}
