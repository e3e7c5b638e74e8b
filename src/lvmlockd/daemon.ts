import { assert, unreachable } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { parseConfig, textOf } from '../wire/lvmlockd/libdaemon.ts';
import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import { dumpReply, helloReply, normalReply } from '../wire/lvmlockd/replies.ts';
import { type LvmlockdRequest, parseRequest } from '../wire/lvmlockd/requests.ts';
import { adoptWriteDueMs, noteGrants, writeWhenDue } from './adopt-writes.ts';
import { beginAdoption, continueAdoption } from './adoption.ts';
import { beginAttempts } from './attach-locks.ts';
import { type DumpForm, dumpState } from './dump.ts';
import { requestFreeLv } from './free-lv.ts';
import { chooseGlType, readDueSlots, slotsDueMs } from './global-lock.ts';
import { beginHandOver, forgetHandOver, isHeldBack, settleHandOver } from './hand-over.ts';
import { continueRefresh, heardNotice, noteUpdate, refreshDueMs } from './inspections.ts';
import { continueKillActions } from './kill-action.ts';
import {
  requestFindFree,
  requestLock,
  requestOfVg,
  requestQuery,
  requestUpdate,
} from './lock-requests.ts';
import { settleWaiters } from './lockspace-end.ts';
import { isInUse, isLost, phaseDueMs } from './lockspace-phase.ts';
import { forgetCancelled } from './lockspace-start.ts';
import { leaveUnused, requestStart, tryReturning } from './lost-vgs.ts';
import { type HeardNotice, watchOf } from './managers/manager.ts';
import { isManaged } from './managers/registry.ts';
import { newerRequest } from './newer-requests.ts';
import { beginWatches, stopWatching, watchEnded } from './presence.ts';
import { changePhase, sessionLost } from './reattach.ts';
import { reply, replyInit, replyQuery } from './replies.ts';
import { nextDueMs } from './resource.ts';
import { advanceResource, undoGrant } from './resource-effects.ts';
import { type DaemonState, type Effect, log } from './state.ts';
import { isPresent } from './task-owner.ts';
import { type EndSignal, terminate } from './terminate.ts';
import { releaseUnused } from './unused-locks.ts';
import { initLv, initVg, refreshLv, renameFinal, runningLm, stopAll } from './vg-work.ts';

export type DaemonEvent =
  /** The first event; `adoptFile`: the text that an earlier lvmlockd wrote. */
  | { readonly kind: 'started'; readonly adoptFile: ByteString | null }
  | {
      readonly kind: 'clientOpened';
      readonly clientId: number;
      readonly fd: number;
      readonly pid: number | null;
    }
  /** `dumpForm`: the form that the client program can read. */
  | {
      readonly kind: 'request';
      readonly clientId: number;
      readonly text: ByteString;
      readonly dumpForm: DumpForm;
      /** The client's lvm sends free_lv only after it has committed; false: not known. */
      readonly freesAfterCommit: boolean;
    }
  | { readonly kind: 'clientClosed'; readonly clientId: number }
  /** The last reply could not be delivered; `clientClosed` follows. */
  | { readonly kind: 'replyLost'; readonly clientId: number }
  | { readonly kind: 'taskDone'; readonly taskId: number; readonly outcome: unknown }
  /** The registered connection of a lockspace was lost: the lock manager died. */
  | { readonly kind: 'sessionLost'; readonly session: number }
  /** Another host told something, on the channel `watchOf` of a lockspace. */
  | { readonly kind: 'heard'; readonly session: number; readonly notice: HeardNotice }
  | { readonly kind: 'tick' }
  | { readonly kind: 'terminate'; readonly signal: EndSignal };

/** One event in, effects out. */
export function stepDaemon(
  state: DaemonState,
  event: DaemonEvent,
  nowMs: number,
): readonly Effect[] {
  state.nowMs = nowMs;
  state.effects = [];
  const grantsBefore = state.lvGrants;
  handle(state, event);
  if (state.lvGrants !== grantsBefore) noteGrants(state);
  if (state.quitting || state.stopAllWaiters.length > 0 || state.startWaiters.length > 0) {
    settleWaiters(state);
  }
  beginAttempts(state);
  beginWatches(state);
  continueRefresh(state);
  settleHandOver(state, requestLock);
  return state.effects;
}

