import type { Front } from './front.ts';
import type { LocalWait, Resource } from './state.ts';

/**
 * Longer than any release on a healthy disk. After that the request is answered as the original
 * answers it at once.
 */
const PATIENCE_MS = 1000;

/**
 * Waits for the end of the request that is under way. The oldest waiting request goes on first:
 * without a queue the client that happens to ask at the right moment gets the lease, perhaps always
 * the same one.
 */
export function awaitTurn(front: Front, of: Omit<LocalWait, 'untilMs'>): void {
  front.waiting.push({ ...of, untilMs: front.nowMs + PATIENCE_MS });
}

/** The request that was under way for this resource has ended: each waiting one tries again. */
export function nextTurn(front: Front, resource: Resource): void {
  const ready = front.waiting.filter((waiting) => waiting.resource === resource);
  if (ready.length === 0) return;
  front.waiting = front.waiting.filter((waiting) => waiting.resource !== resource);
  for (const { retry } of ready) retry();
}

/** Once a second: refuses those that have waited too long. */
export function endLongWaits(front: Front): void {
  const late = front.waiting.filter(({ untilMs }) => front.nowMs >= untilMs);
  if (late.length === 0) return;
  front.waiting = front.waiting.filter(({ untilMs }) => front.nowMs < untilMs);
  for (const { refuse } of late) refuse();
}
