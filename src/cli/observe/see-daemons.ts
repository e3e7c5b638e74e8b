import type { ByteString } from '../../base/bytes.ts';
import {
  DAEMONS,
  type DaemonName,
  type RunningDaemon,
  wdmdFacts,
} from '../../inspect/restart/host-facts.ts';
import type { StartedVg } from '../../inspect/snapshot/lvmlockd-seen.ts';
import { vgsOfDump } from '../../inspect/snapshot/lvmlockd-seen.ts';
import type { SanlockAnswers, SpaceAnswers } from '../../inspect/snapshot/sanlock-seen.ts';
import type { DaemonSeen, Unread, WatchdogSeen } from '../../inspect/snapshot/snapshot.ts';
import {
  type DaemonVersion,
  getHosts,
  hostStatus,
  renewalHistory,
  status,
  version,
} from '../../wire/sanlock/daemon-calls.ts';
import { textField } from '../../wire/sanlock/records.ts';
import { STATE_TYPES } from '../../wire/sanlock/socket.ts';
import { printDump } from '../wdmd/main.ts';
import { askLvmlockdState, askSanlock } from './ask.ts';
import { type DaemonPorts, findDaemon } from './daemons.ts';

/** What the daemons of this host said of themselves. */
export interface DaemonAnswers {
  readonly daemons: readonly DaemonSeen[];
  readonly watchdog: WatchdogSeen;
  /** null: it does not run, or is silent. */
  readonly sanlock: SanlockAnswers | null;
  readonly started: readonly StartedVg[] | null;
  readonly unread: readonly Unread[];
}

/** Asks all daemons at once; each has seconds to answer. */
export async function seeDaemons(ports: DaemonPorts): Promise<DaemonAnswers> {
  const running = await Promise.all(DAEMONS.map((name) => findDaemon(ports, name)));
  const [wdmd = null, sanlock = null, lvmlockd = null] = running;
  const [dump, answers, started] = await Promise.all([
    wdmd === null ? null : dumpOfWdmd(ports),
    sanlock === null ? null : sanlockAnswers(ports),
    lvmlockd === null ? null : startedVgs(ports),
  ]);
  const seen: Readonly<Record<DaemonName, Seen>> = {
    wdmd: { daemon: wdmd, said: dump, version: null },
    sanlock: { daemon: sanlock, said: answers, version: answers?.version ?? null },
    lvmlockd: { daemon: lvmlockd, said: started, version: null },
  };
  const silent = DAEMONS.filter((name) => seen[name].daemon !== null && seen[name].said === null);
  return {
    daemons: DAEMONS.map((name) => daemonSeen(name, seen[name])),
    watchdog: watchdogSeen(ports, { wdmd, dump, sanlock, answers }),
    sanlock: answers,
    started,
    unread: silent.map((what) => ({ what, of: '', why: `${what} runs and does not answer` })),
  };
}

interface Seen {
  readonly daemon: RunningDaemon | null;
  /** null: nothing. */
  readonly said: unknown;
  readonly version: string | null;
}

function daemonSeen(name: DaemonName, { daemon, said, version: itsVersion }: Seen): DaemonSeen {
  if (daemon === null) {
    return { name, state: 'absent', pid: 0, isOriginal: false, version: null };
  }
  const { pid, isOriginal } = daemon;
  return {
    name,
    state: said === null ? 'silent' : 'running',
    pid,
    isOriginal,
    version: itsVersion,
  };
}

async function dumpOfWdmd({ sockets, clock, paths }: DaemonPorts): Promise<string | null> {
  let text = '';
  const code = await printDump({ sockets, clock, socketPath: paths.wdmd }, (printed) => {
    text += printed;
  });
  return code === 0 ? text : null;
}

/** `3.8.5` of 0x03080500. */
function versionText({ release }: DaemonVersion): string {
  return `${release >>> 24}.${(release >>> 16) & 0xff}.${(release >>> 8) & 0xff}`;
}

interface VersionedAnswers extends SanlockAnswers {
  readonly version: string | null;
}

async function sanlockAnswers(ports: DaemonPorts): Promise<VersionedAnswers | null> {
  const [records, itsVersion] = await Promise.all([
    askSanlock(ports, status()),
    askSanlock(ports, version()),
  ]);
  if (!records.ok) return null;
  const names = records.value.filter(({ type }) => type === STATE_TYPES.LOCKSPACE);
  const spaces = new Map<ByteString, SpaceAnswers>();
  await Promise.all(
    names.map(async ({ name }) => {
      spaces.set(name, await spaceAnswers(ports, name));
    }),
  );
  return {
    records: records.value,
    spaces,
    version: itsVersion.ok ? versionText(itsVersion.value) : null,
  };
}

async function spaceAnswers(ports: DaemonPorts, name: ByteString): Promise<SpaceAnswers> {
  const [hostRecords, hosts, history] = await Promise.all([
    askSanlock(ports, hostStatus(name)),
    askSanlock(ports, getHosts(name)),
    askSanlock(ports, renewalHistory(name)),
  ]);
  return {
    hostRecords: hostRecords.ok ? hostRecords.value : [],
    hosts: hosts.ok ? hosts.value : [],
    renewals: history.ok ? history.value.records : [],
  };
}

async function startedVgs(ports: DaemonPorts): Promise<readonly StartedVg[] | null> {
  const dump = await askLvmlockdState(ports, 'records');
  return dump.ok ? vgsOfDump(dump.value) : null;
}

function watchdogSeen(
  ports: DaemonPorts,
  of: {
    readonly wdmd: RunningDaemon | null;
    readonly dump: string | null;
    readonly sanlock: RunningDaemon | null;
    readonly answers: SanlockAnswers | null;
  },
): WatchdogSeen {
  const { wdmd, dump, sanlock, answers } = of;
  if (sanlock === null) return { state: 'off', why: 'sanlockAbsent' };
  if (answers === null) return { state: 'unknown', why: 'sanlockSilent' };
  const head = answers.records.find(({ type }) => type === STATE_TYPES.DAEMON);
  const uses = head !== undefined && textField(head, 'use_watchdog') === '1';
  if (!uses) return { state: 'off', why: 'notUsed' };
  if (wdmd === null) return { state: 'off', why: 'wdmdAbsent' };
  if (dump === null) return { state: 'unknown', why: 'wdmdSilent' };
  const { clients } = wdmdFacts(wdmd, dump, ports.processes.programOf);
  return {
    state: 'on',
    clients: clients.map(({ name, pid, isDead, expiry }) => ({
      ...{ name, pid, isDead },
      leftS: expiry?.leftS ?? null,
    })),
  };
}
