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
    isWithoutResult: true,
    found: 'a program that must renew its expiry has not: the host is reset in rem seconds',
    todo: 'see the storage of its lockspace, which sanlock could not renew',
  },
  {
    pattern: /test warning now/,
    example:
      'test warning now 52869 ping 52859 close 0 renewal 52867 expire 52875 client 1040 sanlock_LS1:1',
    isWithoutResult: true,
    found: 'an expiry is near: the watchdog is not pinged until that program has renewed it',
    todo: 'with a short io timeout nothing; else see the storage of its lockspace',
  },
  {
    pattern: /client dead ci \d+/,
    example: 'client dead ci 2 fd 8 pid 447 renewal 53386 expire 53394 sanlock_LS1:1',
    found:
      'a program that wdmd relies on has died without withdrawing its expiry: the host is reset',
    todo: 'with the programs of holdfast start that one again in time; else nothing stops the reset',
  },
  {
    pattern: /closed unclean/,
    example: '/dev/watchdog0 closed unclean',
    found:
      'wdmd does not ping the watchdog any more: it fires within a minute, unless it is opened again',
    todo: 'see the line before: which program has not renewed its expiry',
  },
  {
    pattern: /close_watchdog_unclean already closed/,
    example: 'close_watchdog_unclean already closed',
    found: 'the watchdog still counts down to the reset',
    todo: 'see the line before: which program has not renewed its expiry',
  },
  {
    pattern: /\/\S+ reopen$/,
    example: '/dev/watchdog0 reopen',
    found: 'every program has renewed its expiry: the watchdog is pinged again',
    todo: 'see why it was late',
  },
  {
    pattern: /failed to report timeout|failed to set timeout|invalid timeout \//,
    example: '/dev/watchdog1 failed to report timeout',
    found: 'that device is no watchdog, or does not take a timeout of 60 s',
    todo: 'give another one: wdmd -w DEVICE; wdmd --probe tries them',
  },
  {
    pattern: /error \d+ (stat|open|ioctl\b.*) \/dev\/watchdog/,
    example: 'error 2 stat /dev/watchdog0',
    found: 'that device cannot be used: 2: it is not there, 16: another program has it open',
    todo: 'modprobe softdog, or the driver of the hardware; fuser /dev/watchdog0 shows who has it',
  },
  {
    pattern: /lockfile setlk error \S*wdmd\.pid/,
    example: 'lockfile setlk error /run/wdmd/wdmd.pid: Resource temporarily unavailable',
    found: 'another wdmd runs here',
    todo: 'nothing, or end that one first: systemctl stop wdmd',
  },
];
