import { plainJson } from '../../base/plain-text.ts';
import { attentionIn } from '../../inspect/snapshot/attention.ts';
import type { Snapshot } from '../../inspect/snapshot/snapshot.ts';
import { MonotonicClock } from '../../platform/clock.ts';
import { daemonSockets } from '../../platform/daemon-sockets.ts';
import { FreshReads } from '../../platform/fresh-reads.ts';
import { PlainOutput, terminalOutput } from '../../platform/plain-output.ts';
import { exitNow } from '../../platform/system-calls.ts';
import { mistakeText } from '../frame/help.ts';
import { type CommandPage, JSON_OPTION, WATCH_OPTION } from '../frame/page.ts';
import { readWords } from '../frame/words.ts';
import { daemonPaths, REAL_PROCESSES } from '../observe/daemons.ts';
import { type ObservePorts, reportedLvs, takeSnapshot } from '../observe/snapshot.ts';
import { adviceOf } from './status/attention-text.ts';
import { paintFor } from './status/paint.ts';
import { statusText } from './status/status-text.ts';

export const STATUS_PAGE = {
  name: 'holdfast status',
  about: 'what runs here, who has what, and how much time is left',
  forms: [''],
  options: [
    WATCH_OPTION,
    JSON_OPTION,
    { name: 'interval', value: 'SECONDS', about: 'with --watch: between two looks [2]' },
  ],
  text: [
    'Shows the daemons of this host, ours or those of C; whether a watchdog resets it; each ' +
      'lockspace with the time that is left before its users are stopped, how long renewals take, ' +
      'and its hosts; each shared VG with the LVs that somebody holds, and by whom. What needs ' +
      'somebody stands first, with what to do.',
    'It asks the daemons, lvm and the disks, each for a few seconds at most, and changes nothing.',
  ],
  examples: [
    { line: 'holdfast status', about: 'one look' },
    { line: 'holdfast status --watch', about: 'again every 2 s, until Ctrl-C' },
    { line: 'holdfast status --json | jq .lockspaces', about: 'for programs' },
  ],
  exits: {
    0: 'nothing needs attention',
    1: 'something does, or was not seen: it is shown',
    2: 'a mistake in the words, or the host could not be looked at',
  },
  schema: 'holdfast.status/1',
  seeAlso: ['holdfast-who(8)', 'holdfast-doctor(8)'],
} as const satisfies CommandPage;

const LOOK_MS = 5000;
const MAX_INTERVAL_S = 3600;
const ROWS = 24;

/** @returns the exit status */
export async function status(args: readonly string[]): Promise<number> {
  const words = readWords(STATUS_PAGE, args);
  const intervalS = words.ok ? Number(words.value.value('interval') ?? 2) : 0;
  const isInterval = intervalS >= 1 && intervalS <= MAX_INTERVAL_S;
  if (!words.ok || !isInterval) {
    const wrong = words.ok ? `--interval is 1 to ${MAX_INTERVAL_S} seconds` : words.error;
    process.stderr.write(mistakeText(STATUS_PAGE, wrong));
    return 2;
  }
  if (process.geteuid?.() !== 0) {
    process.stderr.write('holdfast status: only root may ask the daemons and read the leases\n');
    return 2;
  }
  const ports = realPorts();
  const output = new PlainOutput(1);
  const isJson = words.value.has('json');
  for (;;) {
    const snapshot = await takeSnapshot(ports);
    const isWatching = words.value.has('watch');
    output.write(Buffer.from(shownText(snapshot, { isJson, isWatching })));
    const isWell = attentionIn(snapshot).length === 0 && snapshot.unread.length === 0;
    const exitStatus = isWell ? 0 : 1;
    if (!isWatching) {
      await output.taken();
      exitNow(exitStatus); // Node takes 3 ms to end, and does not beside a call that hangs
      return exitStatus;
    }
    await new Promise<void>((resolve) => ports.clock.after(intervalS * 1000, resolve));
  }
}

function realPorts(): ObservePorts {
  return {
    sockets: daemonSockets(),
    clock: new MonotonicClock(),
    paths: daemonPaths(process.env),
    processes: REAL_PROCESSES,
    reads: new FreshReads(LOOK_MS),
    wallMs: () => Date.now(),
    lvs: reportedLvs,
  };
}

const HOME_AND_CLEAR = '\u001b[H\u001b[J';

function shownText(
  snapshot: Snapshot,
  { isJson, isWatching }: { readonly isJson: boolean; readonly isWatching: boolean },
): string {
  if (isJson) return `${plainJson(statusJson(snapshot), isWatching ? 0 : 2)}\n`;
  const terminal = terminalOutput();
  const paint = paintFor(terminal ?? {}, process.env);
  const text = statusText(snapshot, { paint, rows: terminal?.rows ?? ROWS });
  if (!isWatching) return text;
  return terminal === null ? `${text}\n` : `${HOME_AND_CLEAR}${text}`;
}

/** The snapshot, and what of it needs somebody. */
export function statusJson(snapshot: Snapshot): unknown {
  const attention = attentionIn(snapshot).map((one) => ({ ...one, ...adviceOf(one) }));
  return { schema: STATUS_PAGE.schema, attention, ...snapshot };
}
