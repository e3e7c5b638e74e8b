import { writeSync } from 'node:fs';

/**
 * Loaded into a daemon before its program (`--require`): at SIGUSR2 it says on descriptor 3 what
 * the daemon has of everything that a connection could leave open.
 */
export interface Counts {
  /** Timers, sockets and the like that keep an event loop alive, by Node's own names. */
  readonly active: Readonly<Record<string, number>>;
  readonly listeners: number;
  readonly heapBytes: number;
}

const REPORT_FD = 3;

process.on('SIGUSR2', () => {
  // Twice: what the first collection finds dead may hold the last reference to something else.
  for (let rounds = 0; rounds < 2; rounds++) globalThis.gc?.();
  const active: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) active[name] = (active[name] ?? 0) + 1;
  const listeners = process
    .eventNames()
    .reduce((sum, event) => sum + process.listenerCount(event), 0);
  const { heapUsed, external } = process.memoryUsage();
  const counts: Counts = { active, listeners, heapBytes: heapUsed + external };
  writeSync(REPORT_FD, `${JSON.stringify(counts)}\n`);
});
