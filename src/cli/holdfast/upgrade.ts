import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fail, ok, type Result } from '../../base/result.ts';
import { DAEMONS, type DaemonName, isDaemonName } from '../../inspect/host-facts.ts';
import { MonotonicClock } from '../../platform/clock.ts';
import { daemonSockets } from '../../platform/daemon-sockets.ts';
import { reasonOf } from '../../platform/system-error.ts';
import { askLvmlockdState } from '../observe/ask.ts';
import { type DaemonPorts, daemonPaths, findDaemon, REAL_PROCESSES } from '../observe/daemons.ts';
import type { ReadPorts } from './upgrade/read.ts';
import { serviceManager } from './upgrade/service.ts';
import { type UpgradeOptions, upgradeDaemons } from './upgrade/upgrade.ts';

export const UPGRADE_USAGE = `holdfast upgrade [--check] [wdmd] [sanlock] [lvmlockd]

Restarts the daemons of this host, by default all that run, while leases are held and volumes are
active: each ends for its successor, which systemd starts, and which takes everything over. Shows
what was carried over. It restarts nothing if little time is left (less than half of what a renewal
protects), if something is being joined, recovered or lost, or if a program is the original.

    --check   says whether they can be restarted now, and does nothing

Exit status: 0 if everything was carried over, or with --check could be; 1 if not: the reasons are
printed. Run it as root. docs/operations/restart.md says more.
`;

/** Replaces the running daemons by those that are installed. */
export async function upgrade(args: readonly string[]): Promise<number> {
  if (process.geteuid?.() !== 0) {
    process.stderr.write('holdfast upgrade: only root may look at the daemons and restart them\n');
    return 1;
  }
  const ports = realPorts();
  const options = await readOptions(args, ports);
  if (!options.ok) {
    process.stderr.write(`holdfast upgrade: ${options.error}\n`);
    return 1;
  }
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  const world = { ports, services: serviceManager(), commandOf, say };
  return upgradeDaemons(world, options.value);
}

/** The daemons of this host. */
export function realPorts(): ReadPorts {
  const ports = {
    sockets: daemonSockets(),
    clock: new MonotonicClock(),
    paths: daemonPaths(process.env),
    processes: REAL_PROCESSES,
  };
  return { ...ports, lvmlockdInfo: () => lvmlockdInfo(ports) };
}

async function readOptions(
  args: readonly string[],
  ports: DaemonPorts,
): Promise<Result<UpgradeOptions, string>> {
  try {
    const options = { check: { type: 'boolean' } } as const;
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options });
    const unknown = positionals.find((word) => !isDaemonName(word));
    if (unknown !== undefined) {
      return fail(`"${unknown}" is none of the daemons ${DAEMONS.join(', ')}`);
    }
    const wanted =
      positionals.length === 0 ? await running(ports) : positionals.filter(isDaemonName);
    if (wanted.length === 0) return fail(`none of the daemons ${DAEMONS.join(', ')} runs here`);
    return ok({ wanted, checkOnly: values.check ?? false });
  } catch (thrown) {
    return fail(reasonOf(thrown));
  }
}

async function running(ports: DaemonPorts): Promise<readonly DaemonName[]> {
  const found = await Promise.all(DAEMONS.map((name) => findDaemon(ports, name)));
  return DAEMONS.filter((_, index) => found[index] !== null);
}

async function lvmlockdInfo(ports: DaemonPorts): Promise<string | null> {
  const info = await askLvmlockdState(ports, 'lines');
  return info.ok ? info.value : null;
}

/** The words with which a process was started, as a shell reads them. */
function commandOf(pid: number): string | null {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    return words.map((word) => (/^[\w./:=+@,-]+$/.test(word) ? word : `'${word}'`)).join(' ');
  } catch {
    return null; // it has ended
  }
}
