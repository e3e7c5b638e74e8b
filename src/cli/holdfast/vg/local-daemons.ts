import { nameToText, textToName } from '../../../base/bytes.ts';
import { DAEMONS, type DaemonName } from '../../../inspect/restart/host-facts.ts';
import { MonotonicClock } from '../../../platform/clock.ts';
import { daemonSockets } from '../../../platform/daemon-sockets.ts';
import { getHosts, status } from '../../../wire/sanlock/daemon-calls.ts';
import { textField } from '../../../wire/sanlock/records.ts';
import { STATE_TYPES } from '../../../wire/sanlock/socket.ts';
import type { Host, StateRecord } from '../../../wire/sanlock/types.ts';
import { askSanlock } from '../../observe/ask.ts';
import {
  type DaemonPorts,
  daemonPaths,
  findDaemon,
  REAL_PROCESSES,
} from '../../observe/daemons.ts';

/** What the daemons of this host say, as far as a VG is concerned. */
export interface LocalDaemons {
  readonly running: ReadonlySet<DaemonName>;
  /** null: it does not run, or does not answer. */
  readonly sanlock: LocalSanlock | null;
}

export interface LocalSanlock {
  /** With which it joins, now. */
  readonly hostName: string;
  readonly usesWatchdog: boolean;
  readonly lockspaces: readonly LocalLockspace[];
  /** Whether a process holds a lease. */
  readonly isHolding: boolean;
}

export interface LocalLockspace {
  readonly name: string;
  readonly hostId: number;
  readonly path: string;
  /** Neither joining nor leaving. */
  readonly isJoined: boolean;
}

export function localPorts(): DaemonPorts {
  return {
    sockets: daemonSockets(),
    clock: new MonotonicClock(),
    paths: daemonPaths(process.env),
    processes: REAL_PROCESSES,
  };
}

export async function seeLocalDaemons(ports: DaemonPorts): Promise<LocalDaemons> {
  const found = await Promise.all(DAEMONS.map((name) => findDaemon(ports, name)));
  const running = new Set(DAEMONS.filter((_, index) => found[index] !== null));
  const records = running.has('sanlock') ? await askSanlock(ports, status()) : null;
  return { running, sanlock: records?.ok === true ? localSanlock(records.value) : null };
}

function localSanlock(records: readonly StateRecord[]): LocalSanlock {
  const head = records.find(({ type }) => type === STATE_TYPES.DAEMON);
  return {
    hostName: nameToText(head?.name ?? ''),
    usesWatchdog: head !== undefined && textField(head, 'use_watchdog') !== '0',
    isHolding: records.some(({ type }) => type === STATE_TYPES.RESOURCE),
    lockspaces: records.flatMap((record) => {
      const { type, lockspace } = record;
      if (type !== STATE_TYPES.LOCKSPACE || lockspace === null) return [];
      return {
        name: nameToText(record.name),
        hostId: Number(lockspace.hostId),
        path: nameToText(lockspace.path),
        isJoined: textField(record, 'list') === 'spaces',
      };
    }),
  };
}

/** Other hosts of a lockspace, as sanlock here judges them; null: it does not say. */
export async function hostsOf(
  ports: DaemonPorts,
  lockspace: string,
): Promise<readonly Host[] | null> {
  const hosts = await askSanlock(ports, getHosts(textToName(lockspace)));
  return hosts.ok ? hosts.value : null;
}
