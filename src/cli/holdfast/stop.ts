import { plainJson } from '../../base/plain-text.ts';
import { DAEMONS, type DaemonName, isDaemonName } from '../../inspect/restart/host-facts.ts';
import { ofWatchdogUnder, type WatchdogObstacle } from '../../inspect/restart/restart-verdict.ts';
import { MonotonicClock } from '../../platform/clock.ts';
import { daemonSockets } from '../../platform/daemon-sockets.ts';
import { mistakeText } from '../frame/help.ts';
import { type CommandPage, JSON_OPTION } from '../frame/page.ts';
import { readWords } from '../frame/words.ts';
import {
  type DaemonPorts,
  daemonPaths,
  findDaemon,
  hasEnded,
  REAL_PROCESSES,
  until,
} from '../observe/daemons.ts';
import { runClientAction } from '../sanlock/client.ts';
import { parseCommandLine } from '../sanlock/command-line.ts';
import { noDaemon } from './no-daemon.ts';
import { type HandOver, orderEnd } from './upgrade/hand-over.ts';
import { readWatchdogs } from './upgrade/read.ts';
import { type ServiceManager, serviceManager, unitOf } from './upgrade/service.ts';
import { obstacleText } from './upgrade/texts.ts';

export const STOP_PAGE = {
  name: 'holdfast stop',
  about: 'what the units run to end a daemon: for its successor if it is a restart',
  forms: [`${DAEMONS.join('|')} [UNIT]`],
  operands: DAEMONS,
  counts: { least: 1, most: 2 },
  options: [JSON_OPTION],
  text: [
    'The units have it as their ExecStop. If systemd restarts the unit, the daemon ends for its ' +
      'successor, which takes over all that is in use. If systemd stops it, it ends in order if ' +
      'nothing is in use, and goes on otherwise. UNIT is its unit, if that has another name.',
  ],
  examples: [
    { line: 'holdfast stop sanlock', about: 'as sanlock.service does; by hand: systemctl stop' },
  ],
  exits: {
    0: 'it has ended, or ends by the signal of its unit',
    1: 'it goes on: it is in use',
    2: 'wrong words, or systemd has no such unit',
  },
  schema: 'holdfast.stop/1',
  seeAlso: ['holdfast-upgrade(8)', 'sanlock(8)', 'wdmd(8)', 'lvmlockd(8)'],
} as const satisfies CommandPage;

/** systemd waits 90 s for a daemon to end, after all this. */
const END_MS = 30_000;
const POLL_MS = 50;
/** systemd starts a killed wdmd again after a second. */
const WDMD_BACK_MS = 10_000;
const WDMD_LOOK_MS = 500;
/** lvmlockd refuses while a command has a lock. */
const TRIES = 3;

export interface StopWorld {
  readonly ports: DaemonPorts;
  readonly services: ServiceManager | null;
  readonly say: (sentence: string) => void;
  /** As `sanlock client shutdown`: it ends if nothing is in use. */
  readonly shutDown: () => Promise<number>;
  /** Why the watchdog would reset this host though sanlock has a successor; none: it would not. */
  readonly watchdogObstacles: () => Promise<readonly WatchdogObstacle[]>;
}

/** @returns the exit status; whatever it is, systemd sends the unit's signal next */
export async function stop(args: readonly string[]): Promise<number> {
  const words = readWords(STOP_PAGE, args);
  const [name = '', unit = null] = words.ok ? words.value.operands : [];
  if (!words.ok || !isDaemonName(name)) {
    const wrong = words.ok ? noDaemon(name) : words.error;
    process.stderr.write(mistakeText(STOP_PAGE, wrong));
    return 2;
  }
  const ports = {
    sockets: daemonSockets(),
    clock: new MonotonicClock(),
    paths: daemonPaths(process.env),
    processes: REAL_PROCESSES,
  };
  const isJson = words.value.has('json');
  const says: string[] = [];
  const say = (sentence: string): void => {
    if (isJson) says.push(sentence);
    else process.stderr.write(`holdfast stop: ${sentence}\n`);
  };
  const watchdogObstacles = async () => ofWatchdogUnder(await readWatchdogs(ports));
  const world = { ports, services: serviceManager(), say, shutDown, watchdogObstacles };
  const status = await stopDaemon(world, { name, unit: unit ?? unitOf(name) });
  const json = { schema: STOP_PAGE.schema, daemon: name, isDone: status === 0, says };
  if (isJson) process.stdout.write(`${plainJson(json)}\n`);
  return status;
}

