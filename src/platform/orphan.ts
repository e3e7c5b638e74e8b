import { prctl } from './system-calls.ts';

const PR_SET_PDEATHSIG = 1;
const SIGUSR2 = 12;

/**
 * Calls `gone` once, as soon as the parent of this process is gone: leases without a front must not
 * be renewed. The kernel tells it by a signal, ahead of what the parent sent before its end; the
 * closed channel covers a parent that died before the call. The same signal from anybody else says
 * nothing.
 */
export function onParentGone(
  channel: { readonly isOpen: boolean; onClosed(gone: () => void): void },
  gone: () => void,
): void {
  const parent = process.ppid;
  let isTold = false;
  const tell = (): void => {
    if (isTold) return;
    isTold = true;
    gone();
  };
  channel.onClosed(tell);
  process.on('SIGUSR2', () => {
    if (process.ppid !== parent) tell(); // the kernel gives it another parent before it signals
  });
  prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0);
  if (!channel.isOpen) tell();
}
