import { ERRNO } from '../base/errno.ts';
import type { FromLeaseProcess } from '../lease-process/messages.ts';
import { REM_FLAGS } from '../wire/sanlock/socket.ts';
import type { Front } from './front.ts';
import {
  forgetLeft,
  isExpired,
  LEASE,
  type LeftBehind,
  leftEnds,
  leftRenewed,
  leftStarts,
  namesOf,
  usersOf,
} from './holder-journal.ts';
import { joinRequest } from './join-request.ts';
import { resultNumber } from './result-number.ts';
import type { Reply } from './state.ts';

/**
 * Persistent leases of an earlier daemon: what uses them (an active LV) is no process, so nobody
 * tells when it ends, and with a new generation, or in silence, their host lease would free them.
 * So the membership of that daemon is resumed: renewed on with its own generation, granting
 * nothing, until a person removes the lockspace, which gives them back. (decision 0015)
 *
 *   waiting → resuming → renewing → leaving → forgotten
 *       ↖________↙_________↙  its lease process ended: again, while there is time
 *                 any → over  8·t have passed, or the record on disk is another one
 */
export type Resumption = 'waiting' | 'resuming' | 'renewing' | 'leaving' | 'over';

const AGAIN_MS = 1000;

/** What the disk may answer otherwise the next time; anything else it says is final. */
const UNSURE: ReadonlySet<string> = new Set(['AIO_TIMEOUT', 'ERRNO']);

/** What a person can do, for the log. */
function goOn({ space }: LeftBehind): string {
  const { name, hostId, path, offset } = space;
  return (
    'deactivate here what uses these leases (lvchange -an), then lvmlockctl --drop VG, or without ' +
    `lvmlockd: sanlock client rem_lockspace -s ${name}:${hostId}:${path}:${offset}`
  );
}

/** At start, at each look, and when a process has ended. */
export function resumeLeft(front: Front): void {
  for (const left of [...front.leftBehind]) if (left.leases.size > 0) advance(front, left);
}

function advance(front: Front, left: LeftBehind): void {
  const isLate = left.phase !== 'leaving' && left.phase !== 'over' && isExpired(front, left);
  if (isLate) over(front, left, 'its time has run out');
  // A process of either daemon: it may write, so nothing begins beside it.
  if (left.lease !== null || left.holders.has(LEASE)) return;
  if (left.phase === 'leaving') givenBack(front, left);
  else if (left.phase === 'waiting' && front.nowMs >= left.notBeforeMs) begin(front, left);
}

function begin(front: Front, left: LeftBehind): void {
  const { space, lastSuccessS: timestampS, claimedBootMs, generation } = left;
  const lease = front.outside.startLease(space.name);
  left.lease = lease;
  left.phase = 'resuming';
  left.notBeforeMs = front.nowMs + AGAIN_MS;
  if (!leftStarts(front, left)) {
    front.outside.endLease(lease); // what cannot be written down is not begun
    return;
  }
  const resume = { generation: BigInt(generation), timestampS, claimedBootMs };
  const request = joinRequest(front.settings, space, space.hostName);
  front.outside.toLease(lease, { kind: 'join', ...request, resume });
}

/** Nobody renews any more. What is to be done now only a person can do. */
function over(front: Front, left: LeftBehind, reason: string): void {
  left.phase = 'over';
  if (left.lease !== null) front.outside.endLease(left.lease);
  front.outside.log('error', 'leases.unprotected', { ...fieldsOf(left), reason });
}