export async function stopDaemon(
  world: StopWorld,
  { name, unit }: { readonly name: DaemonName; readonly unit: string },
): Promise<number> {
  const job = (await world.services?.jobOf(unit)) ?? null;
  if (job === 'restart' && (await endsForSuccessor(world, name))) return 0;
  if (job === null && (await isMisnamed(world, unit))) return 2;
  if (name === 'sanlock') return (await world.shutDown()) === 0 ? 0 : 1;
  // They decide by themselves when the signal of their unit comes.
  if (job === null && (await findDaemon(world.ports, name)) !== null) {
    world.say(
      `${name} is not ended by this, but by the signal of its unit: systemctl stop ${unit}`,
    );
  }
  return 0;
}

/** systemd does not stop it: somebody runs this by hand, or the daemon has ended by itself. */
async function isMisnamed({ services, say }: StopWorld, unit: string): Promise<boolean> {
  if (services === null || (await services.stateOf(unit)) !== null) return false;
  say(`systemd has no unit ${unit}, or does not answer`);
  return true;
}

async function endsForSuccessor(world: StopWorld, name: DaemonName): Promise<boolean> {
  const { ports, say } = world;
  const daemon = await findDaemon(ports, name);
  if (daemon === null) return false; // it has ended, or never served
  if (daemon.isOriginal) {
    say(`the ${name} that runs is the original, which has no successor: it ends only unused`);
    return false;
  }
  const obstacle = name === 'sanlock' ? await watchdogObstacle(world) : null;
  if (obstacle !== null) {
    say(`sanlock does not end for its successor: ${obstacleText(obstacle)}`);
    return false;
  }
  let answer = await orderEnd(ports, name, daemon);
  for (let tries = 1; answer.kind === 'refused' && tries < TRIES; tries++) {
    answer = await orderEnd(ports, name, daemon);
  }
  if (answer.kind !== 'ends') {
    say(`${name} does not end for its successor: ${reasonOf(answer)}`);
    return false;
  }
  const within = { ms: END_MS, everyMs: POLL_MS };
  if (await until(ports.clock, () => hasEnded(ports.processes, daemon), within)) return true;
  say(`${name} said that it ends for its successor, and has not for ${END_MS / 1000} s`);
  return false;
}

/** A wdmd that is restarted as well is back in a moment. */
async function watchdogObstacle(world: StopWorld): Promise<WatchdogObstacle | null> {
  let first: WatchdogObstacle | undefined;
  const isSettled = async () => {
    [first] = await world.watchdogObstacles();
    return first?.kind !== 'wdmdAbsent';
  };
  await until(world.ports.clock, isSettled, { ms: WDMD_BACK_MS, everyMs: WDMD_LOOK_MS });
  return first ?? null;
}

function reasonOf(answer: Exclude<HandOver, { kind: 'ends' }>): string {
  return answer.kind === 'unknown' ? 'it is of a release that cannot' : answer.reason;
}

function shutDown(): Promise<number> {
  const parsed = parseCommandLine(['-f', '0', '-w', '1']);
  const write = (stream: NodeJS.WriteStream) => (text: string) => void stream.write(text);
  if (!parsed.ok) return Promise.resolve(1);
  const say = { print: write(process.stdout), complain: write(process.stderr) };
  return runClientAction('shutdown', parsed.value, say);
}
