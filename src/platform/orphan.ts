import { prctl } from './system-calls.ts';

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;

/**
 * Ends this process as soon as its parent is gone: leases without a front must not be
 * renewed. The kernel does it (even while the event loop is busy); the closed channel covers a
 * parent that died before the call. SIGKILL, because `process.exit` can hang (spec 70 §3).
 */
export function dieWithParent(): void {
  const leave = () => process.kill(process.pid, 'SIGKILL');
  process.on('disconnect', leave);
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (!process.connected) leave();
}
