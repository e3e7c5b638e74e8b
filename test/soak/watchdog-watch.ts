import type { FakeWatchdog } from '../interop/wdmd-host.ts';

/** Of the simulated device, as the kernel counts it (spec 25 §3): when it would fire. */
export interface WatchdogState {
  /** CLOCK_MONOTONIC milliseconds; null: it does not count. */
  readonly firesMs: number | null;
  /** Whether it was ever ended in order, so that it counted no more. */
  readonly disarmed: boolean;
  /** It had not been touched in time, at that moment: this host was reset then. */
  readonly firedMs: number | null;
}

/** Opening, each ping and each close without `V` start the count again; `V` and a close end it. */
export function watchdogState(
  events: ReturnType<FakeWatchdog['events']>,
  timeoutS: number,
  nowMs: number,
): WatchdogState {
  let firesMs: number | null = null;
  let firedMs: number | null = null;
  let isMagic = false;
  let disarmed = false;
  for (const { ms, what } of events) {
    if (firesMs !== null && ms > firesMs) firedMs ??= firesMs;
    const isEnd = what === 'close' && isMagic;
    if (isEnd) disarmed = true;
    isMagic = what === 'write V' || (isMagic && what !== 'close' && what !== 'open');
    firesMs = isEnd ? null : ms + timeoutS * 1000;
  }
  if (firesMs !== null && nowMs > firesMs) firedMs ??= firesMs;
  return { firesMs, disarmed, firedMs };
}

export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
