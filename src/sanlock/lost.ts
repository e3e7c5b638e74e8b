import type { LeaseCommandResult } from '../lease-process/messages.ts';

/** The answer to a command whose lease process has gone: what it had written nobody knows. */
export const LOST: LeaseCommandResult = {
  ok: false,
  step: 'run',
  error: { code: 'ERROR', during: 'lease process', facts: { reason: 'the process is gone' } },
  leader: null,
};
