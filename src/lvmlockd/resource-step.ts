import { assert, unreachable } from '../base/assert.ts';
import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import type { LockOutcome, Outcome } from './managers/manager.ts';
import {
  checkResource,
  type LockAction,
  type Resource,
  type ResourceEffect,
  type ResourceEvent,
  type Running,
} from './resource.ts';
import { answer, grant, PASSES, release, take } from './resource-passes.ts';

/** An attempt that another host refused is repeated after so long. */
export const RETRY_MS = 1000;
/**
 * The first second: hosts that work in one VG in turn have its lock for a tenth of a second each.
 * Who waited a whole second every time would wait longer than all the work takes.
 */
const SOON_MS: readonly number[] = [50, 100, 150, 300, 400];

/** One event in, effects out. The passes run until none of them changes anything. */
export function stepResource(r: Resource, event: ResourceEvent, nowMs: number): ResourceEffect[] {
  const out: ResourceEffect[] = [];
  accept(r, event, nowMs, out);
  while (r.running === null && PASSES.some((pass) => pass(r, nowMs, out)));
  checkResource(r);
  return out;
}

function accept(r: Resource, event: ResourceEvent, nowMs: number, out: ResourceEffect[]): void {
  switch (event.kind) {
    case 'action':
      r.actions.push(event.action);
      return;
    case 'clientGone':
      r.gone.push(event.clientId);
      return;
    case 'managed':
      finish(r, event.outcome, nowMs, out);
      return;
    case 'lost':
      lose(r, out);
      return;
    case 'tick':
      return; // the passes check the time
    default:
      unreachable(event);
  }
}

/** A conversion that waited to be done again has nothing left to convert. */
function lose(r: Resource, out: ResourceEffect[]): void {
  const { running } = r;
  r.mode = 'un';
  r.shCount = 0;
  r.locks = [];
  r.running = null;
  if (running === null) return;
  assert(running.op === 'convert', 'what is acquired or released is not held');
  const result = LD_RESULT.ELMERR;
  answer(running.action, { result, lmResult: result }, out);
}

/** The lock manager's procedure has ended. */
function finish(
  r: Resource,
  outcome: Outcome | LockOutcome,
  nowMs: number,
  out: ResourceEffect[],
): void {
  const running = r.running;
  r.running = null;
  if (running === null) return; // given up meanwhile
  const { result, lmResult } = outcome;
  switch (running.op) {
    case 'lock':
      finishLock(r, running, outcome, nowMs, out);
      return;
    case 'unlock':
      r.mode = 'un';
      r.shCount = 0;
      if (running.action !== null) answer(running.action, { result: 0, lmResult: 0 }, out);
      return;
    case 'convert':
      // A step down whose outcome is not known counts as done: we may hold more, never claim more.
      if (result === 0 || running.mode === 'sh') {
        running.lock.mode = running.mode;
        r.mode = running.mode;
        r.shCount = running.mode === 'sh' ? 1 : 0;
        r.lastClientId = running.action.clientId;
      }
      answer(running.action, outcome, out);
      return;
    case 'freeLv':
    case 'switchGl':
      answer(running.action, { result, lmResult }, out);
      return;
    default:
      unreachable(running);
  }
}

function finishLock(
  r: Resource,
  running: Extract<Running, { op: 'lock' }>,
  outcome: Outcome | LockOutcome,
  nowMs: number,
  out: ResourceEffect[],
): void {
  // A client that has gone meanwhile gets nothing: the next pass takes its requests away.
  const waiting = running.serves.filter(
    (action) => r.actions.includes(action) && !r.gone.includes(action.clientId),
  );
  if (outcome.result === LD_RESULT.OK) {
    r.mode = running.mode;
    if ('version' in outcome) r.version = outcome.version;
    const [first] = waiting;
    // The first alone: the passes run for the others with its lock, as if they had come after it.
    if (first !== undefined) grant(r, first, running.mode, out);
    // Its requests were cancelled: no client would ever release it.
    else release(r, null, null, out);
    return;
  }
  const worthIt = 'retry' in outcome && (outcome.retry || r.ref.scope !== 'lv');
  const isDelay = outcome.result === LD_RESULT.AGAIN || outcome.result === LD_RESULT.EIOTIMEOUT;
  const isRepeated = isDelay && worthIt;
  const others = waiting.filter((action) => !running.due.has(action));
  const isSoon = outcome.result === LD_RESULT.AGAIN && others.length === 0;
  for (const action of waiting) {
    if (isRepeated && others.includes(action)) continue; // its own time goes on
    const soonMs = isSoon ? SOON_MS[action.tries] : undefined;
    if (soonMs === undefined) action.tries = Math.max(action.tries, SOON_MS.length - 1);
    if (isRepeated && action.tries < SOON_MS.length + action.request.maxRetries) {
      action.tries += 1;
      action.dueMs = soonMs === undefined ? nextTryMs(others, nowMs) : nowMs + soonMs;
    } else {
      take(r, action);
      answer(action, outcome, out);
    }
  }
}

/** A second from now, or with a waiting request: many requests make few more attempts than one. */
function nextTryMs(others: readonly LockAction[], nowMs: number): number {
  const theirs = others.map(({ dueMs }) => dueMs).filter((dueMs) => dueMs > nowMs);
  const next = Math.min(nowMs + RETRY_MS, ...theirs);
  return next - nowMs >= RETRY_MS / 2 ? next : next + RETRY_MS;
}
