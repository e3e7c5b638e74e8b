import { plainJson, shown } from '../../base/plain-text.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { askLvmlockd } from '../../client/lvmlockd.ts';
import { callOnce } from '../../client/sanlock-link.ts';
import { DAEMONS, type DaemonName, isDaemonName } from '../../inspect/restart/host-facts.ts';
import { MonotonicClock } from '../../platform/clock.ts';
import { daemonSockets } from '../../platform/daemon-sockets.ts';
import { formatRequest } from '../../wire/lvmlockd/libdaemon.ts';
import { version } from '../../wire/sanlock/daemon-calls.ts';
import { mistakeText } from '../frame/help.ts';
import { type CommandPage, JSON_OPTION } from '../frame/page.ts';
import { readWords } from '../frame/words.ts';
import {
  type DaemonPorts,
  daemonPaths,
  findDaemon,
  REAL_PROCESSES,
  until,
} from '../observe/daemons.ts';
import { noDaemon } from './no-daemon.ts';

const DEFAULT_S = 60;
const LONGEST_S = 3600;

export const WAIT_PAGE = {
  name: 'holdfast wait',
  about: 'until daemons answer: what the unit that starts volume groups at boot runs first',
  forms: [`${DAEMONS.join('|')} ...`],
  operands: DAEMONS,
  counts: { least: 1, most: 100 },
  options: [
    {
      ...{ name: 'for', value: 'SECONDS' },
      about: `how long it waits, 1 to ${LONGEST_S} [${DEFAULT_S}]`,
    },
    JSON_OPTION,
  ],
  text: [
    'Waits until each of these daemons answers on its socket, ours or the original. ' +
      'lvmlocks.service starts no volume group before.',
  ],
  examples: [
    { line: 'holdfast wait sanlock lvmlockd', about: 'before volume groups are started' },
    { line: 'holdfast wait --for 5 wdmd', about: 'five seconds at most' },
  ],
  exits: {
    0: 'all of them answer',
    1: 'one did not within that time, and is named',
    2: 'wrong words',
  },
  schema: 'holdfast.wait/1',
} as const satisfies CommandPage;

const POLL_MS = 200;
/** Of one question: a daemon that is not there yet is asked again. */
const ANSWER_MS = 5000;

interface WaitOrder {
  readonly names: readonly DaemonName[];
  readonly forS: number;
  readonly isJson: boolean;
}

/** @returns the exit status */
export async function wait(args: readonly string[]): Promise<number> {
  const order = parseWait(args);
  if (!order.ok) {
    process.stderr.write(mistakeText(WAIT_PAGE, order.error));
    return 2;
  }
  const ports = {
    sockets: daemonSockets(),
    clock: new MonotonicClock(),
    paths: daemonPaths(process.env),
    processes: REAL_PROCESSES,
  };
  const { isJson, names } = order.value;
  const says: string[] = [];
  const status = await waitFor(ports, order.value, (sentence) => {
    if (isJson) says.push(sentence);
    else process.stderr.write(`holdfast wait: ${sentence}\n`);
  });
  const json = { schema: WAIT_PAGE.schema, isReady: status === 0, daemons: names, says };
  if (isJson) process.stdout.write(`${plainJson(json)}\n`);
  return status;
}

/** The failure is a sentence: what is wrong with the words. */
export function parseWait(args: readonly string[]): Result<WaitOrder, string> {
  const words = readWords(WAIT_PAGE, args);
  if (!words.ok) return words;
  const { operands, value, has } = words.value;
  const stranger = operands.find((word) => !isDaemonName(word));
  if (stranger !== undefined) return fail(noDaemon(stranger));
  const text = value('for') ?? `${DEFAULT_S}`;
  const forS = Number(text);
  if (!/^[0-9]+$/.test(text) || forS < 1 || forS > LONGEST_S) {
    return fail(`--for wants seconds, 1 to ${LONGEST_S}, not "${shown(text, MAX_SHOWN)}"`);
  }
  return ok({ names: operands.filter(isDaemonName), forS, isJson: has('json') });
}

const MAX_SHOWN = 20;

export async function waitFor(
  ports: DaemonPorts,
  { names, forS }: Omit<WaitOrder, 'isJson'>,
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
