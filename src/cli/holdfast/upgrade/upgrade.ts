import { unreachable } from '../../../base/assert.ts';
import { SECOND_MS } from '../../../base/units.ts';
import {
  type Carried,
  carriedByLvmlockd,
  carriedBySanlock,
  carriedByWdmd,
} from '../../../inspect/restart/carried-over.ts';
import { DAEMONS, type DaemonName, type HostFacts } from '../../../inspect/restart/host-facts.ts';
import { judge, type Obstacle, type Verdict } from '../../../inspect/restart/restart-verdict.ts';
import { until } from '../../observe/daemons.ts';
import { type ReadPorts, readHost } from './read.ts';
import { type RestartWorld, restart } from './restart.ts';
import { keptText, missingText, obstacleText } from './texts.ts';

/** A command of a client takes moments; what takes longer is for the reader to look at. */
const PASSING_MS = 5000;
const LOOK_AGAIN_MS = 250;
/** A successor that serves still resumes its lockspaces, recovers leases, adopts locks. */
const SETTLE_MS = 30_000;

export interface UpgradeOptions {
  readonly wanted: readonly DaemonName[];
  readonly checkOnly: boolean;
}

/** What was found, done and carried over. */
export interface UpgradeReport {
  /** Everything was carried over, or could be. */
  readonly isGood: boolean;
  readonly daemons: readonly DaemonName[];
  /** Why no daemon, or no further one, may be restarted now. */
  readonly obstacles: readonly Obstacle[];
  /** Until the first thing is lost; null: nothing depends on them. */
  readonly marginS: number | null;
  readonly restarts: readonly DaemonRestart[];
}

interface DaemonRestart extends Carried {
  readonly daemon: DaemonName;
  readonly outcome: 'restarted' | 'kept' | 'gone';
  /** Why it was not restarted, or is gone. */
  readonly reason: string | null;
  readonly pid: number;
  readonly successorPid: number | null;
  readonly tookS: number;
}

/** Restarts them one after the other, and tells of each what happens. */
export async function upgradeDaemons(
  world: RestartWorld,
  { wanted, checkOnly }: UpgradeOptions,
): Promise<UpgradeReport> {
  const daemons = DAEMONS.filter((name) => wanted.includes(name));
  const restarts: DaemonRestart[] = [];
  const { verdict } = await lookUntilQuiet(world.ports, daemons);
  const { marginS } = verdict;
  const reportOf = (isGood: boolean, obstacles: readonly Obstacle[] = []) => ({
    ...{ isGood, daemons, obstacles, marginS, restarts },
  });
  if (!isGood(world, verdict)) return reportOf(false, verdict.obstacles);
  if (checkOnly) {
    world.say(`${daemons.join(', ')} can be restarted now${marginText(verdict)}`);
    return reportOf(true);
  }
  for (const [done, name] of daemons.entries()) {
    // What the last one changed is seen before the next one ends.
    const { facts, verdict: again } = await lookUntilQuiet(world.ports, daemons.slice(done));
    if (!isGood(world, again)) return reportOf(false, again.obstacles);
    const one = await upgradeOne(world, name, { facts, marginS: again.marginS });
    if (one !== null) restarts.push(one);
    if (one?.outcome !== 'restarted' || one.missing.length > 0) return reportOf(false);
  }
  return reportOf(true);
}

interface Look {
  readonly facts: HostFacts;
  readonly verdict: Verdict;
}

async function lookUntilQuiet(ports: ReadPorts, order: readonly DaemonName[]): Promise<Look> {
  let look: Look | null = null;
  const isQuiet = async (): Promise<boolean> => {
    const facts = await readHost(ports);
    look = { facts, verdict: judge(facts, order) };
    return !look.verdict.isPassing;
  };
  await until(ports.clock, isQuiet, { ms: PASSING_MS, everyMs: LOOK_AGAIN_MS });
  return look ?? { facts: await readHost(ports), verdict: judge(await readHost(ports), order) };
}

function isGood({ say }: RestartWorld, { obstacles }: Verdict): boolean {
  for (const obstacle of obstacles) say(`not now: ${obstacleText(obstacle)}`);
  return obstacles.length === 0;
}

function marginText({ marginS }: Verdict): string {
  return marginS === null ? ': nothing is in use' : `: ${marginS} s are left for each`;
}

async function upgradeOne(
  world: RestartWorld,
  name: DaemonName,
  { facts, marginS }: { readonly facts: HostFacts; readonly marginS: number | null },
): Promise<DaemonRestart | null> {
  const { ports, say } = world;
  const daemon = facts[name]?.daemon;
  if (daemon === undefined) return null; // judged by these very facts: it runs
  const startedMs = ports.clock.nowMs();
  const restarted = await restart(world, name, { daemon, marginS });
  const tookS = () => Number(((ports.clock.nowMs() - startedMs) / SECOND_MS).toFixed(1));
  const without = (outcome: 'kept' | 'gone', reason: string): DaemonRestart => {
    const nothing = { successorPid: null, kept: [], missing: [] };
    return { daemon: name, outcome, reason, pid: daemon.pid, tookS: tookS(), ...nothing };
  };
  switch (restarted.kind) {
    case 'kept':
      say(`${name} was not restarted: ${restarted.reason}`);
      return without('kept', restarted.reason);
    case 'absent':
      say(`${name} is gone: ${restarted.reason}; what it held is lost when its time is over`);
      return without('gone', restarted.reason);
    case 'started':
      break;
    default:
      return unreachable(restarted);
  }
  let carried = await carriedOver(ports, facts, name);
  const withinMs = marginS === null ? SETTLE_MS : Math.max(SETTLE_MS, marginS * SECOND_MS);
  const isWhole = async (): Promise<boolean> => {
    carried = await carriedOver(ports, facts, name);
    return carried.missing.length === 0;
  };
  await until(ports.clock, isWhole, { ms: withinMs, everyMs: LOOK_AGAIN_MS });
  const { pid: successorPid } = restarted.successor;
  const seconds = tookS();
  say(`${name} restarted in ${seconds.toFixed(1)} s (pid ${daemon.pid}, now ${successorPid})`);
  for (const kept of carried.kept) say(`  ${keptText(kept)} carried over`);
  for (const gone of carried.missing) say(`  not carried over: ${missingText(gone)}`);
  const { pid } = daemon;
  const outcome = 'restarted';
  return { daemon: name, outcome, reason: null, pid, successorPid, tookS: seconds, ...carried };
}

async function carriedOver(
  ports: ReadPorts,
  before: HostFacts,
  name: DaemonName,
): Promise<Carried> {
  const after = await readHost(ports);
  const silent: Carried = { kept: [], missing: [{ kind: 'silent', daemon: name }] };
  switch (name) {
    case 'wdmd':
      if (before.wdmd === null || after.wdmd === null) return silent;
      return carriedByWdmd(before.wdmd, after.wdmd);
    case 'sanlock':
      if (before.sanlock === null || after.sanlock === null) return silent;
      return carriedBySanlock(before.sanlock, after.sanlock);
    case 'lvmlockd':
      if (before.lvmlockd === null || after.lvmlockd === null) return silent;
      return carriedByLvmlockd(before.lvmlockd, after.lvmlockd);
    default:
      return unreachable(name);
  }
}
