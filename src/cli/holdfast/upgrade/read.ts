import type { ByteString } from '../../../base/bytes.ts';
import {
  type DaemonName,
  type HostFacts,
  type LvmlockdFacts,
  lvmlockdFacts,
  type RunningDaemon,
  type SanlockFacts,
  sanlockFacts,
  type WdmdFacts,
  wdmdFacts,
} from '../../../inspect/restart/host-facts.ts';
import { renewalHistory, status } from '../../../wire/sanlock/daemon-calls.ts';
import { textField } from '../../../wire/sanlock/records.ts';
import { STATE_TYPES } from '../../../wire/sanlock/socket.ts';
import { askSanlock } from '../../observe/ask.ts';
import { type DaemonPorts, findDaemon } from '../../observe/daemons.ts';
import { printDump } from '../../wdmd/main.ts';

/** By what the facts are read; the dump of lvmlockd comes by a socket of its own. */
export interface ReadPorts extends DaemonPorts {
  /** What `lvmlockctl -i` prints; null: lvmlockd does not say. */
  readonly lvmlockdInfo: () => Promise<string | null>;
}

/** Asks each daemon that runs, for a time. */
export async function readHost(ports: ReadPorts): Promise<HostFacts> {
  const [watchdogs, lvmlockd] = await Promise.all([
    readWatchdogs(ports),
    read(ports, 'lvmlockd', (daemon) => readLvmlockd(ports, daemon)),
  ]);
  const silent = [...watchdogs.silent, ...lvmlockd.silent];
  return { ...watchdogs, lvmlockd: lvmlockd.facts, silent };
}

/** As above, of sanlock and of the wdmd under it. */
export async function readWatchdogs(ports: DaemonPorts): Promise<Omit<HostFacts, 'lvmlockd'>> {
  const [wdmd, sanlock] = await Promise.all([
    read(ports, 'wdmd', (daemon) => readWdmd(ports, daemon)),
    read(ports, 'sanlock', (daemon) => readSanlock(ports, daemon)),
  ]);
  const silent = [...wdmd.silent, ...sanlock.silent];
  return { wdmd: wdmd.facts, sanlock: sanlock.facts, silent };
}

interface Read<T> {
  readonly facts: T | null;
  readonly silent: HostFacts['silent'];
}

async function read<T>(
  ports: DaemonPorts,
  name: DaemonName,
  ask: (daemon: RunningDaemon) => Promise<T | null>,
): Promise<Read<T>> {
  const daemon = await findDaemon(ports, name);
  if (daemon === null) return { facts: null, silent: [] };
  const facts = await ask(daemon);
  return { facts, silent: facts === null ? [{ name, pid: daemon.pid }] : [] };
}

async function readWdmd(ports: DaemonPorts, daemon: RunningDaemon): Promise<WdmdFacts | null> {
  const { sockets, clock, paths } = ports;
  let text = '';
  const from = { sockets, clock, socketPath: paths.wdmd };
  const code = await printDump(from, (dump) => {
    text = dump;
  });
  return code === 0 ? wdmdFacts(daemon, text, ports.processes.programOf) : null;
}

async function readSanlock(
  ports: DaemonPorts,
  daemon: RunningDaemon,
): Promise<SanlockFacts | null> {
  const records = await askSanlock(ports, status());
  if (!records.ok) return null;
  const renewedS = new Map<ByteString, number>();
  for (const { type, name } of records.value) {
    if (type !== STATE_TYPES.LOCKSPACE) continue;
    const history = await askSanlock(ports, renewalHistory(name));
    const newest = history.ok ? history.value.records.at(-1) : undefined;
    if (newest !== undefined) renewedS.set(name, Number(textField(newest, 'timestamp') ?? 0));
  }
  return sanlockFacts(daemon, records.value, renewedS);
}

async function readLvmlockd(
  ports: ReadPorts,
  daemon: RunningDaemon,
): Promise<LvmlockdFacts | null> {
  const info = await ports.lvmlockdInfo();
  return info === null ? null : lvmlockdFacts(daemon, info);
}
