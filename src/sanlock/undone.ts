import type { LeaseCommandResult } from '../lease-process/messages.ts';
import { COMMAND_LOST } from './command-lost.ts';
import type { Front } from './front.ts';
import { recordLeaseEnd, recordMode } from './holder-journal.ts';
import type { Resource, Want } from './state.ts';

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

/**
 * A conversion failed. Where something of it may still be on its way to the disk, the journal has
 * the conversion on: a daemon that comes in between must wait for that before it believes the disk.
 * @returns false: nothing is left
 */
export function leaveUnconverted(
  front: Front,
  resource: Resource,
  end: { readonly result: LeaseCommandResult; readonly unfinished: number | null },
): boolean {
  const { result, unfinished } = end;
  if (unfinished === null && result !== COMMAND_LOST) return false;
  resource.unconverted = unfinished ?? 'lost';
  if (unfinished !== null) front.unconverted.set(unfinished, resource);
  return true;
}

/** What that command had left to be done is done. */
export function finished(front: Front, command: number): void {
  const resource = front.unconverted.get(command);
  front.unconverted.delete(command);
  if (resource !== undefined) converted(front, resource, command);
  const want = front.finishing.get(command);
  front.finishing.delete(command);
  if (want === undefined || !want.lockspace.undone.delete(want)) return;
  recordLeaseEnd(front, want);
}

/** Another conversion of it may have begun, whose line counts on. */
function converted(front: Front, resource: Resource, command: number): void {
  if (resource.unconverted !== command) return;
  resource.unconverted = null;
  const isHeld = resource.isRecorded && front.resources.includes(resource);
  if (isHeld && !resource.converting) recordMode(front, resource);
}