/** When the next `tick` is due; null: no request waits for a time. */
export function nextTickMs(state: DaemonState): number | null {
  let next: number | null = state.handOver?.untilMs ?? null;
  const sooner = (dueMs: number | null) => {
    if (dueMs !== null && (next === null || dueMs < next)) next = dueMs;
  };
  if (state.adoption !== null) sooner(state.adoption.nextMs);
  for (const { nextMs } of state.cuttingOff.values()) sooner(nextMs);
  for (const { nextMs } of state.returning.values()) sooner(nextMs);
  sooner(slotsDueMs(state));
  sooner(adoptWriteDueMs(state));
  sooner(refreshDueMs(state));
  for (const lockspace of state.lockspaces) {
    sooner(phaseDueMs(lockspace.phase));
    sooner(lockspace.checkMs);
    if (lockspace.phase.kind === 'running') sooner(lockspace.watchMs);
    for (const resource of lockspace.resources) sooner(nextDueMs(resource));
  }
  return next;
}

function handle(state: DaemonState, event: DaemonEvent): void {
  switch (event.kind) {
    case 'started':
      if (state.settings.adopt) beginAdoption(state, event.adoptFile);
      return;
    case 'clientOpened':
      clientOpened(state, event);
      return;
    case 'request':
      requestText(state, event);
      return;
    case 'clientClosed':
      clientClosed(state, event.clientId);
      return;
    case 'replyLost':
      replyLost(state, event.clientId);
      return;
    case 'taskDone':
      taskDone(state, event.taskId, event.outcome);
      return;
    case 'sessionLost':
      sessionEnded(state, event.session);
      return;
    case 'heard':
      heard(state, event);
      return;
    case 'tick':
      tick(state);
      return;
    case 'terminate':
      terminate(state, event.signal);
      return;
    default:
      unreachable(event);
  }
}

function clientOpened(
  state: DaemonState,
  event: Extract<DaemonEvent, { kind: 'clientOpened' }>,
): void {
  const { clientId: id, fd, pid } = event;
  assert(id > 0 && !state.clients.has(id), 'a client id is new and not 0');
  state.clients.set(id, {
    id,
    fd,
    pid: pid ?? 0,
    name: '',
    command: '',
    freesAfterCommit: false,
    hasLocked: false,
    startFailure: 0,
    wasHeldUp: false,
    lastMade: null,
    lastGrant: null,
  });
}

function requestText(state: DaemonState, event: Extract<DaemonEvent, { kind: 'request' }>): void {
  const { clientId, text, dumpForm } = event;
  const client = state.clients.get(clientId);
  if (client === undefined) return;
  client.lastGrant = null;
  client.freesAfterCommit ||= event.freesAfterCommit;
  const fields = parseConfig(text);
  const request = fields.ok ? parseRequest(fields.value) : null;
  if (request === null) {
    // C leaves the client waiting for ever; every C client can take a negative result.
    const name = fields.ok ? textOf(fields.value, 'request', 'no name') : fields.error;
    log(state, 'warn', 'request.unknown', { client: clientId, request: name.slice(0, 128) });
    const from = { op: 0, lockType: 'none', lmResult: 0, flags: '', generation: 0 } as const;
    const reply = normalReply({ ...from, result: LD_RESULT.OPNOTSUPP });
    state.effects.push({ kind: 'send', clientId, text: reply });
    return;
  }
  if (client.name === '') client.name = request.cmd;
  if (client.pid === 0 && request.pid > 0) {
    state.clients.set(clientId, { ...client, pid: request.pid });
  }
  const { lockType } = request;
  if (isManaged(lockType) && state.managers.has(lockType)) {
    chooseGlType(state, lockType);
  }
  if (request.kind === 'info') {
    // Our own lvmlockctl says which form it reads; of others the program file tells.
    const isNew = fields.ok && textOf(fields.value, 'dump_form') === 'new';
    sendDump(state, clientId, isNew ? 'new' : dumpForm);
  } else if (isTooMuch(state, request)) refuse(state, clientId, request);
  else dispatch(state, clientId, request);
}

