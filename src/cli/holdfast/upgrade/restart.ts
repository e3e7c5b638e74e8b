import { SECOND_MS } from '../../../base/units.ts';
import type { DaemonName, RunningDaemon } from '../../../inspect/restart/host-facts.ts';
import { findDaemon, hasEnded, until } from '../../observe/daemons.ts';
import { type HandOver, orderEnd } from './hand-over.ts';
import type { ReadPorts } from './read.ts';
import { type ServiceManager, unitOf } from './service.ts';

/** One that says that it ends has nothing more to wait for. */
const END_MS = 30_000;
const POLL_MS = 50;
const START_POLL_MS = 200;
/** Whoever else starts it does so within that time, and nobody has to be told. */
const UNMANAGED_MS = 2000;
/** Where nothing depends on it. */
const NO_MARGIN_MS = 60_000;

export interface RestartWorld {
  readonly ports: ReadPorts;
  /** null: systemd does not run this host. */
  readonly services: ServiceManager | null;
  /** How a process was started, for the reader; null: it is gone. */
  readonly commandOf: (pid: number) => string | null;
  readonly say: (line: string) => void;
}

export type Restarted =
  | { readonly kind: 'started'; readonly successor: RunningDaemon }
  /** It runs on. */
  | { readonly kind: 'kept'; readonly reason: string }
  /** It is gone, and its successor not there in time. */
  | { readonly kind: 'absent'; readonly reason: string };

/** Ends the daemon for its successor, and waits until that serves, as long as the margin lasts. */
export async function restart(
  world: RestartWorld,
  name: DaemonName,
  from: { readonly daemon: RunningDaemon; readonly marginS: number | null },
): Promise<Restarted> {
  const { ports, say } = world;
  const { daemon, marginS } = from;
  const withinMs = marginS === null ? NO_MARGIN_MS : marginS * SECOND_MS;
  const command = world.commandOf(daemon.pid);
  const isManaged = await runsUnit(world, name, daemon);
  const askedMs = ports.clock.nowMs();
  const answer = await orderEnd(ports, name, daemon);
  if (answer.kind !== 'ends') return { kind: 'kept', reason: keptReason(name, answer) };
  const ended = await until(ports.clock, () => hasEnded(ports.processes, daemon), {
    ms: END_MS,
    everyMs: POLL_MS,
  });
  if (!ended) {
    const reason = `${name} said that it ends, and has not for ${END_MS / SECOND_MS} s`;
    return { kind: 'kept', reason };
  }
  const leftMs = Math.max(0, withinMs - (ports.clock.nowMs() - askedMs));
  const endedMs = ports.clock.nowMs();
  let isTold = false;
  const tell = (): void => {
    isTold = true;
    const leftS = Math.floor((leftMs - (ports.clock.nowMs() - endedMs)) / SECOND_MS);
    say(`${name} has ended for its successor, and no unit runs it: it has to be started again`);
    say(`within ${leftS} s: ${command ?? name}`);
  };
  let successor: RunningDaemon | null = null;
  await until(
    ports.clock,
    async () => {
      if (isManaged) await startIfDown(world, name);
      else if (!isTold && ports.clock.nowMs() - endedMs >= UNMANAGED_MS) tell();
      successor = await findDaemon(ports, name);
      return successor !== null;
    },
    { ms: leftMs, everyMs: START_POLL_MS },
  );
  if (successor !== null) return { kind: 'started', successor };
  const reason = `no ${name} has been started for ${Math.floor(leftMs / SECOND_MS)} s`;
  return { kind: 'absent', reason };
}

/** Is it this unit's process that is to be restarted, and not one that somebody started by hand? */
async function runsUnit(
  { services }: RestartWorld,
  name: DaemonName,
  { pid }: RunningDaemon,
): Promise<boolean> {
  const state = (await services?.stateOf(unitOf(name))) ?? null;
  return state !== null && state.mainPid === pid;
}

/** Also by a unit that does not restart its daemon by itself. */
async function startIfDown({ services }: RestartWorld, name: DaemonName): Promise<void> {
  const state = (await services?.stateOf(unitOf(name))) ?? null;
  if (state !== null && state.mainPid === 0) await services?.start(unitOf(name));
}

function keptReason(name: DaemonName, answer: Exclude<HandOver, { kind: 'ends' }>): string {
  if (answer.kind !== 'unknown') return answer.reason;
  return (
    `the ${name} that runs is of a release that does not end for a successor: this once it has to be ` +
    'stopped while nothing is in use'
  );
}
