import { stat } from 'node:fs';
import { ChildProgram } from './child-program.ts';

/** dd says little. */
const MAX_BYTES = 64 * 1024;

/**
 * Resolves when a read of a block device has ended, well or not, in a process of its own. That is
 * told to end after the deadline, and does when the device lets it: what waits for a file system of
 * the network can be killed, what waits for a block device cannot. Any other file is not read.
 */
export async function deviceAnswers(path: string, deadlineMs: number): Promise<void> {
  if (!(await isBlockDevice(path))) return;
  const words = ['dd', `if=${path}`, 'of=/dev/null', 'iflag=direct', 'bs=4096', 'count=1'] as const;
  const wish = { words, environment: process.env, maxBytes: MAX_BYTES };
  await new Promise<void>((resolve) => {
    let timer: NodeJS.Timeout | null = null;
    const started = ChildProgram.start(wish, () => {
      if (timer !== null) clearTimeout(timer);
      resolve();
    });
    if (!started.ok) {
      resolve(); // no dd is here: nothing is known
      return;
    }
    timer = setTimeout(() => {
      started.value.kill();
      started.value.leave();
    }, deadlineMs);
  });
}

function isBlockDevice(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    // Where it fails, to open it says why.
    stat(path, (failure, stats) => resolve(failure === null && stats.isBlockDevice()));
  });
}
