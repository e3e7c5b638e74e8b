import type { LockManager } from './managers/manager.ts';
import { type DaemonState, run } from './state.ts';
import { ofClient } from './task-owner.ts';
import type { Waiter } from './waiter.ts';

/** Asks each lock manager, for a client; in the order in which one is chosen. */
export function findRunning(
  state: DaemonState,
  to: Waiter,
  then: (running: readonly LockManager[]) => void,
): void {
  const managers = [...state.managers.values()];
  const running = new Set<LockManager>();
  let left = managers.length;
  if (left === 0) then([]);
  for (const manager of managers) {
    run(state, ofClient(to), manager.isRunning(state.gl.lockType !== null), (isRunning) => {
      if (isRunning) running.add(manager);
      left -= 1;
      if (left === 0) then(managers.filter((one) => running.has(one)));
    });
  }
}
