import { SECOND_MS } from '../base/units.ts';
import { formatMs } from '../lease/lease-times.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { leaseLost } from './lease-processes.ts';

const IDLE_MS = 30_000;
/** Where so many hang on their way out, the idle one stays in use: the next might hang as well. */
const MAX_LINGERING = 4;
/** Beyond the time its writes may take, a command unanswered so long hangs on its device. */
const HUNG_MS = 30_000;

/** Ends the process for areas of lockspaces that are not joined, once it is idle or hangs. */
export function endIdleScratch(front: Front): void {
  const { scratch, scratchUsedMs, nowMs, pending } = front;
  if (scratch === null) return;
  const sent = [...pending.values()].filter(({ lease }) => lease === scratch);
  if (sent.length === 0) {
    if (nowMs - scratchUsedMs < IDLE_MS || front.lingering.size >= MAX_LINGERING) return;
  } else {
    const writesMs = formatMs(front.settings.writeInitIoTimeoutS * SECOND_MS);
    const ageMs = nowMs - Math.min(...sent.map(({ sentMs }) => sentMs));
    if (ageMs < HUNG_MS + writesMs) return;
    const fields = { ageMs: Math.round(ageMs), commands: sent.length };
    log(front, 'warn', 'scratch.hung', fields);
  }
  front.scratch = null;
  leaseLost(front, scratch);
}
