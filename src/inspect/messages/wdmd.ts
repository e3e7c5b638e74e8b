import type { Message } from './message.ts';

/** What wdmd of the original says, or prints at its start (spec 25). */
export const WDMD_MESSAGES: readonly Message[] = [
  {
    pattern: /other wdmd not cleanly stopped/,
    example: 'other wdmd not cleanly stopped, shm_open error 17',
    found:
      'a wdmd of this boot was killed; the original starts no other one, as the host may be reset',
    todo: 'reboot; with holdfast every next wdmd starts, and goes on where the last one was',
  },
  {
    pattern: /no watchdog device, load a watchdog driver/,
    example: 'no watchdog device, load a watchdog driver',
    found: 'this machine has no watchdog device that can be used',
    todo: 'modprobe softdog, or the driver of the hardware; holdfast does so by itself (wdmd --softdog)',
  },
  {
    pattern: /test failed rem/,
    example: 'test failed rem 29 now 1030 ping 999 close 0 renewal 950 expire 1030 client 1040',
    found: 'a program that must renew its expiry has not: the host is reset in rem seconds',
    todo: 'see the storage of its lockspace, which sanlock could not renew',
  },
];
