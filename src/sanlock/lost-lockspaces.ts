import { assert, unreachable } from '../base/assert.ts';
import { SANLK_OK, SANLOCK_CODES } from '../wire/sanlock/codes.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { recordForgotten, recordLost } from './holder-journal.ts';
import { hasFailed, isRemoved, listOf, mayGrant } from './lockspace-phase.ts';
import { type LostFacts, type LostLockspace, lostLockspace } from './lost-lockspace.ts';
import { type LostEvent, stepLost } from './lost-step.ts';
import { clashes, isIdentical, isMeant, type NamedLockspace, named } from './named-lockspace.ts';
import type { Lockspace } from './state.ts';

/** More were never seen on one host. The oldest is forgotten. */
const MAX_LOST = 64;
/** Results below are the answers of a disk that was read; those above say why it was not. */
const FIRST_LEASE_CODE = -200;
/** Nor was it read on these: its storage is silent, or wdmd is away. */
const NOT_READ: readonly number[] = [SANLOCK_CODES.AIO_TIMEOUT, SANLOCK_CODES.WD_ERROR];

/**
 * A lockspace whose users could not be protected any more, and have ended: at its end, while its
 * resources are still there. It is not joined again unasked where another host has overwritten its
 * record, nor where persistent leases were lost: a new generation would free those at once, and
 * their users (active LVs) may go on.
 */
export function isLost(front: Front, space: Lockspace): boolean {
  const wasJoined = space.acquireResult === SANLK_OK;
  const isWanted = !isRemoved(space) && !front.ending;
  const isUsed = space.lostOrphans || front.resources.some((one) => one.lockspace === space);
  return wasJoined && hasFailed(space) && isWanted && space.corruptResult === 0 && !isUsed;
}

/**
 * `isLost`, and nothing of it is left here.
 * @param how.id of its line in the journal
 * @param how.isSettled nothing that its lease process was refused lands any more
 */
export function remember(
  front: Front,
  space: LostFacts,
  how: { readonly id: number; readonly isSettled: boolean; readonly usedByOrphans: boolean },
): void {
  const { id, isSettled, usedByOrphans } = how;
  const known = front.lost.find((one) => isIdentical(one.space, named(space)));
  if (known !== undefined) {
    known.usedByOrphans = usedByOrphans;
    advance(front, known, { kind: 'lostAgain', isSettled });
    recordForgotten(front, id); // that one has its own line
    return;
  }
  const [oldest] = front.lost;
  if (front.lost.length >= MAX_LOST && oldest !== undefined) {
    advance(front, oldest, { kind: 'removed' });
  }
  front.lost.push(lostLockspace(id, space, { nowMs: front.nowMs, isSettled, usedByOrphans }));
  recordLost(front, id);
  const { name: lockspace, hostId, path, offset } = space;
  log(front, 'warn', 'lockspace.joinsAgain', { lockspace, hostId, path, offset });
}

/** Those whose turn has come. @param join begins the join of one that nothing forbids */
export function joinLost(front: Front, join: (lost: LostLockspace) => void): void {
  for (const one of [...front.lost]) {
    advance(front, one, { kind: 'tick', mayJoin: mayJoin(front, one.space) }, join);
  }
}

function mayJoin(front: Front, space: LostFacts): boolean {
  const isEnding = front.ending || front.handsOver !== null;
  if (isEnding || front.journalState.holdersUnknown) return false;
  const inTheWay = (other: LostFacts) => clashes(other, named(space));
  return !front.lockspaces.some(inTheWay) && !front.survivors.some((one) => inTheWay(one.space));
}

/** A client adds a lockspace: that one, or another one in its place. */
export function lostAdded(front: Front, asked: NamedLockspace): void {
  for (const one of front.lost.filter(({ space }) => clashes(space, asked))) {
    advance(front, one, { kind: isIdentical(one.space, asked) ? 'added' : 'removed' });
  }
}

/**
 * Whether the daemon has joined it again, or is about to, and the client that adds it is the first
 * one since: then it gets the answer of that join.
 */
export function isRejoined(front: Front, space: Lockspace): boolean {
  const one = front.lost.find((candidate) => isIdentical(candidate.space, named(space)));
  if (one === undefined) return false;
  const isUnanswered = one.phase.kind === 'joining' && !one.phase.isAdded;
  if (isUnanswered && listOf(space) === 'adding') return true;
  return one.phase.kind === 'joined' && mayGrant(space);
}

/** An attempt of the daemon that no client asked for. */
export function isUnasked(front: Front, space: Lockspace): boolean {
  const one = front.lost.find((candidate) => isIdentical(candidate.space, named(space)));
  return one?.phase.kind === 'joining' && !one.phase.isAdded;
}

export function lostRemoved(front: Front, asked: NamedLockspace): void {
  for (const one of front.lost.filter(({ space }) => isMeant(space, asked))) {
    advance(front, one, { kind: 'removed' });
  }
}

/** It was joined, or the next daemon has it handed over. */
export function lostOpened(front: Front, space: Lockspace): void {
  about(front, space, { kind: 'open' });
}

/** It was never open; its lease process has ended. */
export function lostNotJoined(front: Front, space: Lockspace): void {
  const { acquireResult } = space;
  const isFinal = acquireResult <= FIRST_LEASE_CODE && !NOT_READ.includes(acquireResult);
  // Of a process that broke it is not known what it was refused.
  const isSettled = space.hasLeft || acquireResult < 0;
  const failed = { kind: 'joinFailed', isFinal, isSettled } as const;
  about(front, space, isRemoved(space) ? { kind: 'removed' } : failed);
}

function about(front: Front, space: Lockspace, event: LostEvent): void {
  const one = front.lost.find((candidate) => isIdentical(candidate.space, named(space)));
  if (one !== undefined) advance(front, one, event);
}

function advance(
  front: Front,
  one: LostLockspace,
  event: LostEvent,
  join: ((lost: LostLockspace) => void) | null = null,
): void {
  const { name: lockspace, hostId } = one.space;
  const step = stepLost(one.phase, event, front.nowMs);
  one.phase = step.phase;
  for (const { kind } of step.effects) {
    switch (kind) {
      case 'join':
        assert(join !== null, 'a lost lockspace is joined when time has passed');
        join(one);
        break;
      case 'forget':
        front.lost = front.lost.filter((other) => other !== one);
        recordForgotten(front, one.id);
        break;
      case 'logRejoined':
        log(front, 'warn', 'lockspace.joinedAgain', { lockspace, hostId });
        break;
      case 'logGivenUp':
        log(front, 'error', 'lockspace.joinsNoMore', { lockspace, hostId });
        break;
      default:
        unreachable(kind);
    }
  }
}
