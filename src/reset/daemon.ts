import { unreachable } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import type { LogFields, LogLevel } from '../base/log-fields.ts';
import { SECOND_MS } from '../base/units.ts';
import type { ReceivedEvent } from '../wire/sanlock/events.ts';
import { EVENT_FLAGS } from '../wire/sanlock/socket.ts';
import { type ControlMessage, parseControl } from './control-message.ts';
import { RESET_EVENTS } from './reset-events.ts';
import {
  MAX_LOCKSPACES,
  MAX_REQUESTS,
  type Request,
  type RequestPhase,
  type ResetdEffect,
  type ResetdEvent,
  type ResetdState,
} from './state.ts';

/**
 * Serves the requests of other hosts to reset this one (spec 25 §6). One request:
 *
 *   received ─ for this incarnation? ─ lockspace kept ─ expiry with wdmd ─ reply ─ replied
 *
 * The reply promises that the watchdog fires, so it waits for wdmd to have the expiry, and for the
 * lockspace to be held until then: without it others would see the host leave in order.
 */
export function stepResetd(state: ResetdState, event: ResetdEvent, nowMs: number): ResetdEffect[] {
  const out: ResetdEffect[] = [];
  if (state.phase.kind === 'leaving' || state.phase.kind === 'ended') {
    afterStop(state, event, { out, nowMs });
    return out;
  }
  switch (event.kind) {
    case 'start':
      start(state, event.names, out);
      return out;
    case 'control':
      control(state, event.bytes, out);
      return out;
    case 'watchOpened':
    case 'watchRefused':
    case 'watchClosed':
      ofWatch(state, event, { out, nowMs });
      return out;
    case 'received':
      received(state, event, { out, nowMs });
      return out;
    case 'generationRead':
    case 'usedSet':
    case 'expirySet':
    case 'eventSet':
      ofRequest(state, event, { out, nowMs });
      return out;
    case 'stop':
      stop(state, { out, nowMs });
      return out;
    case 'tick':
      tick(state, { out, nowMs });
      return out;
    default:
      return unreachable(event);
  }
}

/** When the next `tick` is wanted; null: none is. */
export function nextTickMs({ phase, reboot, watches }: ResetdState): number | null {
  if (phase.kind === 'leaving') return phase.untilMs;
  if (phase.kind === 'ended') return null;
  let next: number | null = reboot.kind === 'due' ? reboot.atMs : null;
  for (const { phase: kind, again } of watches.values()) {
    if (kind === 'away' && again !== null) next = Math.min(next ?? again.fromMs, again.fromMs);
  }
  return next;
}

/** A sanlock that is restarted has resumed its lockspaces by then, or never will. */
const AWAY_MS = 90 * SECOND_MS;
const AGAIN_MS = SECOND_MS;

/** Time for the last messages to sanlock and wdmd. */
const LEAVE_MS = 300;

interface Turn {
  readonly out: ResetdEffect[];
  readonly nowMs: number;
}

function start(state: ResetdState, names: readonly ByteString[], out: ResetdEffect[]): void {
  const phase = { kind: 'starting', left: new Set(names), missing: [] as ByteString[] } as const;
  state.phase = phase;
  for (const name of phase.left) listen(state, name, out);
  startedWhenAnswered(state, out);
}

function startedWhenAnswered(state: ResetdState, out: ResetdEffect[]): void {
  if (state.phase.kind !== 'starting' || state.phase.left.size > 0) return;
  const { missing } = state.phase;
  state.phase = { kind: 'serving' };
  out.push({ kind: 'started', missing });
}

/** A lockspace of the command line has its answer; nothing waits for those of `reg`. */
function answered(
  state: ResetdState,
  of: { readonly name: ByteString; readonly isWatched: boolean },
  out: ResetdEffect[],
): void {
  if (state.phase.kind !== 'starting' || !state.phase.left.delete(of.name)) return;
  if (!of.isWatched) state.phase.missing.push(of.name);
  startedWhenAnswered(state, out);
}

function listen(state: ResetdState, name: ByteString, out: ResetdEffect[]): void {
  if (watchOf(state, name) !== null) {
    answered(state, { name, isWatched: true }, out); // registered twice is registered
    return;
  }
  if (state.watches.size >= MAX_LOCKSPACES) {
    log(out, 'error', 'lockspace.tooMany', { lockspace: name, lockspaces: MAX_LOCKSPACES });
    answered(state, { name, isWatched: false }, out);
    return;
  }
  const watch = state.nextId++;
  state.watches.set(watch, { name, phase: 'opening', again: null });
  out.push({ kind: 'openWatch', watch, name });
}

function watchOf(state: ResetdState, name: ByteString): number | null {
  for (const [id, watch] of state.watches) if (watch.name === name) return id;
  return null;
}

function control(state: ResetdState, bytes: Uint8Array, out: ResetdEffect[]): void {
  const parsed = parseControl(bytes);
  if (parsed.ok) obey(state, parsed.value, out);
  else log(out, 'warn', 'control.refused', { reason: parsed.error });
}

