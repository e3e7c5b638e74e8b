import type { Message } from './message.ts';

/** What the kernel says of a watchdog. */
export const KERNEL_MESSAGES: readonly Message[] = [
  {
    pattern: /watchdog did not stop!/,
    example: 'watchdog: watchdog0: watchdog did not stop!',
    found: 'the process that had the watchdog device has ended without disarming it',
    todo: 'start wdmd within a minute, or the host is reset: that is what it is for',
  },
];