/** @returns whether the message came from a process that resumes a membership */
export function resumedSaid(front: Front, lease: number, message: FromLeaseProcess): void {
  const left = front.leftBehind.find((one) => one.lease === lease);
  if (left === undefined) return;
  const { name, hostId } = left.space;
  switch (message.kind) {
    case 'joined':
      if (left.phase !== 'resuming') return;
      left.phase = 'renewing';
      left.lastSuccessS = message.timestampS;
      front.outside.log('warn', 'membership.resumed', {
        ...{ lockspace: name, hostId, generation: message.generation },
        ...{ resources: namesOf(left), goOn: goOn(left) },
      });
      return;
    case 'joinFailed':
      if (left.phase === 'resuming') resumeFailed(front, left, message.error);
      else front.outside.endLease(lease);
      return;
    case 'renewed':
      if (left.phase !== 'renewing') return;
      left.lastSuccessS = message.timestampS;
      left.claimedBootMs = message.claimedBootMs;
      leftRenewed(front, left);
      return;
    case 'renewalFailed': {
      const result = resultNumber(message.error);
      front.outside.log('warn', 'renewal.failed', { lockspace: name, hostId, result });
      if (message.overwritten && left.phase === 'renewing') over(front, left, 'overwritten');
      return;
    }
    case 'left':
      front.outside.endLease(lease);
      return;
    default:
      return; // it was given no command, and other hosts' state matters to nobody here
  }
}

function resumeFailed(
  front: Front,
  left: LeftBehind,
  error: Extract<FromLeaseProcess, { kind: 'joinFailed' }>['error'],
): void {
  if (!UNSURE.has(error.code)) {
    over(front, left, `its host lease is not as it left it (${error.code})`);
    return;
  }
  const { name, hostId } = left.space;
  const fields = { lockspace: name, hostId, result: resultNumber(error), during: error.during };
  front.outside.log('warn', 'membership.notResumed', fields);
  if (left.lease !== null) front.outside.endLease(left.lease);
}

/** Its process is gone for good. While there is time another one goes on. */
export function resumedEnded(front: Front, lease: number): void {
  const left = front.leftBehind.find((one) => one.lease === lease);
  if (left === undefined) return;
  left.lease = null;
  leftEnds(front, left);
  if (left.phase === 'resuming' || left.phase === 'renewing') left.phase = 'waiting';
  advance(front, left);
}

/** A person says that nothing here uses them any more, or the process that held them does. */
export function giveBack(
  front: Front,
  left: LeftBehind,
  how: { readonly cmdFlags: number; readonly asker: number; readonly reply: Reply },
): void {
  const pids = usersOf(left, how.asker);
  if (pids.length > 0) {
    const fields = { lockspace: left.space.name, pids: pids.join(' ') };
    front.outside.log('warn', 'lockspace.stillHeld', fields);
  }
  if (how.cmdFlags & REM_FLAGS.UNUSED || pids.length > 0) {
    how.reply(-ERRNO.EBUSY);
    return;
  }
  if (left.phase === 'leaving') {
    how.reply(-ERRNO.EINPROGRESS);
    return;
  }
  if (how.cmdFlags & REM_FLAGS.ASYNC) how.reply(0);
  else left.waiters.push(how.reply);
  const isRenewing = left.lease !== null && left.phase !== 'over';
  left.phase = 'leaving';
  // Freed on the disk at once, where it is renewed; else by time, or by the next join from here.
  if (isRenewing && left.lease !== null) {
    front.outside.toLease(left.lease, { kind: 'leave', release: true });
  }
  advance(front, left);
}

function givenBack(front: Front, left: LeftBehind): void {
  const resources = namesOf(left);
  front.outside.log('info', 'leases.givenBack', { lockspace: left.space.name, resources });
  forgetLeft(front, left);
  for (const reply of left.waiters.splice(0)) reply(0);
}

/** Tells why the lockspace is not joined. */
export function stillKept(front: Front, left: LeftBehind): void {
  front.outside.log('error', 'lockspace.keptLeases', fieldsOf(left));
}

/**
 * Such a daemon does not end, forced or not: nothing but a person ends these leases, and while it
 * waited for that it would take no word of any. Tells what to do.
 */
export function keepsLeases(front: Front): boolean {
  const kept = front.leftBehind.filter(({ leases }) => leases.size > 0);
  for (const left of kept) front.outside.log('error', 'daemon.keepsLeases', fieldsOf(left));
  return kept.length > 0;
}

function fieldsOf(left: LeftBehind) {
  return { lockspace: left.space.name, resources: namesOf(left), goOn: goOn(left) };
}
