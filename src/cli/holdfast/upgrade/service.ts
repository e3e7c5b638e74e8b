import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { DaemonName } from '../../../inspect/restart/host-facts.ts';

/** A host that systemd does not run has no units. */
const SYSTEMD_RUNS = '/run/systemd/system';
const SYSTEMCTL_MS = 10_000;

/** The service manager, asked by its own command and without a shell. */
export interface ServiceManager {
  /** What it is about to do with the unit: start, restart, stop …; null: nothing. */
  jobOf(unit: string): Promise<string | null>;
  /** The process that it watches as the unit's daemon, and its state; null: it has no such unit. */
  stateOf(unit: string): Promise<{ readonly mainPid: number; readonly state: string } | null>;
  /** Has it started, without waiting for that. */
  start(unit: string): Promise<void>;
}

/** null: systemd does not run this host. */
export function serviceManager(): ServiceManager | null {
  if (!existsSync(SYSTEMD_RUNS)) return null;
  return {
    jobOf: async (unit) =>
      jobOf(await systemctl('list-jobs', '--no-legend', '--plain', '--full', unit), unit),
    stateOf: async (unit) =>
      stateOf(await systemctl('show', '--property=LoadState,ActiveState,MainPID', unit)),
    start: async (unit) => {
      await systemctl('start', '--no-block', unit);
    },
  };
}

/** The unit of packaging/. */
export function unitOf(name: DaemonName): string {
  return `${name}.service`;
}

/** Lines of `JOB UNIT TYPE STATE`. */
export function jobOf(listed: string, unit: string): string | null {
  const jobs = listed.split('\n').map((line) => line.trim().split(/\s+/));
  return jobs.find((words) => words[1] === unit)?.[2] ?? null;
}

/** Lines of `NAME=VALUE`. */
export function stateOf(
  shown: string,
): { readonly mainPid: number; readonly state: string } | null {
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(shown)?.[1];
  if (value('LoadState') !== 'loaded') return null;
  return { mainPid: Number(value('MainPID') ?? 0), state: value('ActiveState') ?? '' };
}

/** What it prints; empty where it fails. */
function systemctl(...args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const env = { ...process.env, LC_ALL: 'C', SYSTEMD_COLORS: '0' };
    execFile('systemctl', args, { env, timeout: SYSTEMCTL_MS }, (failure, stdout) =>
      resolve(failure === null ? stdout : ''),
    );
  });
}