function obey(state: ResetdState, { action, name }: ControlMessage, out: ResetdEffect[]): void {
  switch (action) {
    case 'reg':
      listen(state, name, out);
      return;
    case 'end': {
      const watch = watchOf(state, name);
      if (watch !== null) forget(state, watch, out);
      return;
    }
    case 'clear':
      for (const watch of [...state.watches.keys()]) forget(state, watch, out);
      return;
    default:
      unreachable(action);
  }
}

/** One that is still opening is closed when its answer comes. */
function forget(state: ResetdState, id: number, out: ResetdEffect[]): void {
  const watch = state.watches.get(id);
  state.watches.delete(id);
  if (watch?.phase === 'open') out.push({ kind: 'closeWatch', watch: id });
}

type WatchEvent = Extract<ResetdEvent, { kind: 'watchOpened' | 'watchRefused' | 'watchClosed' }>;

function ofWatch(state: ResetdState, event: WatchEvent, { out, nowMs }: Turn): void {
  const watch = state.watches.get(event.watch);
  if (watch === undefined) {
    // Late: `end` or `clear` came first.
    if (event.kind === 'watchOpened') out.push({ kind: 'closeWatch', watch: event.watch });
    return;
  }
  const { name, again } = watch;
  switch (event.kind) {
    case 'watchOpened':
      watch.phase = 'open';
      watch.again = null;
      log(out, 'info', 'lockspace.watched', { lockspace: name });
      answered(state, { name, isWatched: true }, out);
      return;
    case 'watchRefused':
      if (again !== null && nowMs < again.untilMs) {
        watch.phase = 'away';
        watch.again = { ...again, fromMs: nowMs + AGAIN_MS };
        return;
      }
      state.watches.delete(event.watch);
      log(out, 'error', 'lockspace.notWatched', { lockspace: name, code: event.code });
      answered(state, { name, isWatched: false }, out);
      return;
    case 'watchClosed':
      watch.phase = 'away';
      watch.again = { fromMs: nowMs + AGAIN_MS, untilMs: nowMs + AWAY_MS };
      log(out, 'warn', 'lockspace.gone', { lockspace: name });
      return;
    default:
      unreachable(event);
  }
}

function openAgain(state: ResetdState, { out, nowMs }: Turn): void {
  for (const [id, watch] of state.watches) {
    if (watch.phase !== 'away' || watch.again === null || nowMs < watch.again.fromMs) continue;
    watch.phase = 'opening';
    out.push({ kind: 'openWatch', watch: id, name: watch.name });
  }
}

function received(
  state: ResetdState,
  from: { readonly watch: number; readonly event: ReceivedEvent },
  turn: Turn,
): void {
  const watch = state.watches.get(from.watch);
  const { event: asked } = from;
  const { RESET, REBOOT } = RESET_EVENTS;
  // Late: its channel was closed. Or it is a reply, or no event of ours.
  if (watch === undefined || (asked.event & (RESET | REBOOT)) === 0n) return;
  const { name } = watch;
  if (state.requests.size >= MAX_REQUESTS) {
    const { fromHostId } = asked;
    log(turn.out, 'warn', 'reset.tooMany', { lockspace: name, fromHostId, requests: MAX_REQUESTS });
    return;
  }
  const id = state.nextId++;
  const request: Request = { name, asked, phase: { kind: 'checkingGeneration' } };
  state.requests.set(id, request);
  if (asked.generation === 0n) {
    admit(state, id, request, turn);
    return;
  }
  // Other hosts carry an event for a while: one for an earlier incarnation is not for this one.
  turn.out.push({ kind: 'readGeneration', request: id, name, hostId: asked.hostId });
}

type AnswerEvent = Extract<
  ResetdEvent,
  { kind: 'generationRead' | 'usedSet' | 'expirySet' | 'eventSet' }
>;

function ofRequest(state: ResetdState, event: AnswerEvent, turn: Turn): void {
  const request = state.requests.get(event.request);
  if (request === undefined) return; // answered twice
  const { phase } = request;
  switch (event.kind) {
    case 'generationRead':
      if (phase.kind === 'checkingGeneration') generationRead(state, event, request, turn);
      return;
    case 'usedSet':
      if (phase.kind !== 'keepingLockspace') return;
      // The reset itself goes on where the lockspace cannot be kept: only the reply is not given.
      expire(state, event.request, { ...phase, request, isKept: event.code === 0 }, turn);
      return;
    case 'expirySet':
      if (phase.kind === 'expiring') expirySet(state, event, { request, phase }, turn);
      return;
    case 'eventSet':
      if (phase.kind !== 'replying') return;
      state.requests.delete(event.request);
      log(turn.out, 'info', 'reset.replied', {
        lockspace: request.name,
        event: phase.bits,
        code: event.code,
      });
      return;
    default:
      unreachable(event);
  }
}

