import type { ByteString } from '../../../base/bytes.ts';
import { callOnce } from '../../../client/sanlock-link.ts';
import type { SanlockCall } from '../../../wire/sanlock/call.ts';
import { renewalHistory, status } from '../../../wire/sanlock/daemon-calls.ts';
import { textField } from '../../../wire/sanlock/records.ts';
import { STATE_TYPES } from '../../../wire/sanlock/socket.ts';
import { printDump } from '../../wdmd/main.ts';
import { type DaemonPorts, findDaemon } from './daemons.ts';
import {
  type HostFacts,
  type LvmlockdFacts,
  lvmlockdFacts,
  type SanlockFacts,
  sanlockFacts,
  type WdmdFacts,
  wdmdFacts,
} from './facts.ts';

const ASK_MS = 5000;

/** By what the facts are read; the dump of lvmlockd comes by a socket of its own. */
export interface ReadPorts extends DaemonPorts {
  /** What `lvmlockctl -i` prints; null: lvmlockd does not say. */
  readonly lvmlockdInfo: () => Promise<string | null>;
}

/** Asks each daemon that runs; one that does not answer in time counts as not running. */
export async function readHost(ports: ReadPorts): Promise<HostFacts> {
  const [watchdogs, lvmlockd] = await Promise.all([readWatchdogs(ports), readLvmlockd(ports)]);
  return { ...watchdogs, lvmlockd };
}

/** As above, of sanlock and of the wdmd under it. */
export async function readWatchdogs(
  ports: DaemonPorts,
): Promise<Pick<HostFacts, 'wdmd' | 'sanlock'>> {
  const [wdmd, sanlock] = await Promise.all([readWdmd(ports), readSanlock(ports)]);
  return { wdmd, sanlock };
}

async function readWdmd(ports: DaemonPorts): Promise<WdmdFacts | null> {
  const daemon = await findDaemon(ports, 'wdmd');
  if (daemon === null) return null;
  const { sockets, clock, paths } = ports;
  let text = '';
  const from = { sockets, clock, socketPath: paths.wdmd };
  const code = await printDump(from, (dump) => {
    text = dump;
  });
  return code === 0 ? wdmdFacts(daemon, text, ports.processes.programOf) : null;
}

async function readSanlock(ports: DaemonPorts): Promise<SanlockFacts | null> {
  const daemon = await findDaemon(ports, 'sanlock');
  if (daemon === null) return null;
  const records = await ask(ports, status());
  if (records === null) return null;
  const renewedS = new Map<ByteString, number>();
  for (const { type, name } of records) {
    if (type !== STATE_TYPES.LOCKSPACE) continue;
    const history = await ask(ports, renewalHistory(name));
    const newest = history?.records.at(-1);
    if (newest !== undefined) renewedS.set(name, Number(textField(newest, 'timestamp') ?? 0));
  }
  return sanlockFacts(daemon, records, renewedS);
}

async function readLvmlockd(ports: ReadPorts): Promise<LvmlockdFacts | null> {
  const daemon = await findDaemon(ports, 'lvmlockd');
  if (daemon === null) return null;
  const info = await ports.lvmlockdInfo();
  return info === null ? null : lvmlockdFacts(daemon, info);
}

function ask<T>({ sockets, clock, paths }: DaemonPorts, call: SanlockCall<T>): Promise<T | null> {
  const endpoint = { sockets, clock, socketPath: paths.sanlock };
  return new Promise((resolve) => {
    callOnce(endpoint, call, ASK_MS, (result) => resolve(result.ok ? result.value : null));
  });
}
