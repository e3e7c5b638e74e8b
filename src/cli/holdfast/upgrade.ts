import { readFileSync } from 'node:fs';
import { nameToText } from '../../base/bytes.ts';
import { plainJson } from '../../base/plain-text.ts';
import { DAEMONS, type DaemonName, isDaemonName } from '../../inspect/restart/host-facts.ts';
import { MonotonicClock } from '../../platform/clock.ts';
import { daemonSockets } from '../../platform/daemon-sockets.ts';
import { mistakeText } from '../frame/help.ts';
import { type CommandPage, JSON_OPTION } from '../frame/page.ts';
import { readWords } from '../frame/words.ts';
import { askLvmlockdState } from '../observe/ask.ts';
import { type DaemonPorts, daemonPaths, findDaemon, REAL_PROCESSES } from '../observe/daemons.ts';
import { noDaemon } from './no-daemon.ts';
import type { ReadPorts } from './upgrade/read.ts';
import { serviceManager } from './upgrade/service.ts';
import { keptText, missingText, obstacleText } from './upgrade/texts.ts';
import { type UpgradeReport, upgradeDaemons } from './upgrade/upgrade.ts';

export const UPGRADE_PAGE = {
  name: 'holdfast upgrade',
  about: 'restarts the daemons while leases are held; everything is carried over',
  forms: ['[wdmd] [sanlock] [lvmlockd]'],
  operands: DAEMONS,
  counts: { least: 0, most: 100 },
  options: [
    { name: 'check', about: 'says whether they can be restarted now, and does nothing' },
    JSON_OPTION,
  ],
  text: [
    'Restarts the daemons of this host, by default all that run, while leases are held and volumes ' +
      'are active: each ends for its successor, which systemd starts, and which takes everything ' +
      'over. Shows what was carried over. It restarts nothing if little time is left (less than half ' +
      'of what a renewal protects), if something is being joined, recovered or lost, or if a program ' +
      'is the original.',
    'Run it as root. docs/operations/restart.md says more.',
  ],
  examples: [
    { line: 'holdfast upgrade --check', about: 'whether all that run can be restarted now' },
    { line: 'holdfast upgrade', about: 'behind the installation of another release' },
    { line: 'holdfast upgrade lvmlockd', about: 'one of them alone' },
  ],
  exits: {
    0: 'everything was carried over, or with --check could be',
    1: 'not: the reasons are printed, or none of the daemons runs',
    2: 'wrong words, or not root',
  },
  schema: 'holdfast.upgrade/1',
  seeAlso: ['holdfast-stop(8)', 'sanlock(8)', 'wdmd(8)', 'lvmlockd(8)'],
} as const satisfies CommandPage;

/** Replaces the running daemons by those that are installed. @returns the exit status */
export async function upgrade(args: readonly string[]): Promise<number> {
  const words = readWords(UPGRADE_PAGE, args);
  const stranger = words.ok ? words.value.operands.find((word) => !isDaemonName(word)) : undefined;
  if (!words.ok || stranger !== undefined) {
    const wrong = words.ok ? noDaemon(stranger ?? '') : words.error;
    process.stderr.write(mistakeText(UPGRADE_PAGE, wrong));
    return 2;
  }
  if (process.geteuid?.() !== 0) {
    process.stderr.write('holdfast upgrade: only root may look at the daemons and restart them\n');
    return 2;
  }
  const { operands, has } = words.value;
  const ports = realPorts();
  const wanted = operands.length === 0 ? await running(ports) : operands.filter(isDaemonName);
  if (wanted.length === 0) {
    const none = `none of the daemons ${DAEMONS.join(', ')} runs here`;
    process.stderr.write(`holdfast upgrade: ${none}\n`);
    return 1;
  }
  // With --json what is done is told on stderr: an administrator may have to act while it waits.
  const stream = has('json') ? process.stderr : process.stdout;
  const say = (line: string) => void stream.write(`${line}\n`);
  const world = { ports, services: serviceManager(), commandOf, say };
  const report = await upgradeDaemons(world, { wanted, checkOnly: has('check') });
  if (has('json')) process.stdout.write(upgradeJson(report));
  return report.isGood ? 0 : 1;
}

function upgradeJson(report: UpgradeReport): string {
  const { schema } = UPGRADE_PAGE;
  const obstacles = report.obstacles.map((one) => ({ ...one, text: obstacleText(one) }));
  const restarts = report.restarts.map((one) => ({
    ...one,
    kept: one.kept.map((kept) => ({ ...kept, text: keptText(kept) })),
    missing: one.missing.map((gone) => ({ ...gone, text: missingText(gone) })),
  }));
  return `${plainJson({ schema, ...report, obstacles, restarts })}\n`;
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

async function running(ports: DaemonPorts): Promise<readonly DaemonName[]> {
  const found = await Promise.all(DAEMONS.map((name) => findDaemon(ports, name)));
  return DAEMONS.filter((_, index) => found[index] !== null);
}

async function lvmlockdInfo(ports: DaemonPorts): Promise<string | null> {
  const info = await askLvmlockdState(ports, 'lines');
  return info.ok ? nameToText(info.value) : null;
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
