import { unreachable } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import type { FromLeaseProcess } from '../lease-process/messages.ts';
import { REM_FLAGS } from '../wire/sanlock/socket.ts';
import { log, toLease } from './effects.ts';
import type { Front } from './front.ts';
import {
  recordProcessEnd,
  recordRenewal,
  recordResumption,
  recordSurvivorReleased,
} from './holder-journal.ts';
import { LEASE_HOLDER } from './holder-lines.ts';
import { joinRequest } from './join-request.ts';
import { resultNumber } from './result-number.ts';
import type { Reply } from './state.ts';
import { resourcesText, type Survivor, userPids } from './survivors.ts';
import { isExpired } from './survivors-stop.ts';

/**
 * Persistent leases of an earlier daemon: what uses them (an active LV) is no process, so nobody
 * tells when it ends, and with a new generation, or in silence, their host lease would free them.
 * So the membership of that daemon is resumed: renewed on with its own generation, granting
 * nothing, until a person removes the lockspace, which gives them back. (decision 0015)
 */
const AGAIN_MS = 1000;

/** What the disk may answer otherwise the next time; anything else it says is final. */
const UNSURE: ReadonlySet<string> = new Set(['AIO_TIMEOUT', 'ERRNO']);

/** What a person can do, for the log. */
function goOn({ space }: Survivor): string {
  const { name, hostId, path, offset } = space;
  return (
    'deactivate here what uses these leases (lvchange -an), then lvmlockctl --drop VG, or without ' +
    `lvmlockd: sanlock client rem_lockspace -s ${name}:${hostId}:${path}:${offset}`
  );
}

/** At start, at each look, and when a process has ended. */
export function resumeSurvivors(front: Front): void {
  for (const survivor of [...front.survivors])
    if (survivor.leases.size > 0) advance(front, survivor);
}

function advance(front: Front, survivor: Survivor): void {
  const isLate =
    survivor.phase !== 'leaving' && survivor.phase !== 'over' && isExpired(front, survivor);
  if (isLate) over(front, survivor, 'its time has run out');
  // A process of either daemon: it may write, so nothing begins beside it.
  if (survivor.lease !== null || survivor.holders.has(LEASE_HOLDER)) return;
  if (survivor.phase === 'leaving') released(front, survivor);
  else if (survivor.phase === 'waiting' && front.nowMs >= survivor.notBeforeMs)
    begin(front, survivor);
}

function begin(front: Front, survivor: Survivor): void {
  const lease = front.startLease(survivor.space.name, () => begun(front, survivor, lease));
  survivor.lease = lease;
  survivor.phase = 'resuming';
  survivor.notBeforeMs = front.nowMs + AGAIN_MS;
}

function begun(front: Front, survivor: Survivor, lease: number): void {
  const { space, lastSuccessS: timestampS, claimedBootMs, generation } = survivor;
  if (!recordResumption(front, survivor)) {
    front.endLease(lease); // what cannot be written down is not begun
    return;
  }
  const resume = { generation: BigInt(generation), timestampS, claimedBootMs };
  const request = joinRequest(front.settings, space, space.hostName);
  toLease(front, lease, { kind: 'join', ...request, resume });
}

/** Nobody renews any more. What is to be done now only a person can do. */
function over(front: Front, survivor: Survivor, reason: string): void {
  survivor.phase = 'over';
  if (survivor.lease !== null) front.endLease(survivor.lease);
  log(front, 'error', 'leases.unprotected', { ...fieldsOf(survivor), reason });
}

