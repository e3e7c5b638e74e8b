import type { LeaseCommandResult } from '../lease-process/messages.ts';

/** The answer to a command whose lease process is gone: its writes are unknown. */
export const COMMAND_LOST: LeaseCommandResult = {
  ok: false,
  step: 'run',
  error: { code: 'ERROR', during: 'lease process', facts: { reason: 'the process is gone' } },
  leader: null,
};
