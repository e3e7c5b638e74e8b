import { askLvmlockd } from '../../client/lvmlockd.ts';
import { callOnce } from '../../client/sanlock-link.ts';
import { DAEMONS, type DaemonName, isDaemonName } from '../../inspect/host-facts.ts';
import { MonotonicClock } from '../../platform/clock.ts';
import { daemonSockets } from '../../platform/daemon-sockets.ts';
import { formatRequest } from '../../wire/lvmlockd/libdaemon.ts';
import { version } from '../../wire/sanlock/daemon-calls.ts';
import {
  type DaemonPorts,
  daemonPaths,
  findDaemon,
  REAL_PROCESSES,
  until,
} from '../observe/daemons.ts';

const DEFAULT_S = 60;
const LONGEST_S = 3600;

export const WAIT_USAGE = `holdfast wait [--for SECONDS] ${DAEMONS.join('|')} ...

Waits until each of these daemons answers on its socket, ours or the original: 0. 1: one did not
within that time [${DEFAULT_S}], and is named. lvmlocks.service starts no volume group before.
`;

const POLL_MS = 200;
/** Of one question: a daemon that is not there yet is asked again. */
const ANSWER_MS = 5000;

interface WaitOrder {
  readonly names: readonly DaemonName[];
  readonly forS: number;
}

/** @returns the exit status */
export async function wait(args: readonly string[]): Promise<number> {
  const say = (sentence: string) => void process.stderr.write(`holdfast wait: ${sentence}\n`);
  const order = parseWait(args);
  if (typeof order === 'string') {
    say(order);
    return 1;
  }
  const ports = {
    sockets: daemonSockets(),
    clock: new MonotonicClock(),
    paths: daemonPaths(process.env),
    processes: REAL_PROCESSES,
  };
  return waitFor(ports, order, say);
}

/** A sentence: what is wrong with the words. */
export function parseWait(args: readonly string[]): WaitOrder | string {
  let forS = DEFAULT_S;
  const names: DaemonName[] = [];
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? '';
    if (word === '--for') {
      at++;
      forS = Number(args[at]);
      const isSound = /^[0-9]+$/.test(args[at] ?? '') && forS >= 1 && forS <= LONGEST_S;
      if (!isSound) return `--for wants seconds, 1 to ${LONGEST_S}, not "${args[at] ?? ''}"`;
    } else if (isDaemonName(word)) names.push(word);
    else return `"${word}" is none of the daemons ${DAEMONS.join(', ')}`;
  }
  if (names.length === 0) return `it waits for one or more of the daemons ${DAEMONS.join(', ')}`;
  return { names, forS };
}

export async function waitFor(
  ports: DaemonPorts,
  { names, forS }: WaitOrder,
  say: (sentence: string) => void,
): Promise<number> {
  const endMs = ports.clock.nowMs() + forS * 1000;
  for (const name of names) {
    const within = { ms: Math.max(0, endMs - ports.clock.nowMs()), everyMs: POLL_MS };
    if (await until(ports.clock, () => answers(ports, name), within)) continue;
    say(`${name} has not answered at ${ports.paths[name]} for ${forS} s: see its log`);
    return 1;
  }
  return 0;
}

/** A connection alone says nothing: systemd keeps sockets open while no daemon runs. */
async function answers(ports: DaemonPorts, name: DaemonName): Promise<boolean> {
  const { sockets, clock, paths } = ports;
  const endpoint = { sockets, clock, socketPath: paths[name] };
  if (name === 'lvmlockd') {
    return (await askLvmlockd(endpoint, formatRequest('hello'), ANSWER_MS)).ok;
  }
  // wdmd answers nothing that every release of it knows.
  if (name === 'wdmd') return (await findDaemon(ports, name)) !== null;
  return new Promise((resolve) => {
    callOnce(endpoint, version(), ANSWER_MS, (answer) => resolve(answer.ok));
  });
}
