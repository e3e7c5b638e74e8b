import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MIB } from '../../src/base/units.ts';
import type { DeltaLeader } from '../../src/format/leader.ts';
import type { Host } from '../../src/rig/host.ts';
import { isRunning, treeOf } from '../../src/rig/processes.ts';
import type { FakeWatchdog } from '../interop/wdmd-host.ts';
import { ageS, hostLease } from './places.ts';
import type { User } from './users.ts';
import type { Verdict } from './verdict.ts';
import { monotonicMs, watchdogState } from './watchdog-watch.ts';

export const WATCHDOG_TIMEOUT_S = 60;
const JOURNALS = ['/run/sanlock/sanlock.holders', '/run/wdmd', '/run/lvm', '/run/sanlock'] as const;
/** Of all files of one run folder, and of the file of holders: far from growing with the restarts. */
const MOST_BYTES = 2 * MIB;
const MOST_FILES = 24;
/** A daemon of ours in its second minute against one in its last. */
const MORE_DESCRIPTORS = 12;
const MORE_BYTES = 48 * MIB;
/** A user asks again at once; a minute is allowed after lease processes were killed as well. */
const STALLED_MS = 150_000;
/** Ballots are no queue: a host waits long for a lease that another one keeps taking. */
export const CONTENDED_MS = 300_000;
/** Nobody else counts under it, so that its user waits for daemons alone. */
export const UNCONTENDED = 'own';
/** Events of our logs that tell of a bug or of a loss. */
const BAD_EVENTS =
  /\b(lease\.notHeld|leases\.unprotected|daemon\.broken|client\.signalled|client\.killpath)\b/;
const BROKEN = /assert|AssertionError|Unhandled|TypeError|ReferenceError|RangeError/;

/** The host lease of one host in one lockspace, looked at again and again. */
export class HostLeaseWatch {
  readonly name: string;
  readonly #device: string;
  readonly #host: Host;
  readonly #failS: number;
  #first: DeltaLeader | null = null;
  #longestS = 0;

  constructor(
    host: Host,
    of: { readonly lockspace: string; readonly device: string; readonly failS: number },
  ) {
    this.name = `${of.lockspace}:${host.name}`;
    this.#host = host;
    this.#device = of.device;
    this.#failS = of.failS;
  }

  get longestAgeS(): number {
    return this.#longestS;
  }

