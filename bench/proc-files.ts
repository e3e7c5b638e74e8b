import { readdirSync, readFileSync } from 'node:fs';

/** '' for a file that is gone: threads and children come and go meanwhile. */
export function text(path: string): string {
  try {
    return readFileSync(path, 'ascii');
  } catch {
    return '';
  }
}

export function entries(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
