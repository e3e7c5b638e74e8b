import { readFileSync } from 'node:fs';

/** The whole text of a small file, as of /proc or /etc; null: it is not there, or cannot be read. */
export function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