  ageS(): number {
    return ageS(hostLease(this.#device, this.#host.hostId));
  }

  look(verdict: Verdict): void {
    const record = hostLease(this.#device, this.#host.hostId);
    this.#first ??= record;
    const { ownerGeneration, timestampS, hostName } = record;
    if (ownerGeneration !== this.#first.ownerGeneration) {
      const was = this.#first.ownerGeneration;
      verdict.fail(`the host lease ${this.name} has generation ${ownerGeneration}, it was ${was}`);
    }
    if (hostName !== this.#first.hostName) {
      verdict.fail(`the host lease ${this.name} is of ${hostName}`);
    }
    if (timestampS === 0n) {
      verdict.fail(`the host lease ${this.name} is free`);
      return;
    }
    const age = ageS(record);
    this.#longestS = Math.max(this.#longestS, age);
    if (age > this.#failS) {
      verdict.fail(`the host lease ${this.name} was not renewed for ${this.#failS} s`);
    }
  }
}

/** The device of a host whose wdmd is restarted: it has not fired and was not disarmed. */
export function lookAtWatchdog(device: FakeWatchdog, host: Host, verdict: Verdict): void {
  const state = watchdogState(device.events(), WATCHDOG_TIMEOUT_S, monotonicMs());
  if (state.firedMs !== null) {
    verdict.fail(`the watchdog of ${host.name} fired at ${Math.round(state.firedMs)} ms`);
  }
  if (state.disarmed) verdict.fail(`the watchdog of ${host.name} was disarmed`);
}

/** Nobody was signalled, ended, lost a lease, or got one that another host holds. */
export function lookAtUsers(users: readonly User[], verdict: Verdict): void {
  for (const user of users) {
    user.read();
    for (const { value } of user.saying('signal')) {
      verdict.fail(`${user.name} was signalled: ${value}`);
    }
    for (const { value } of user.saying('lost')) {
      verdict.fail(`${user.name} could not take its lease back: ${value}`);
    }
    for (const { value, ms } of user.saying('granted')) {
      verdict.fail(`${user.name} was granted ${value} at ${ms} ms, and another host holds it`);
    }
    if (!user.isAlive) verdict.fail(`${user.name} has ended: ${user.end}`);
    for (const [lease, ms] of user.lastStepMs) {
      const mostMs = lease === UNCONTENDED ? STALLED_MS : CONTENDED_MS;
      if (monotonicMs() - ms > mostMs) {
        verdict.fail(`${user.name} made no step under ${lease} for ${mostMs / 1000} s`);
      }
    }
  }
}

/** What our daemons keep in the run folders of a host stays small over restarts. */
export function lookAtRunFolders(host: Host, verdict: Verdict): void {
  for (const journal of JOURNALS) {
    const path = host.path(journal);
    if (!existsSync(path)) continue;
    const isFolder = statSync(path).isDirectory();
    const files = isFolder ? readdirSync(path).map((name) => join(path, name)) : [path];
    const bytes = files.reduce((sum, file) => sum + sizeOf(file), 0);
    if (bytes > MOST_BYTES) verdict.fail(`${journal} of ${host.name} has more than 2 MiB`);
    if (files.length > MOST_FILES) {
      verdict.fail(`${journal} of ${host.name} has more than ${MOST_FILES} files`);
    }
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0; // removed meanwhile
  }
}

/** Each bad line once. */
export function lookAtLogs(host: Host, dir: string, verdict: Verdict): void {
  const folder = join(dir, host.name, 'log');
  for (const name of readdirSync(folder)) {
    const lines = readFileSync(join(folder, name), 'latin1').split('\n');
    for (const line of lines) {
      if (BAD_EVENTS.test(line) || BROKEN.test(line)) {
        verdict.fail(`${name} of ${host.name} has: ${line.slice(0, 300)}`);
      }
    }
  }
}

export interface Size {
  readonly descriptors: number;
  readonly bytes: number;
  readonly processes: number;
}

/** Of a daemon and the processes that it started. */
export function sizeOfDaemon(pid: number): Size {
  const tree = treeOf(pid).filter(isRunning);
  let [descriptors, bytes] = [0, 0];
  for (const one of tree) {
    try {
      descriptors += readdirSync(`/proc/${one}/fd`).length;
      const anonymous = /^RssAnon:\s+(\d+) kB$/m.exec(
        readFileSync(`/proc/${one}/status`, 'latin1'),
      );
      bytes += Number(anonymous?.[1] ?? 0) * 1024;
    } catch {
      // It has ended meanwhile.
    }
  }
  return { descriptors, bytes, processes: tree.length };
}

/** Sizes at moments of rest: the least of the last third against the most of the first. */
export function growth(sizes: readonly Size[]): string | null {
  const third = Math.max(1, Math.floor(sizes.length / 3));
  const [early, late] = [sizes.slice(0, third), sizes.slice(-third)];
  const more = (of: (size: Size) => number) =>
    Math.min(...late.map(of)) - Math.max(...early.map(of));
  const descriptors = more((size) => size.descriptors);
  if (descriptors > MORE_DESCRIPTORS) return `${descriptors} more descriptors`;
  const bytes = more((size) => size.bytes);
  if (bytes > MORE_BYTES) return `${Math.round(bytes / MIB)} MiB more`;
  const processes = more((size) => size.processes);
  return processes > 0 ? `${processes} more processes` : null;
}
