import type { LeaseCommandResult } from '../lease-process/messages.ts';
import { COMMAND_LOST } from './command-lost.ts';
import type { Front } from './front.ts';
import { recordLeaseEnd } from './holder-journal.ts';
import type { Want } from './state.ts';

/**
 * An acquire was refused, or a release is answered. Where something of it is still to be done on
 * the disk the journal says so until it is: a daemon that comes in between has to do it. What a
 * lost lease process had under way stays there until the lockspace is left.
 */
export function endWant(
  front: Front,
  want: Want,
  end: { readonly result: LeaseCommandResult; readonly unfinished: number | null },
): void {
  const { result, unfinished } = end;
  if (unfinished === null && result !== COMMAND_LOST) {
    recordLeaseEnd(front, want);
    return;
  }
  want.lockspace.undone.add(want);
  if (unfinished !== null) front.finishing.set(unfinished, want);
}

/** What that command had left to be done is done. */
export function finished(front: Front, command: number): void {
  const want = front.finishing.get(command);
  front.finishing.delete(command);
  if (want === undefined || !want.lockspace.undone.delete(want)) return;
  recordLeaseEnd(front, want);
}
