import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import type { LockRequest } from '../wire/lvmlockd/requests.ts';
import { glPlaces } from './gl-carriers.ts';
import { readSlots, withGlobal } from './global-lock.ts';
import { findHolder, isHeldElsewhere, logHeldElsewhere } from './holders.ts';
import { isInUse } from './lockspace-phase.ts';
import type { HeldMode, HostSeen } from './managers/manager.ts';
import { duplicateWords, reply, replyNoLockspace } from './replies.ts';
import type { Answered, Resource } from './resource.ts';
import type { DaemonState, Lockspace } from './state.ts';

/**
 * lock_gl. Where two VGs carry an enabled global lock, it is taken in all that run here, by the
 * order of their names: two hosts that have one of them in common exclude each other, and so does
 * a host that knows only one of them, with every host that has that one (decision 0023).
 */

export interface FromClient {
  readonly clientId: number;
  readonly request: LockRequest;
}

/** Asks for a lock in one lockspace; the answer goes to `answered` instead of the client. */
export type LockIn = (
  state: DaemonState,
  to: FromClient,
  lockspace: Lockspace,
  answered: Answered | null,
) => void;

export function requestGlobal(state: DaemonState, to: FromClient, lockIn: LockIn): void {
  if (to.request.mode === 'un' && unlockAll(state, to, lockIn)) return;
  withGlobal(state, to, () => lockAll(state, to, lockIn, false));
}

interface Taken {
  readonly lockspace: Lockspace;
  /** What this client had there before. */
  readonly was: 'un' | HeldMode;
  readonly outcome: Parameters<Answered>[0];
}

/** `isAgain`: the slots have just been read. */
function lockAll(state: DaemonState, to: FromClient, lockIn: LockIn, isAgain: boolean): void {
  const asked = new Set<Lockspace>();
  const taken: Taken[] = [];
  // Looked for anew each time: one may have been left, started or noticed while another was asked.
  const unasked = () => glPlaces(state).find((one) => !asked.has(one));
  const next = (): void => {
    const lockspace = unasked();
    if (lockspace === undefined) {
      allAsked(state, to, lockIn, { taken, isAgain });
      return;
    }
    asked.add(lockspace);
    const was = heldMode(lockspace, to);
    lockIn(state, to, lockspace, (outcome) => {
      const { result } = outcome;
      const isOurs = result === LD_RESULT.OK || result === LD_RESULT.ALREADY;
      const isGone = result === LD_RESULT.ENOLS || (!isAgain && !isInUse(lockspace.phase));
      const isAlone = taken.length === 0;
      if (isOurs) taken.push({ lockspace, was, outcome });
      if (isAlone && !isGone && (!isOurs || unasked() === undefined)) return false;
      // Disabled by now, or left: it may have moved.
      if (isOurs || isGone) next();
      else undo(state, to, lockIn, taken, () => refuse(state, to, { lockspace, was, outcome }));
      return true;
    });
  };
  next();
}

function allAsked(
  state: DaemonState,
  to: FromClient,
  lockIn: LockIn,
  how: { readonly taken: readonly Taken[]; readonly isAgain: boolean },
): void {
  const { taken, isAgain } = how;
  const shown = taken.find(({ outcome }) => outcome.result === LD_RESULT.OK) ?? taken[0];
  if (shown !== undefined) answer(state, to, shown);
  else if (isAgain) replyNoLockspace(state, to);
  // Another host has moved it since the slots were read.
  else readSlots(state, to, () => lockAll(state, to, lockIn, true));
}

/** Another host has one of them: what was taken is given back, so that it does not wait for us. */
function undo(
  state: DaemonState,
  to: FromClient,
  lockIn: LockIn,
  taken: readonly Taken[],
  then: () => void,
): void {
  const last = taken.at(-1);
  if (last === undefined) {
    then();
    return;
  }
  const goOn = () => {
    undo(state, to, lockIn, taken.slice(0, -1), then);
    return true;
  };
  const { lockspace, was, outcome } = last;
  const isChanged = outcome.result === LD_RESULT.OK && was !== to.request.mode;
  const isUp = was === 'ex'; // a step down that stays; ex would have to be acquired anew
  if (!isChanged || isUp || !state.lockspaces.includes(lockspace)) goOn();
  else lockIn(state, { ...to, request: { ...to.request, mode: was } }, lockspace, goOn);
}

/** Where this client has it, whatever the slots say now; false: nowhere. */
function unlockAll(state: DaemonState, to: FromClient, lockIn: LockIn): boolean {
  const held = state.lockspaces.filter((one) => heldMode(one, to) !== 'un');
  const next = (index: number): void => {
    const lockspace = held[index];
    if (lockspace === undefined) return;
    const answered: Answered = (outcome) => {
      if (held.length === 1) return false;
      if (index === 0) answer(state, to, { lockspace, was: 'un', outcome });
      else next(index - 1);
      return true;
    };
    // One that was left meanwhile has released it.
    const isThere = state.lockspaces.includes(lockspace);
    if (isThere) lockIn(state, to, lockspace, answered);
    else answered({ result: LD_RESULT.OK, lmResult: 0, flag: '' });
  };
  next(held.length - 1);
  return held.length > 0;
}

/** With the host that has it, where one has it: what was taken is given back by now. */
function refuse(state: DaemonState, to: FromClient, refused: Taken): void {
  const { lockspace, outcome } = refused;
  const resource = globalResource(lockspace);
  if (resource === undefined || !isHeldElsewhere(outcome)) {
    answer(state, to, refused);
    return;
  }
  findHolder(state, lockspace, resource, (seen) => {
    logHeldElsewhere(state, lockspace, { resource, action: to, seen });
    answer(state, to, refused, seen);
  });
}

function answer(
  state: DaemonState,
  to: FromClient,
  { lockspace, outcome }: Taken,
  owner: HostSeen | null = null,
): void {
  const { result, lmResult, flag } = outcome;
  const isLock = result === LD_RESULT.OK && to.request.mode !== 'un';
  const words = isLock ? [...duplicateWords(state, lockspace)] : [];
  if (flag !== '') words.push(flag);
  const { lockType } = lockspace.manager;
  reply(state, to, { result, lmResult, lockType, words, owner, lockspace });
}

export function globalResource({ resources }: Lockspace): Resource | undefined {
  return resources.find(({ ref }) => ref.scope === 'gl');
}

function heldMode(lockspace: Lockspace, { clientId, request }: FromClient): 'un' | HeldMode {
  const owner = request.persistent ? 0 : clientId;
  const locks = globalResource(lockspace)?.locks ?? [];
  return locks.find((lock) => lock.clientId === owner)?.mode ?? 'un';
}
