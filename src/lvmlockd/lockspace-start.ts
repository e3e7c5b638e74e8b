import type { LogFields, LogLevel } from '../base/log-fields.ts';
import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import type { StartRequest } from '../wire/lvmlockd/requests.ts';
import { type JoinedLocks, joinWithLocks } from './adopt-locks.ts';
import { writeAdoptFile } from './adopt-writes.ts';
import { beginReading, noteGl } from './global-lock.ts';
import { learnGeneration } from './holders.ts';
import { mayHoldUp, reportRival, watchRival } from './host-rival.ts';
import { answerCancelled, joinedAnyway } from './join-cancel.ts';
import { gone, settleWaiters } from './lockspace-end.ts';
import { isJoined } from './lockspace-phase.ts';
import {
  type AdoptedLock,
  both,
  type FoundSpace,
  type LockManager,
  type PrepareOutcome,
} from './managers/manager.ts';
import { isManaged } from './managers/registry.ts';
import { changePhase } from './reattach.ts';
import { newRefreshState } from './refresh-state.ts';
import { reply } from './replies.ts';
import { newResource } from './resource.ts';
import { triesAgain } from './returning.ts';
import { logStale, removeStale } from './stale-mapping.ts';
import { type DaemonState, type Lockspace, log, resourceIn, run } from './state.ts';
import { OF_DAEMON, ofSpace } from './task-owner.ts';
import { unusedAfterMs } from './unused-locks.ts';
import { hasClash, isTooLong, lockspaceName } from './vg-names.ts';

/** start_vg: quick checks, then the answer, then the join (spec 30 §4.5). */
export function startVg(state: DaemonState, clientId: number, request: StartRequest): void {
  const to = { clientId, request };
  const { vgName, vgUuid, vgLockArgs, lockType } = request;
  const existing = state.lockspaces.find((one) => one.vg.vgName === vgName);
  if (existing !== undefined) {
    if (existing.vg.vgUuid === '') existing.vg.vgUuid = vgUuid;
    reply(state, to, { result: startedResult(existing, clientId) });
    return;
  }
  if (!isManaged(lockType) || isTooLong(state, vgName)) {
    reply(state, to, { result: vgName === '' ? LD_RESULT.EARGS : LD_RESULT.INVAL });
    return;
  }
  const manager = state.managers.get(lockType);
  if (manager === undefined) {
    reply(state, to, { result: LD_RESULT.PROTONOSUPPORT });
    return;
  }
  if (hasClash(state, vgName, manager)) {
    reply(state, to, { result: LD_RESULT.EARGS });
    return;
  }
  if (state.lockspaces.length >= state.limits.lockspaces) {
    reply(state, to, { result: LD_RESULT.NOMEM });
    return;
  }
  const hostId = request.hostId === 0 ? state.settings.hostId : request.hostId;
  const lockspace = addLockspace(state, manager, { vgName, vgUuid, vgLockArgs, hostId });
  lockspace.adopt = request.adopt;
  if (request.noDelay) log(state, 'info', 'start.noDelayIgnored', { vg: vgName, advice: NO_DELAY });
  const answered: StartAnswer = (outcome) => {
    if (outcome.result === 0) lockspace.starters.push(clientId);
    reply(state, to, { ...outcome, lockType });
    if (outcome.result === LD_RESULT.EMANAGER) logNotRunning(state, lockspace);
  };
  joinLockspace(state, lockspace, { clientId, answered });
}

const NO_DELAY = 'this sanlock always waits until an earlier owner of the host id is surely dead';

type StartAnswer = NonNullable<Lockspace['answerStart']>;

function startedResult(existing: Lockspace, clientId: number): number {
  const { kind } = existing.phase;
  if (kind === 'stopping' || kind === 'cancelling') return LD_RESULT.AGAIN;
  if (isJoined(existing.phase)) return LD_RESULT.EXIST;
  existing.starters.push(clientId);
  return LD_RESULT.ESTARTING;
}

function logNotRunning(state: DaemonState, { vg, manager }: Lockspace): void {
  const { lockType, advice } = manager;
  const fields = { vg: vg.vgName, lockType, advice: advice.notRunning };
  log(state, 'error', 'manager.notRunning', fields);
}

export function addLockspace(state: DaemonState, manager: LockManager, vg: FoundSpace): Lockspace {
  const id = state.nextLockspaceId;
  state.nextLockspaceId += 1;
  const { vgName, vgUuid, vgLockArgs, hostId } = vg;
  const lockspace: Lockspace = {
    id,
    name: lockspaceName(vgName),
    vg: { vgName, vgUuid, vgLockArgs },
    manager,
    hostId,
    generation: 0,
    space: manager.open({ vgName, vgUuid, vgLockArgs }, id),
    phase: { kind: 'preparing', isSessionLost: false },
    resources: [],
    vgHold: null,
    unlocked: new Map(),
    onHold: [],
    attempt: 'none',
    answerStart: null,
    failure: 0,
    onCancelled: [],
    watchMs: null,
    watchNumber: 0,
    checkMs: null,
    glEnabled: false,
    glExpected: false,
    glMovedBy: 0,
    glNotes: 0,
    glReadMs: null,
    refresh: newRefreshState(),
    adopt: 'no',
    starters: [],
  };
  resourceIn(state, lockspace, { scope: 'vg', name: 'VGLK' });
  state.lockspaces.push(lockspace);
  return lockspace;
}

