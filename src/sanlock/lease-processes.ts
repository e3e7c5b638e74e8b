import { unreachable } from '../base/assert.ts';
import type { FromLeaseProcess } from '../lease-process/messages.ts';
import { SANLK_OK } from '../wire/sanlock/codes.ts';
import { COMMAND_LOST } from './command-lost.ts';
import { log } from './effects.ts';
import { signalled } from './examine.ts';
import type { Front } from './front.ts';
import { recordProcessEnd } from './holder-journal.ts';
import { deliverEvents } from './host-events.ts';
import { loopLagged } from './lag.ts';
import { advance } from './lockspaces.ts';
import { commandRefused, refusalFields } from './refusals.ts';
import { renewalFailed } from './renewals.ts';
import { resultNumber } from './result-number.ts';
import { resumedEnded, resumedSent } from './resuming.ts';
import type { Lockspace } from './state.ts';
import { finished } from './undone.ts';

/** A message of a lease process: that of a lockspace, of a survivor, or the scratch one. */
export function leaseSent(front: Front, lease: number, message: FromLeaseProcess): void {
  if (message.kind === 'ran') {
    const pending = front.pending.get(message.id);
    // Of a recovery that fails at first, others know how often it does.
    const isQuiet = pending?.command.op === 'recover';
    if (!message.result.ok && pending !== undefined && !isQuiet) {
      commandRefused(front, pending, message.result);
    }
    const { id, result, unfinished } = message;
    front.ran(lease, id, { result, isFinished: unfinished !== true });
    return;
  }
  if (message.kind === 'finished') {
    finished(front, message.id);
    return;
  }
  const space = lockspaceOf(front, lease);
  if (space === null) resumedSent(front, lease, message);
  else sentTo(front, space, message);
}

function lockspaceOf(front: Front, lease: number): Lockspace | null {
  return front.lockspaces.find((candidate) => candidate.lease === lease) ?? null;
}

function sentTo(
  front: Front,
  space: Lockspace,
  message: Exclude<FromLeaseProcess, { kind: 'ran' | 'finished' }>,
): void {
  switch (message.kind) {
    case 'joined':
      advance(front, space, { kind: 'joined', message });
      return;
    case 'leaveUnsure':
      advance(front, space, { kind: 'leaveUnsure', untilMs: message.untilMs });
      return;
    case 'left':
      space.hasLeft = true;
      advance(front, space, { kind: 'left' });
      return;
    case 'joinFailed':
      joinFailed(front, space, message);
      return;
    case 'renewed':
      space.renewalResult = SANLK_OK;
      space.lastAttemptS = front.nowS;
      advance(front, space, { kind: 'renewed', message });
      return;
    case 'renewalFailed':
      renewalFailed(front, space, message);
      return;
    case 'hosts':
      space.checkedS = message.checkedS;
      space.hostsReadS = message.sentS;
      for (const host of message.changed) space.hosts.set(host.hostId, host);
      deliverEvents(front, space, message.signals);
      signalled(front, space, message.signals);
      return;
    case 'lagged':
      loopLagged(front, message.lagMs, space);
      return;
    default:
      unreachable(message);
  }
}

function joinFailed(
  front: Front,
  space: Lockspace,
  message: Extract<FromLeaseProcess, { kind: 'joinFailed' }>,
): void {
  log(front, 'warn', 'lockspace.notJoined', {
    lockspace: space.name,
    hostId: space.hostId,
    path: space.path,
    offset: space.offset,
    ...refusalFields(message),
  });
  advance(front, space, { kind: 'joinFailed', result: resultNumber(message.error) });
}

/** The channel broke unasked. */
export function leaseLost(front: Front, lease: number): void {
  const space = lockspaceOf(front, lease);
  if (space !== null) {
    advance(front, space, { kind: 'processLost' });
    return;
  }
  if (front.scratch === lease) front.scratch = null;
  front.failPending(lease, COMMAND_LOST);
  front.endLease(lease);
}

/**
 * The process is gone for good, and with it every write it had sent: only now may the host id be
 * joined again from here.
 */
export function leaseEnded(front: Front, lease: number): void {
  if (front.scratch === lease) front.scratch = null;
  const space = lockspaceOf(front, lease);
  front.failPending(lease, COMMAND_LOST);
  if (space === null) resumedEnded(front, lease);
  else {
    advance(front, space, { kind: 'processEnded' });
    recordProcessEnd(front, space);
  }
  // Last: as long as the journal has its lockspace it names the process.
  front.leaseProcesses.delete(lease);
  front.lingering.delete(lease);
}
