import type { Message } from './message.ts';

/** What sanlock of the original logs. */
export const SANLOCK_MESSAGES: readonly Message[] = [];