function generationRead(
  state: ResetdState,
  event: { readonly request: number; readonly generation: bigint | null },
  request: Request,
  turn: Turn,
): void {
  const { generation, fromHostId } = request.asked;
  if (event.generation === generation) {
    admit(state, event.request, request, turn);
    return;
  }
  state.requests.delete(event.request);
  const fields = { lockspace: request.name, generation, fromHostId, own: event.generation };
  log(turn.out, 'warn', 'event.otherIncarnation', fields);
}

/** It is meant for this incarnation of the host. */
function admit(state: ResetdState, id: number, request: Request, turn: Turn): void {
  const { settings } = state;
  const { name, asked } = request;
  const { event: bits, fromHostId } = asked;
  log(turn.out, 'warn', 'reset.asked', { lockspace: name, fromHostId, event: bits });
  const reboots = (bits & RESET_EVENTS.REBOOT) !== 0n && settings.sysrqReboot;
  if (reboots) rebootSoon(state, turn.nowMs);
  const rebooting = reboots ? RESET_EVENTS.REBOOTING : 0n;
  const resets = (bits & RESET_EVENTS.RESET) !== 0n && settings.useWatchdog;
  if (resets && settings.resourceMode) {
    expire(state, id, { request, rebooting, isKept: true }, turn);
  } else if (resets) {
    request.phase = { kind: 'keepingLockspace', rebooting };
    turn.out.push({ kind: 'setUsed', request: id, name });
  } else if (reboots) reply(id, request, rebooting, turn);
  else {
    state.requests.delete(id);
    log(turn.out, 'warn', 'reset.notServed', { lockspace: name, event: bits });
  }
}

interface Expiry {
  readonly request: Request;
  readonly rebooting: bigint;
  readonly isKept: boolean;
}

function expire(state: ResetdState, id: number, expiry: Expiry, turn: Turn): void {
  if (state.isExpired) {
    expired(state, id, expiry, turn);
    return;
  }
  const { request, rebooting, isKept } = expiry;
  request.phase = { kind: 'expiring', rebooting, isKept };
  turn.out.push({ kind: 'expire', request: id });
}

function expirySet(
  state: ResetdState,
  event: { readonly request: number; readonly isTaken: boolean },
  of: { readonly request: Request; readonly phase: RequestPhase & { readonly kind: 'expiring' } },
  turn: Turn,
): void {
  const { request, phase } = of;
  const { isTaken } = event;
  const { rebooting, isKept } = phase;
  log(turn.out, 'warn', 'watchdog.expired', { lockspace: request.name, isTaken, isKept });
  if (!isTaken) {
    state.requests.delete(event.request); // the other host's next event tries it again
    return;
  }
  state.isExpired = true;
  expired(state, event.request, { request, rebooting, isKept }, turn);
}

function expired(state: ResetdState, id: number, expiry: Expiry, turn: Turn): void {
  if (expiry.isKept) reply(id, expiry.request, RESET_EVENTS.RESETTING | expiry.rebooting, turn);
  else state.requests.delete(id);
}

function reply(id: number, request: Request, bits: bigint, { out }: Turn): void {
  request.phase = { kind: 'replying', bits };
  const { name, asked } = request;
  const event = { hostId: asked.fromHostId, generation: 0n, event: bits, data: 0n };
  const flags = EVENT_FLAGS.ALL_HOSTS | EVENT_FLAGS.REPLACE_EVENT;
  out.push({ kind: 'setEvent', request: id, name, event, flags });
}

/** Once: what is asked again meanwhile does not move it. */
function rebootSoon(state: ResetdState, nowMs: number): void {
  if (state.reboot.kind !== 'none') return;
  state.reboot = { kind: 'due', atMs: nowMs + state.settings.sysrqDelayS * SECOND_MS };
}

function tick(state: ResetdState, { out, nowMs }: Turn): void {
  openAgain(state, { out, nowMs });
  if (state.reboot.kind !== 'due' || nowMs < state.reboot.atMs) return;
  state.reboot = { kind: 'started' };
  log(out, 'warn', 'reboot.now');
  out.push({ kind: 'reboot' });
}

/** Ends the channels; the claim on wdmd goes last. */
function stop(state: ResetdState, { out, nowMs }: Turn): void {
  state.phase = { kind: 'leaving', untilMs: nowMs + LEAVE_MS };
  for (const watch of [...state.watches.keys()]) forget(state, watch, out);
  state.requests.clear();
  if (state.settings.useWatchdog) out.push({ kind: 'leaveWatchdog' });
}

/** The claim on wdmd is taken back: no request can be served, no reboot promised any more. */
function afterStop(state: ResetdState, event: ResetdEvent, { out, nowMs }: Turn): void {
  if (event.kind === 'watchOpened') out.push({ kind: 'closeWatch', watch: event.watch });
  const isOver = state.phase.kind === 'leaving' && nowMs >= state.phase.untilMs;
  if (event.kind !== 'tick' || !isOver) return;
  state.phase = { kind: 'ended' };
  out.push({ kind: 'ended' });
}

function log(out: ResetdEffect[], level: LogLevel, event: string, fields: LogFields = {}): void {
  out.push({ kind: 'log', level, event, fields });
}
