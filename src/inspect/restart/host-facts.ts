import { type ByteString, nameToText } from '../../base/bytes.ts';
import { textField } from '../../wire/sanlock/records.ts';
import { STATE_TYPES } from '../../wire/sanlock/socket.ts';
import type { StateRecord } from '../../wire/sanlock/types.ts';
import { dumpedClients } from '../../wire/wdmd/dump.ts';

/**
 * The daemons that can be replaced while they are used, each after those that it connects to: a
 * daemon of the release before never meets an older one than it knows, and the successor of sanlock
 * finds a wdmd that lets it take its duties over, that of lvmlockd a sanlock that lets it adopt.
 */
export const DAEMONS = ['wdmd', 'sanlock', 'lvmlockd'] as const;
export type DaemonName = (typeof DAEMONS)[number];

export function isDaemonName(word: string): word is DaemonName {
  return DAEMONS.some((name) => name === word);
}

/** A daemon that serves its socket. */
export interface RunningDaemon {
  /** 0: not known, as from within another pid namespace. */
  readonly pid: number;
  /** Its pid may come again for another process, this may not; null: not known. */
  readonly identity: string | null;
  /** The C program, not ours. */
  readonly isOriginal: boolean;
}

/** What the daemons of this host say of themselves; null: that one does not run, or is silent. */
export interface HostFacts {
  /** They run, and do not answer. */
  readonly silent: readonly { readonly name: DaemonName; readonly pid: number }[];
  readonly wdmd: WdmdFacts | null;
  readonly sanlock: SanlockFacts | null;
  readonly lvmlockd: LvmlockdFacts | null;
}

export interface WdmdFacts {
  readonly daemon: RunningDaemon;
  readonly clients: readonly WdmdClient[];
}

export interface WdmdClient {
  readonly name: string;
  readonly pid: number;
  /** Its connection is gone, its expiry stands. */
  readonly isDead: boolean;
  readonly hasRefcount: boolean;
  /** A program of ours, which finds the next wdmd, and the next sanlock. */
  readonly isOurs: boolean;
  /** Seconds from now; null: it has no expiry. */
  readonly expiry: { readonly leftS: number; readonly wholeS: number } | null;
}

export interface SanlockFacts {
  readonly daemon: RunningDaemon;
  readonly usesWatchdog: boolean;
  readonly lockspaces: readonly LockspaceFacts[];
  readonly leases: readonly LeaseFacts[];
}

export interface LockspaceFacts {
  readonly name: string;
  readonly phase: 'joined' | 'joining' | 'leaving' | 'failing';
  readonly ioTimeoutS: number;
  readonly generation: string;
  /** Since its last renewal began, as far as the daemon shows. */
  readonly ageS: number;
}

export interface LeaseFacts {
  readonly lockspace: string;
  readonly name: string;
  /** Neither being taken, recovered nor released. */
  readonly isHeld: boolean;
  /** null: an orphan. */
  readonly holderPid: number | null;
}

export interface LvmlockdFacts {
  readonly daemon: RunningDaemon;
  readonly vgs: readonly string[];
  /** `LV ex UUID`: locks that are held, by what lvmlockctl shows. */
  readonly locks: readonly string[];
}

/** Of the records of STATUS. @param renewedS the newest renewal of each lockspace, monotonic */
export function sanlockFacts(
  daemon: RunningDaemon,
  records: readonly StateRecord[],
  renewedS: ReadonlyMap<ByteString, number>,
): SanlockFacts {
  const head = records.find(({ type }) => type === STATE_TYPES.DAEMON);
  const nowS = head === undefined ? 0 : numberIn(head, 'monotime');
  return {
    daemon,
    usesWatchdog: head !== undefined && numberIn(head, 'use_watchdog') !== 0,
    lockspaces: records
      .filter(({ type }) => type === STATE_TYPES.LOCKSPACE)
      .map((record) => lockspaceFacts(record, { nowS, renewedS: renewedS.get(record.name) })),
    leases: records.filter(({ type }) => type === STATE_TYPES.RESOURCE).map(leaseFacts),
  };
}

/** Of a record of STATUS; `renewedS`: its newest renewal, where another answer says. */
export function lockspaceFacts(
  record: StateRecord,
  at: { readonly nowS: number; readonly renewedS: number | undefined },
): LockspaceFacts {
  const renewedS = at.renewedS ?? numberIn(record, 'renewal_last_success');
  return {
    name: nameToText(record.name),
    phase: phaseOf(record),
    ioTimeoutS: numberIn(record, 'io_timeout'),
    generation: textField(record, 'host_generation') ?? '0',
    ageS: Math.max(0, at.nowS - renewedS),
  };
}

const FAILURES = ['renew_fail', 'space_dead', 'killing_pids'] as const;

function phaseOf(record: StateRecord): LockspaceFacts['phase'] {
  if (FAILURES.some((name) => numberIn(record, name) !== 0)) return 'failing';
  const list = textField(record, 'list');
  if (list === 'add') return 'joining';
  return list === 'spaces' ? 'joined' : 'leaving';
}

function leaseFacts(record: StateRecord): LeaseFacts {
  const list = textField(record, 'list');
  return {
    lockspace: nameToText(record.resource?.lockspaceName ?? ''),
    name: nameToText(record.name),
    isHeld: list === 'held' || list === 'orphan',
    holderPid: list === 'orphan' ? null : record.data32,
  };
}

function numberIn(record: StateRecord, key: string): number {
  return Number(textField(record, key) ?? 0);
}

/** Of the text of `wdmd -d`. */
export function wdmdFacts(
  daemon: RunningDaemon,
  dump: string,
  programOf: (pid: number) => string | null,
): WdmdFacts {
  const ours = daemon.isOriginal ? null : programOf(daemon.pid);
  const clients = dumpedClients(dump).map(
    ({ name, pid, isDead, hasRefcount, nowS, renewalS, expireS }): WdmdClient => ({
      ...{ name: nameToText(name), pid, isDead, hasRefcount },
      isOurs: ours !== null && programOf(pid) === ours,
      expiry: expireS === null ? null : { leftS: expireS - nowS, wholeS: expireS - renewalS },
    }),
  );
  return { daemon, clients };
}

/** Of the text of `lvmlockctl -i`. */
export function lvmlockdFacts(daemon: RunningDaemon, info: string): LvmlockdFacts {
  const lines = info.split('\n');
  return {
    daemon,
    vgs: lines.flatMap((line) => /^VG (\S+) lock_type=/.exec(line)?.[1] ?? []),
    locks: lines.flatMap((line) => /^LK (LV (?:ex|sh) \S+)/.exec(line)?.[1] ?? []),
  };
}
