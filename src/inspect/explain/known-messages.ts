import { KERNEL_MESSAGES } from './messages/kernel.ts';
import { LIBVIRT_MESSAGES } from './messages/libvirt.ts';
import { LVM_MESSAGES } from './messages/lvm.ts';
import { LVMLOCKCTL_MESSAGES } from './messages/lvmlockctl.ts';
import { LVMLOCKD_MESSAGES } from './messages/lvmlockd.ts';
import type { Message } from './messages/message.ts';
import { SANLOCK_MESSAGES } from './messages/sanlock.ts';
import { WDMD_MESSAGES } from './messages/wdmd.ts';

/** A message, and the program that says it. */
export interface KnownMessage extends Message {
  readonly program: keyof typeof OF_PROGRAMS;
}

/** By the program that says them; in the order in which they are tried. */
const OF_PROGRAMS = {
  lvm: LVM_MESSAGES,
  lvmlockctl: LVMLOCKCTL_MESSAGES,
  libvirt: LIBVIRT_MESSAGES,
  sanlock: SANLOCK_MESSAGES,
  lvmlockd: LVMLOCKD_MESSAGES,
  wdmd: WDMD_MESSAGES,
  kernel: KERNEL_MESSAGES,
} as const satisfies Readonly<Record<string, readonly Message[]>>;

const PROGRAMS = Object.keys(OF_PROGRAMS) as (keyof typeof OF_PROGRAMS)[]; // its own keys

/** In the order in which they are tried: a message within another one comes behind it. */
export const KNOWN_MESSAGES: readonly KnownMessage[] = PROGRAMS.flatMap((program) =>
  OF_PROGRAMS[program].map((message) => ({ ...message, program })),
);
