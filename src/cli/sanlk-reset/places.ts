import { given } from '../../base/given.ts';

type Environment = Readonly<Partial<Record<string, string>>>;

export const RESETD_SOCKET = 'sanlk-resetd.sock';

/** Of the original fixed; ours can be moved, as those of sanlock and wdmd. */
export function resetdRunDir(environment: Environment): string {
  return given(environment['SANLK_RESETD_RUN_DIR']) ?? '/run/sanlk-resetd';
}

export function wdmdSocket(environment: Environment): string {
  return `${given(environment['WDMD_RUN_DIR']) ?? '/run/wdmd'}/wdmd.sock`;
}

/** Where the kernel takes a command; a test may point elsewhere. */
export function sysrqTrigger(environment: Environment): string {
  return given(environment['SANLK_RESETD_SYSRQ']) ?? '/proc/sysrq-trigger';
}
