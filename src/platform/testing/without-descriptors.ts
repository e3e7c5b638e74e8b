import { closeSync, openSync } from 'node:fs';

/** Takes every descriptor that this process may have while `body` runs. */
export function withoutDescriptors(body: () => void): void {
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    body();
  } finally {
    for (const fd of taken) closeSync(fd);
  }
}
