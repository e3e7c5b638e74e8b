import { readdirSync } from 'node:fs';
import { errnoName } from './errno.ts';
import { lastErrno, mlockall, schedSetscheduler, setrlimit } from './system-calls.ts';

const SCHED_RR_RESET_ON_FORK = 2 | 0x40000000; // children and scripts stay ordinary
const MCL_CURRENT_ONFAULT = 1 | 4;
const MCL_CURRENT_FUTURE_ONFAULT = 1 | 2 | 4;
const RLIMIT_MEMLOCK = 8;
const RLIMIT_RTPRIO = 14;
const PRIORITY = 99;

/** Lifts the limits that the next two calls meet once privileges are dropped. */
export function liftLimits(): void {
  const unlimited = new Uint8Array(16).fill(0xff);
  setrlimit(RLIMIT_MEMLOCK, unlimited);
  setrlimit(RLIMIT_RTPRIO, unlimited);
}

/**
 * Locks memory as it is touched: locking all at once would multiply it (spec 70 §7).
 * @returns null, or why not.
 */
export function lockMemory(level: 0 | 1 | 2): string | null {
  if (level === 0) return null;
  const flags = level === 2 ? MCL_CURRENT_FUTURE_ONFAULT : MCL_CURRENT_ONFAULT;
  return mlockall(flags) < 0 ? errnoName(lastErrno()) : null;
}

/**
 * Real-time priority for every thread of this process: with only the main thread raised, it waits
 * for collector threads that get no processor (spec 70 §6). @returns null, or why not.
 */
export function raisePriority(): string | null {
  const param = new Uint8Array(4);
  new DataView(param.buffer).setInt32(0, PRIORITY, true);
  for (const tid of readdirSync('/proc/self/task')) {
    if (schedSetscheduler(Number(tid), SCHED_RR_RESET_ON_FORK, param) < 0) {
      return errnoName(lastErrno());
    }
  }
  return null;
}
