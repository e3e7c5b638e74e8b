import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { type ByteString, textToName } from '../../base/bytes.ts';
import { ERRNO } from '../../base/errno.ts';
import { given } from '../../base/given.ts';
import { sanlockSocketPath } from '../../client/sanlock.ts';
import type { DaemonName, RunningDaemon } from '../../inspect/restart/host-facts.ts';
import { identityOf } from '../../platform/kernel-process.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Connecting } from '../../ports/sockets.ts';
import { wdmdSocket } from '../sanlk-reset/places.ts';

/** By what a daemon is reached; a connection says which process serves it. */
export interface DaemonPorts {
  readonly sockets: Connecting;
  readonly clock: Clock;
  readonly paths: Readonly<Record<DaemonName, ByteString>>;
  readonly processes: ProcessFacts;
}

/** What /proc says; null: there is no such process, or not any more. */
export interface ProcessFacts {
  readonly identityOf: (pid: number) => string | null;
  /** The name of the program that it executes. */
  readonly programOf: (pid: number) => string | null;
}

export const REAL_PROCESSES: ProcessFacts = { identityOf, programOf };

type Environment = Readonly<Partial<Record<string, string>>>;

export function daemonPaths(environment: Environment): DaemonPorts['paths'] {
  const lvmlockd = given(environment['LVM_LVMLOCKD_SOCKET']) ?? '/run/lvm/lvmlockd.socket';
  return {
    wdmd: textToName(wdmdSocket(environment)),
    sanlock: sanlockSocketPath(environment['SANLOCK_RUN_DIR']),
    lvmlockd: textToName(lvmlockd),
  };
}

const CONNECT_MS = 5000;

/** No process has served the socket since its file was made, or there is no such file. */
const NOBODY: readonly number[] = [ERRNO.ENOENT, ERRNO.ECONNREFUSED, ERRNO.ENOTDIR];
/** One that takes no connection says nothing of itself either. */
const UNKNOWN: RunningDaemon = { pid: 0, identity: null, isOriginal: false };

/** The process that serves a daemon's socket; null: none does, or the next one does not yet. */
export function findDaemon(ports: DaemonPorts, name: DaemonName): Promise<RunningDaemon | null> {
  return new Promise((resolve) => {
    ports.sockets.connect(ports.paths[name], CONNECT_MS, (opened) => {
      if (!opened.ok) {
        resolve(NOBODY.includes(opened.errno) ? null : UNKNOWN);
        return;
      }
      const { processes } = ports;
      const pid = opened.connection.peerPid ?? 0;
      opened.connection.close();
      const isOriginal = processes.programOf(pid) === name;
      const identity = processes.identityOf(pid);
      // A socket that systemd keeps open still bears the process that listened there last.
      const isKeptForNext = pid > 0 && identity === null;
      resolve(isKeptForNext ? null : { pid, identity, isOriginal });
    });
  });
}

/** Ours is a program of Node, the original one of its own. */
function programOf(pid: number): string | null {
  try {
    // After an upgrade the file that it executes is no more.
    return basename(readlinkSync(`/proc/${pid}/exe`)).replace(/ \(deleted\)$/, '');
  } catch {
    return null; // it has ended
  }
}

/** One whose process is not known here is never seen to end. */
export function hasEnded(processes: ProcessFacts, { pid, identity }: RunningDaemon): boolean {
  return identity !== null && processes.identityOf(pid) !== identity;
}

/** Looks until it is so. @returns false: it was not, in that time. */
export async function until(
  clock: Clock,
  isSo: () => boolean | Promise<boolean>,
  within: { readonly ms: number; readonly everyMs: number },
): Promise<boolean> {
  const endMs = clock.nowMs() + within.ms;
  for (;;) {
    if (await isSo()) return true;
    if (clock.nowMs() >= endMs) return false;
    await new Promise<void>((resolve) => clock.after(within.everyMs, resolve));
  }
}