/**
 * Prepares and joins it. `asked`: by this client, who is answered in between with the outcome of the
 * quick checks; null: no client has asked for it.
 */
export function joinLockspace(
  state: DaemonState,
  lockspace: Lockspace,
  asked: { readonly clientId: number; readonly answered: StartAnswer } | null,
): void {
  const { space, hostId, vg } = lockspace;
  const isWanted = state.settings.adopt || lockspace.adopt !== 'no';
  const adopt = isWanted && lockspace.manager.traits.adoptsLocks;
  const isAsked = asked !== null;
  lockspace.answerStart = asked?.answered ?? null;
  run(state, ofSpace(lockspace), space.prepare(hostId, lockspace.adopt === 'only'), (prepared) => {
    const { result, maxHostId } = prepared;
    if (maxHostId !== undefined) {
      log(state, 'error', 'hostId.outOfRange', { vg: vg.vgName, hostId, maxHostId });
    }
    if (result !== 0 || lockspace.phase.kind === 'cancelling') {
      notStarted(state, lockspace, { event: 'lockspace.notStarted', result, isAsked });
      return;
    }
    const clientId = asked?.clientId ?? 0;
    const isHeldUp = prepared.mayBeTaken === true && mayHoldUp(state, lockspace, clientId);
    if (!isHeldUp) answerStart(lockspace, prepared);
    changePhase(state, lockspace, { kind: 'prepared' });
    lockspace.glExpected = prepared.glEnabled;
    const remembered = state.remembered.get(vg.vgName)?.locks ?? [];
    run(state, ofSpace(lockspace), joinWithLocks(space, adopt, remembered), (outcome) => {
      if (outcome.joined.result === 0) {
        answerStart(lockspace, prepared);
        joined(state, lockspace, prepared.glEnabled, outcome);
      } else {
        const { result, rival } = outcome.joined;
        if (rival !== undefined) reportRival(state, lockspace, rival);
        notStarted(state, lockspace, { event: 'lockspace.notJoined', result, isAsked });
      }
    });
    if (prepared.mayBeTaken === true) {
      watchRival(state, lockspace, () => answerStart(lockspace, prepared));
    }
  });
}

function answerStart(lockspace: Lockspace, of: Omit<PrepareOutcome, 'glEnabled'>): void {
  const { answerStart: answer } = lockspace;
  lockspace.answerStart = null;
  const { result, lmResult, prevGeneration = 0 } = of;
  answer?.({ result, lmResult, prevGeneration });
}

function joined(
  state: DaemonState,
  lockspace: Lockspace,
  hasGl: boolean,
  outcome: JoinedLocks,
): void {
  const { vg, hostId } = lockspace;
  changePhase(state, lockspace, { kind: 'joined' });
  state.lostSpaces.delete(vg.vgName);
  state.remembered.delete(vg.vgName);
  if (state.returning.delete(vg.vgName))
    log(state, 'info', 'lockspace.returned', { vg: vg.vgName });
  lockspace.glExpected = false;
  if (hasGl) noteGl(state, lockspace, true);
  beginReading(state, lockspace);
  if (state.gl.madeIn === vg.vgName) state.gl.madeIn = '';
  holdLocks(state, lockspace, outcome);
  learnGeneration(state, lockspace);
  log(state, 'info', 'lockspace.joined', { vg: vg.vgName, hostId });
  writeAdoptFile(state);
  joinedAnyway(lockspace);
  settleWaiters(state);
}

/** The lock manager has not given up the join in time (join-cancel.ts). */
export function forgetCancelled(state: DaemonState, lockspace: Lockspace): void {
  const { phase, vg, manager } = lockspace;
  if (phase.kind === 'cancelling' && phase.isJoining) {
    const advice = `its device does not answer: ${manager.lockType} leaves it when it does`;
    log(state, 'warn', 'lockspace.joinAbandoned', { vg: vg.vgName, advice });
  }
  const cancelled = { event: 'lockspace.notStarted', result: LD_RESULT.CANCELED } as const;
  notStarted(state, lockspace, { ...cancelled, isAsked: true });
}

