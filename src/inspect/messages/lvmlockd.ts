import type { Message } from './message.ts';

/** What lvmlockd of the original logs. */
export const LVMLOCKD_MESSAGES: readonly Message[] = [];