/** Requests that end or release something are always served: they make room. */
function isTooMuch(state: DaemonState, request: LvmlockdRequest): boolean {
  if (state.tasks.size < state.limits.tasks) return false;
  if (request.kind === 'lock') return request.mode !== 'un';
  return !ALWAYS_SERVED.has(request.kind);
}

const ALWAYS_SERVED: ReadonlySet<LvmlockdRequest['kind']> = new Set([
  'hello',
  'quit',
  'handOver',
  'dump',
  'stopAll',
  'stopVg',
  'killVg',
  'dropVg',
]);

function refuse(state: DaemonState, clientId: number, request: LvmlockdRequest): void {
  log(state, 'warn', 'request.refused', { client: clientId, tasks: state.tasks.size });
  const result = LD_RESULT.NOMEM;
  const { kind } = request;
  if (kind === 'initVg' || kind === 'initLv' || kind === 'setLockArgsFinal') {
    const args = { vgLockArgs: request.vgLockArgs, lvLockArgs: '' };
    replyInit(state, { clientId, request }, { result, lmResult: 0, ...args });
  } else if (kind === 'query') {
    const { lockType } = request;
    replyQuery(state, { clientId, request }, { result, lockType, mode: 'iv' });
  } else {
    reply(state, { clientId, request }, { result });
  }
}

function sendDump(state: DaemonState, clientId: number, form: DumpForm): void {
  const text = dumpState(state, form);
  state.effects.push({ kind: 'send', clientId, text: dumpReply(0, text.length) });
  state.effects.push({ kind: 'dump', text });
}

function dispatch(state: DaemonState, clientId: number, request: LvmlockdRequest): void {
  switch (request.kind) {
    case 'hello':
    case 'quit':
    case 'info':
    case 'dump':
    case 'handOver':
    case 'runningLm':
    case 'startWait':
    case 'stopAll':
      requestOfDaemon(state, clientId, request);
      return;
    case 'lock':
      if (isHeldBack(state, clientId, request)) return;
      requestLock(state, { clientId, request });
      return;
    case 'vgUpdate':
      noteUpdate(state, request.vgName);
      requestUpdate(state, clientId, request);
      return;
    case 'query':
      requestQuery(state, clientId, request);
      return;
    case 'initVg':
      initVg(state, clientId, request);
      return;
    case 'findFree':
    case 'freeLv':
    case 'initLv':
      requestOfLvLease(state, clientId, request);
      return;
    case 'startVg':
      requestStart(state, { clientId, request });
      return;
    case 'refreshLv':
      refreshLv(state, clientId, request);
      return;
    case 'renameFinal':
      renameFinal(state, clientId, request);
      return;
    case 'busyVg':
    case 'disableGl':
    case 'dropVg':
    case 'enableGl':
    case 'freeVg':
    case 'killVg':
    case 'renameBefore':
    case 'stopVg':
      requestOfVg(state, clientId, request);
      return;
    case 'setLockArgsBefore':
    case 'setLockArgsFinal':
    case 'setRemoteLvLock':
    case 'vgStatus':
      newerRequest(state, clientId, request);
      return;
    default:
      unreachable(request);
  }
}

function requestOfLvLease(
  state: DaemonState,
  clientId: number,
  request: Extract<LvmlockdRequest, { kind: 'findFree' | 'freeLv' | 'initLv' }>,
): void {
  switch (request.kind) {
    case 'findFree':
      requestFindFree(state, clientId, request);
      return;
    case 'freeLv':
      requestFreeLv(state, clientId, request);
      return;
    case 'initLv':
      initLv(state, clientId, request);
      return;
    default:
      unreachable(request);
  }
}

function requestOfDaemon(
  state: DaemonState,
  clientId: number,
  request: Extract<LvmlockdRequest, { wait: boolean }>,
): void {
  const send = (text: ByteString) => state.effects.push({ kind: 'send', clientId, text });
  switch (request.kind) {
    case 'hello':
      send(helloReply(0));
      return;
    case 'quit':
      send(helloReply(state.lockspaces.length > 0 ? LD_RESULT.BUSY : 0));
      state.quitting ||= state.lockspaces.length === 0;
      return;
    case 'info':
      return; // answered in the form its caller reads
    case 'dump':
      state.effects.push({ kind: 'dumpLog', clientId });
      return;
    case 'handOver':
      beginHandOver(state, { clientId, request }, request.force);
      return;
    case 'runningLm':
      runningLm(state, clientId, request);
      return;
    case 'startWait':
      state.startWaiters.push({ clientId, request });
      return;
    case 'stopAll':
      stopAll(state, clientId, request);
      return;
    default:
      unreachable(request.kind);
  }
}

