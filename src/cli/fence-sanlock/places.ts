import { given } from '../../base/given.ts';

type Environment = Readonly<Partial<Record<string, string>>>;

export const FENCE_VERSION = '3.8.5';
export const FENCE_PID_FILE = 'fence_sanlockd.pid';
export const FENCE_FIFO = 'fence_sanlockd.fifo';
/** The daemon's name in /proc/<pid>/comm. */
export const FENCE_DAEMON_NAME = 'fence_sanlockd';

/** Of the original fixed; ours can be moved, as those of sanlock and wdmd. */
export function fencedRunDir(environment: Environment): string {
  return given(environment['FENCE_SANLOCKD_RUN_DIR']) ?? '/run/fence_sanlockd';
}

/** Where running agents note which host they fence. */
export function agentRunDir(environment: Environment): string {
  return given(environment['FENCE_SANLOCK_RUN_DIR']) ?? '/run/fence_sanlock';
}
