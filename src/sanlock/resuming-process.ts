import { assert } from '../base/assert.ts';
import { REFUSED_LANDS_MS } from '../lease/lease-times.ts';
import { toLease } from './effects.ts';
import type { Front } from './front.ts';
import { LEASE_HOLDER } from './holder-lines.ts';
import { joinRequest } from './join-request.ts';
import { type Lockspace, newLockspace } from './state.ts';
import type { Survivor } from './survivors.ts';

/** The lease process that resumes a membership, and what it is told of the one before. */

/** How the process before ended is asked first: writes that were refused to it may still land. */
export function startProcess(
  front: Front,
  survivor: Survivor,
  started: (lease: number) => void,
): void {
  assert(!survivor.holders.has(LEASE_HOLDER), 'a process starts when no other can write any more');
  const { lastProcess } = survivor;
  if (lastProcess === null) {
    start(front, survivor, started);
    return;
  }
  const of = { pid: lastProcess.pid, identity: lastProcess.started };
  front.findLeaseEnd(of, (end) => {
    const latestMs = survivor.processEndedMs + REFUSED_LANDS_MS;
    // No sound record says more: the lockspace would be kept from granting for ever.
    const untilMs = end === null ? latestMs : Math.min(end.refusedUntilMs ?? 0, latestMs);
    survivor.refusedUntilMs = Math.max(survivor.refusedUntilMs, untilMs);
    start(front, survivor, started);
  });
}

function start(front: Front, { space }: Survivor, started: (lease: number) => void): void {
  const lease = front.startLease(space.name, () => started(lease));
}

/** The membership goes on with what the journal says of it, if the disk says so too. */
export function resumeMembership(front: Front, survivor: Survivor, lease: number): void {
  const { space, lastSuccessS: timestampS, claimedBootMs, generation } = survivor;
  survivor.lockspace = lockspaceOf(survivor, lease);
  const { refusedUntilMs: untilMs } = survivor;
  const refusedUntilMs = untilMs > front.nowMs ? untilMs : null;
  const resume = { generation: BigInt(generation), timestampS, claimedBootMs, refusedUntilMs };
  const request = joinRequest(front.settings, space);
  toLease(front, lease, { kind: 'join', ...request, resume });
}

function lockspaceOf({ id, space }: Survivor, lease: number): Lockspace {
  const { name, hostId, path, offset, ioTimeoutS, hostName, joinedS } = space;
  const facts = { id, name, hostId, path, offset, ioTimeoutS, hostName, lease };
  return { ...newLockspace(facts), joinedS, isRecorded: true };
}
