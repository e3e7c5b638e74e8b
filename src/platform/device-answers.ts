import { spawn } from 'node:child_process';
import { stat } from 'node:fs';

/**
 * Resolves when a read of a block device has ended, well or not, in a process of its own. That is
 * told to end after the deadline, and does when the device lets it: what waits for a file system of
 * the network can be killed, what waits for a block device cannot. Any other file is not read.
 */
export async function deviceAnswers(path: string, deadlineMs: number): Promise<void> {
  if (!(await isBlockDevice(path))) return;
  const words = [`if=${path}`, 'of=/dev/null', 'iflag=direct', 'bs=4096', 'count=1'];
  const child = spawn('dd', words, { stdio: 'ignore' });
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    child.unref();
  }, deadlineMs);
  await new Promise<void>((resolve) => {
    child.once('error', () => resolve()); // no dd is here: nothing is known
    child.once('exit', () => resolve());
  });
  clearTimeout(timer);
}

function isBlockDevice(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    // Where it fails, to open it says why.
    stat(path, (failure, stats) => resolve(failure === null && stats.isBlockDevice()));
  });
}
