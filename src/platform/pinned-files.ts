import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { copiedMappings } from './mappings.ts';
import { mapFile } from './system-calls.ts';

/**
 * Maps the files that a child process reads when it starts, so that `lockMemory`, called after it,
 * keeps them: a process must be able to start when the disk that programs lie on hangs.
 *
 * Named files as a whole. And of the program and its libraries those pages which this process has
 * replaced by its own copies (relocations, variables): no other mapping keeps the originals. Absent
 * and empty files are passed over.
 */
export function pinFiles(paths: readonly string[]): void {
  for (const path of paths) pin(path, { offset: 0, bytes: null });
  for (const { file, offset, start, end } of copiedMappings(
    readFileSync('/proc/self/maps', 'latin1'),
  )) {
    pin(file, { offset, bytes: end - start });
  }
}

function pin(
  path: string,
  range: { readonly offset: number; readonly bytes: number | null },
): void {
  try {
    const fd = openSync(path, 'r');
    const bytes = range.bytes ?? fstatSync(fd).size;
    if (bytes > 0) mapFile(fd, range.offset, bytes);
    closeSync(fd);
  } catch {
    // Not on this machine, or replaced by an upgrade: no process reads it either.
  }
}