function clientClosed(state: DaemonState, clientId: number): void {
  const client = state.clients.get(clientId);
  state.clients.delete(clientId);
  forgetHandOver(state, clientId, requestLock);
  for (const waiters of [state.startWaiters, state.stopAllWaiters]) {
    const at = waiters.findIndex((one) => one.clientId === clientId);
    if (at >= 0) waiters.splice(at, 1);
  }
  for (const { onHold, unlocked } of state.lockspaces) {
    for (const [lvUuid, one] of unlocked) if (one.clientId === clientId) unlocked.delete(lvUuid);
    const waits = onHold.findIndex((one) => one.clientId === clientId);
    if (waits >= 0) onHold.splice(waits, 1);
  }
  if (client === undefined || !client.hasLocked) return;
  for (const lockspace of [...state.lockspaces]) {
    for (const resource of [...lockspace.resources]) {
      const concerns =
        resource.locks.some((lock) => lock.clientId === clientId) ||
        resource.actions.some((action) => action.clientId === clientId) ||
        resource.running !== null;
      if (!concerns) continue;
      advanceResource(state, lockspace, resource, { kind: 'clientGone', clientId });
    }
  }
}

/** A command that died before it could read that its LV is locked (spec 30 §5, Disconnect). */
function replyLost(state: DaemonState, clientId: number): void {
  const grant = state.clients.get(clientId)?.lastGrant ?? null;
  if (grant === null) return;
  const lockspace = state.lockspaces.find((one) => one.id === grant.lockspaceId);
  const resource = lockspace?.resources.find((one) => one.ref.name === grant.resource);
  if (lockspace === undefined || resource === undefined || !isInUse(lockspace.phase)) return;
  undoGrant(state, lockspace, resource, clientId);
}

function taskDone(state: DaemonState, taskId: number, outcome: unknown): void {
  const task = state.tasks.get(taskId);
  assert(task !== undefined, `task ${taskId} ends once`);
  state.tasks.delete(taskId);
  if (isPresent(state, task.owner)) task.resume(outcome);
}

function sessionEnded(state: DaemonState, session: number): void {
  for (const lockspace of state.lockspaces) {
    if (lockspace.id === session) {
      stopWatching(lockspace);
      sessionLost(state, lockspace);
    }
    if (watchOf(lockspace.id) === session) watchEnded(state, lockspace);
  }
}

/** Late for a lockspace that is gone. */
function heard(state: DaemonState, event: Extract<DaemonEvent, { kind: 'heard' }>): void {
  const lockspace = state.lockspaces.find(({ id }) => watchOf(id) === event.session);
  if (lockspace !== undefined) heardNotice(state, lockspace, event.notice);
}

function tick(state: DaemonState): void {
  writeWhenDue(state);
  continueAdoption(state);
  continueKillActions(state);
  tryReturning(state);
  readDueSlots(state);
  for (const lockspace of [...state.lockspaces]) {
    const phaseMs = phaseDueMs(lockspace.phase);
    if (phaseMs !== null && phaseMs <= state.nowMs) {
      if (lockspace.phase.kind === 'cancelling') forgetCancelled(state, lockspace);
      else changePhase(state, lockspace, { kind: 'tick' });
    }
    const { checkMs } = lockspace;
    if (checkMs !== null && checkMs <= state.nowMs) {
      lockspace.checkMs = null;
      if (isLost(lockspace.phase)) leaveUnused(state, lockspace);
      else releaseUnused(state, lockspace);
    }
    for (const resource of [...lockspace.resources]) {
      const dueMs = nextDueMs(resource);
      if (dueMs === null || dueMs > state.nowMs) continue;
      advanceResource(state, lockspace, resource, { kind: 'tick' });
    }
  }
}
