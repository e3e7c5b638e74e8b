import { readdirSync, stat } from 'node:fs';
import { ERRNO, errnoName } from '../base/errno.ts';
import { lastErrno, schedSetscheduler, setrlimit } from './system-calls.ts';

const SCHED_RR_RESET_ON_FORK = 2 | 0x40000000; // children and scripts stay ordinary
const RLIMIT_MEMLOCK = 8;
const RLIMIT_RTPRIO = 14;
const PRIORITY = 99;
const AGAIN_MS = 60_000;

/** Lifts the limits that `raisePriority` and `lockMemory` meet once privileges are dropped. */
export function liftLimits(): void {
  const unlimited = new Uint8Array(16).fill(0xff);
  setrlimit(RLIMIT_MEMLOCK, unlimited);
  setrlimit(RLIMIT_RTPRIO, unlimited);
}

/**
 * Real-time priority for every thread of this process, now and once a minute: with only the main
 * thread raised, it waits for collector threads that get no processor (spec 70 §6).
 * @returns null, or why not.
 */
export function raisePriority(): string | null {
  // libuv's pool comes with its first use; a thread made later starts as an ordinary one.
  stat('/proc/self', () => {});
  const reason = raiseAllThreads();
  if (reason === null) setInterval(raiseAllThreads, AGAIN_MS).unref();
  return reason;
}

function raiseAllThreads(): string | null {
  const param = new Uint8Array(4);
  new DataView(param.buffer).setInt32(0, PRIORITY, true);
  for (const tid of readdirSync('/proc/self/task')) {
    if (schedSetscheduler(Number(tid), SCHED_RR_RESET_ON_FORK, param) >= 0) continue;
    const errno = lastErrno();
    if (errno !== ERRNO.ESRCH) return errnoName(errno); // else it ended meanwhile
  }
  return null;
}
