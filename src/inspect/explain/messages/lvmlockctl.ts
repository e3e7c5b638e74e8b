import type { Message } from './message.ts';

/** What lvmlockctl says when a VG has lost its leases. */
export const LVMLOCKCTL_MESSAGES: readonly Message[] = [
  {
    pattern: /lost access to locks in VG/,
    example: 'lvmlockd lost access to locks in VG vg1.',
    found: 'sanlock cannot renew the leases of the VG: they are lost soon, and the host is reset',
    todo: 'deactivate its LVs at once (lvmlockctl --kill does, by holdfast); then see the storage',
  },
  {
    pattern: /Once VG is unused, run lvmlockctl --drop/,
    example: 'Once VG is unused, run lvmlockctl --drop vg1.',
    found: 'the locks of a lost VG are kept until nothing uses its LVs any more',
    todo: 'deactivate its LVs, then run that command; else the watchdog resets the host',
  },
  {
    pattern: /unrecognized config value from \S+lvm config/,
    example:
      'unrecognized config value from /sbin/lvm config --typeconfig full global/lvmlockctl_kill_command',
    found:
      'lvm.conf has no global/lvmlockctl_kill_command, so nobody deactivates the LVs of a lost VG',
    todo: 'set it, or use lvmlockctl of holdfast, which cuts the LVs off by itself',
  },
];