/** @returns whether the message came from a process that resumes a membership */
export function resumedSaid(front: Front, lease: number, message: FromLeaseProcess): void {
  const survivor = front.survivors.find((one) => one.lease === lease);
  if (survivor === undefined) return;
  const { name, hostId } = survivor.space;
  switch (message.kind) {
    case 'joined':
      if (survivor.phase !== 'resuming') return;
      survivor.phase = 'renewing';
      survivor.lastSuccessS = message.timestampS;
      survivor.claimedBootMs = message.claimedBootMs;
      log(front, 'warn', 'membership.resumed', {
        ...{ lockspace: name, hostId, generation: message.generation },
        ...{ resources: resourcesText(survivor), goOn: goOn(survivor) },
      });
      return;
    case 'joinFailed':
      if (survivor.phase === 'resuming') resumeFailed(front, survivor, message.error);
      else front.endLease(lease);
      return;
    case 'renewed':
      if (survivor.phase !== 'renewing') return;
      survivor.lastSuccessS = message.timestampS;
      survivor.claimedBootMs = message.claimedBootMs;
      recordRenewal(front, survivor);
      return;
    case 'renewalFailed': {
      const result = resultNumber(message.error);
      log(front, 'warn', 'renewal.failed', { lockspace: name, hostId, result });
      if (message.overwritten && survivor.phase === 'renewing')
        over(front, survivor, 'overwritten');
      return;
    }
    case 'left':
      front.endLease(lease);
      return;
    case 'hosts':
    case 'lagged':
    case 'leaveUnsure':
    case 'ran':
      return; // it was given no command, and other hosts' state matters to nobody here
    default:
      unreachable(message);
  }
}

function resumeFailed(
  front: Front,
  survivor: Survivor,
  error: Extract<FromLeaseProcess, { kind: 'joinFailed' }>['error'],
): void {
  if (!UNSURE.has(error.code)) {
    over(front, survivor, `its host lease is not as it left it (${error.code})`);
    return;
  }
  const { name, hostId } = survivor.space;
  const fields = { lockspace: name, hostId, result: resultNumber(error), during: error.during };
  log(front, 'warn', 'membership.notResumed', fields);
  if (survivor.lease !== null) front.endLease(survivor.lease);
}

/** Its process is gone for good. While there is time another one goes on. */
export function resumedEnded(front: Front, lease: number): void {
  const survivor = front.survivors.find((one) => one.lease === lease);
  if (survivor === undefined) return;
  survivor.lease = null;
  survivor.holders.delete(LEASE_HOLDER);
  recordProcessEnd(front, survivor);
  if (survivor.phase === 'resuming' || survivor.phase === 'renewing') survivor.phase = 'waiting';
  advance(front, survivor);
}

/** A person says that nothing here uses them any more, or the process that held them does. */
export function releaseSurvivor(
  front: Front,
  survivor: Survivor,
  how: { readonly cmdFlags: number; readonly asker: number; readonly reply: Reply },
): void {
  const pids = userPids(survivor, how.asker);
  if (pids.length > 0) {
    const fields = { lockspace: survivor.space.name, pids: pids.join(' ') };
    log(front, 'warn', 'lockspace.stillHeld', fields);
  }
  if (how.cmdFlags & REM_FLAGS.UNUSED || pids.length > 0) {
    how.reply(-ERRNO.EBUSY);
    return;
  }
  if (survivor.phase === 'leaving') {
    how.reply(-ERRNO.EINPROGRESS);
    return;
  }
  if (how.cmdFlags & REM_FLAGS.ASYNC) how.reply(0);
  else survivor.waiters.push(how.reply);
  const isRenewing = survivor.lease !== null && survivor.phase !== 'over';
  survivor.phase = 'leaving';
  // Freed on the disk at once, where it is renewed; else by time, or by the next join from here.
  if (isRenewing && survivor.lease !== null) {
    toLease(front, survivor.lease, { kind: 'leave', release: true });
  }
  advance(front, survivor);
}

function released(front: Front, survivor: Survivor): void {
  const resources = resourcesText(survivor);
  log(front, 'info', 'leases.released', { lockspace: survivor.space.name, resources });
  recordSurvivorReleased(front, survivor);
  for (const reply of survivor.waiters.splice(0)) reply(0);
}

/** Tells why the lockspace is not joined. */
export function logKeptLeases(front: Front, survivor: Survivor): void {
  log(front, 'error', 'lockspace.keptLeases', fieldsOf(survivor));
}

/**
 * Such a daemon does not end, forced or not: nothing but a person ends these leases, and while it
 * waited for that it would take no word of any. Tells what to do.
 */
export function keepsLeases(front: Front): boolean {
  const kept = front.survivors.filter(({ leases }) => leases.size > 0);
  for (const survivor of kept) log(front, 'error', 'daemon.keepsLeases', fieldsOf(survivor));
  return kept.length > 0;
}

function fieldsOf(survivor: Survivor) {
  return {
    lockspace: survivor.space.name,
    resources: resourcesText(survivor),
    goOn: goOn(survivor),
  };
}