/** Clients that were told that it is being started learn the reason from start_wait. */
function notStarted(
  state: DaemonState,
  lockspace: Lockspace,
  how: {
    readonly event: 'lockspace.notStarted' | 'lockspace.notJoined';
    readonly result: number;
    readonly isAsked: boolean;
  },
): void {
  // What the lock manager answers to a start that it gave up says nothing.
  const isCancelled = lockspace.phase.kind === 'cancelling';
  const event = isCancelled && lockspace.failure === 0 ? 'lockspace.notStarted' : how.event;
  const result = isCancelled ? lockspace.failure || LD_RESULT.CANCELED : how.result;
  const { hostId, manager, starters } = lockspace;
  answerStart(lockspace, both(result));
  const vg = lockspace.vg.vgName;
  // Only an administrator can end these: what lvmlockd tries by itself is not tried again.
  const isFinal = result === LD_RESULT.BUSY || result === LD_RESULT.EHOSTID;
  const adopting = isFinal ? undefined : state.adoption?.waiting.get(vg);
  if (adopting !== undefined) adopting.result = result;
  const isTriedAgain = isFinal ? false : triesAgain(state, vg, result) || adopting !== undefined;
  if (isFinal) state.returning.delete(vg);
  if (isTriedAgain && !how.isAsked && starters.length === 0) {
    log(state, 'debug', event, { vg, hostId, result });
  } else {
    const wasAdopting = isFinal && state.adoption?.waiting.delete(vg) === true;
    const isKept = result === LD_RESULT.BUSY;
    const advice = isKept ? { advice: manager.advice.keptLocks } : {};
    const level = event === 'lockspace.notJoined' ? 'error' : 'warn';
    const name = wasAdopting ? 'lockspace.notAdopted' : event;
    log(state, wasAdopting ? 'error' : level, name, { vg, hostId, result, ...advice });
  }
  for (const clientId of starters) {
    const client = state.clients.get(clientId);
    // lvm learns of one: the first that failed is the one that its user reads about first.
    if (client !== undefined && client.startFailure === 0) client.startFailure = result;
  }
  abandon(state, lockspace);
}

function abandon(state: DaemonState, lockspace: Lockspace): void {
  const { space, vg } = lockspace;
  run(state, OF_DAEMON, space.abandon(), () => {});
  // Perhaps it is the device: then the next start finds a new one.
  run(state, OF_DAEMON, removeStale(space.leaseDevice), (stale) =>
    logStale(state, vg.vgName, stale),
  );
  gone(state, lockspace);
  answerCancelled(state, lockspace);
  settleWaiters(state);
}

/** LV locks of an earlier lvmlockd; lvm unlocks them when the LVs are deactivated. */
function holdLocks(
  state: DaemonState,
  lockspace: Lockspace,
  { joined: { notAdopted }, locks, unlocked }: JoinedLocks,
): void {
  const vg = lockspace.vg.vgName;
  const known = new Map(lockspace.resources.map((one) => [one.ref.name, one]));
  for (const { resource, mode } of locks) {
    // Held here already, whatever the limit of requests says.
    const held = known.get(resource.name) ?? newResource(resource);
    if (!known.has(resource.name)) lockspace.resources.push(held);
    known.set(resource.name, held);
    if (held.locks.length > 0) continue;
    held.ref.lvLockArgs = resource.lvLockArgs;
    held.mode = mode;
    held.shCount = mode === 'sh' ? 1 : 0;
    held.locks.push({ mode, clientId: 0, version: 0 });
  }
  if (locks.length > 0) lockspace.checkMs = state.nowMs + unusedAfterMs(lockspace.manager);
  const shown = ({ resource, mode }: AdoptedLock) => ({ vg, resource: resource.name, mode });
  const adopted = locks.filter(({ isRetaken }) => !isRetaken);
  const retaken = locks.filter(({ isRetaken }) => isRetaken);
  logFirst(state, 'info', 'lock.adopted', { vg, each: adopted.map(shown) });
  logFirst(state, 'warn', 'lock.retaken', { vg, each: retaken.map(shown) });
  const refused = notAdopted.map((name) => ({ vg, resource: name }));
  logFirst(state, 'error', 'lock.notAdopted', { vg, each: refused });
  const advice = 'deactivate it here, or lock it by lvchange -aey or -asy';
  const withoutLock = unlocked.map(({ name, result }) => ({ vg, resource: name, result, advice }));
  logFirst(state, 'error', 'lv.activeUnlocked', { vg, each: withoutLock });
}

/** A VG may have thousands of LVs: those beyond the first are counted. */
function logFirst(
  state: DaemonState,
  level: LogLevel,
  event: string,
  { vg, each }: { readonly vg: string; readonly each: readonly LogFields[] },
): void {
  for (const fields of each.slice(0, MAX_LOGGED)) log(state, level, event, fields);
  if (each.length > MAX_LOGGED) log(state, level, event, { vg, more: each.length - MAX_LOGGED });
}

const MAX_LOGGED = 20;
