import { unreachable } from '../../base/assert.ts';
import { nameToText } from '../../base/bytes.ts';
import type { SanlockClient } from '../../client/sanlock.ts';
import type { EventWatch } from '../../client/sanlock-events.ts';
import type { Clock } from '../../ports/clock.ts';
import { getHosts, setEvent } from '../../wire/sanlock/daemon-calls.ts';
import { EVENT_FLAGS } from '../../wire/sanlock/socket.ts';
import { controlBytes } from './control-message.ts';
import { RESET_EVENTS } from './host-event-bits.ts';
import { parseReset, RESET_USAGE, type ResetTask } from './options.ts';
import { type Target, TargetWatch, type Verdict } from './target-watch.ts';

export const RESET_VERSION = '3.8.5';
const POLL_MS = 2000;

/** What the program needs of the machine. */
export interface ResetPorts {
  readonly client: Pick<SanlockClient, 'call' | 'watchEvents'>;
  readonly clock: Clock;
  /** To the local sanlk-resetd; false when it does not run. */
  readonly sendControl: (bytes: Uint8Array) => boolean;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
}

type Reset = Extract<ResetTask, { kind: 'reset' }>;

/** `sanlk-reset` (spec 25 §6). @returns the exit status */
export async function sanlkReset(args: readonly string[], ports: ResetPorts): Promise<number> {
  const parsed = parseReset(args);
  if (!parsed.ok) {
    ports.complain(`sanlk-reset: ${parsed.error}`);
    return 2;
  }
  const task = parsed.value;
  switch (task.kind) {
    case 'usage':
      ports.print(RESET_USAGE);
      return 0;
    case 'version':
      ports.print(`sanlk-reset version ${RESET_VERSION} (holdfast)\n`);
      return 0;
    case 'reset':
      return await reset(task, ports);
    case 'reg':
    case 'clear':
    case 'end':
      return tellDaemon(task, ports);
    default:
      return unreachable(task);
  }
}

function tellDaemon(
  task: Exclude<ResetTask, { kind: 'usage' | 'version' | 'reset' }>,
  ports: ResetPorts,
): number {
  for (const name of task.names) {
    if (ports.sendControl(controlBytes({ action: task.kind, name }))) continue;
    ports.complain(
      `sanlk-reset: cannot tell sanlk-resetd ${task.kind} ${nameToText(name)}: is it running?`,
    );
    return 1;
  }
  return 0;
}

async function reset(task: Reset, ports: ResetPorts): Promise<number> {
  const { clock } = ports;
  const nowS = () => Math.floor(clock.nowMs() / 1000);
  const watch = new TargetWatch(task.targets, task, nowS());
  const channels: EventWatch[] = [];
  try {
    for (const name of new Set(task.targets.map((target) => target.lockspaceName))) {
      const opened = await ports.client.watchEvents(name, {
        onEvent: ({ fromHostId, event }) => {
          watch.heard({ lockspaceName: name, hostId: fromHostId, event }, nowS());
        },
        onClosed: () => ports.complain(`sanlk-reset: sanlock no longer serves ${nameToText(name)}`),
      });
      if (opened.ok) channels.push(opened.value);
      else ports.complain(`sanlk-reset: no reply will be heard: ${opened.error.message}`);
    }
    if (!(await ask(task, ports))) return 1;
    return await follow(task, watch, ports);
  } finally {
    for (const channel of channels) channel.close();
  }
}

/** @returns whether any lockspace carries the request */
async function ask(task: Reset, ports: ResetPorts): Promise<boolean> {
  const { RESET, REBOOT } = RESET_EVENTS;
  const event = (task.watchdog ? RESET : 0n) | (task.sysrqReboot ? REBOOT : 0n);
  let isAsked = false;
  for (const { lockspaceName, hostId } of task.targets) {
    const what = { hostId, generation: task.generation, event, data: 0n };
    const set = await ports.client.call(setEvent(lockspaceName, what, EVENT_FLAGS.CUR_GENERATION));
    const where = `host ${hostId} of ${nameToText(lockspaceName)}`;
    if (set.ok) ports.print(`asked ${where}\n`);
    else ports.complain(`sanlk-reset: cannot ask ${where}: ${set.error.message}`);
    isAsked ||= set.ok;
  }
  return isAsked;
}

/** Ends: TargetWatch gives up on a host that neither replies nor dies. */
async function follow(task: Reset, watch: TargetWatch, ports: ResetPorts): Promise<number> {
  let wasReplied = false;
  for (;;) {
    const startedS = Math.floor(ports.clock.nowMs() / 1000);
    for (const target of task.targets) watch.saw(target, await sightOf(target, ports), startedS);
    const verdict: Verdict = watch.verdict(Math.floor(ports.clock.nowMs() / 1000));
    if (watch.hasReply && !wasReplied) ports.print('it replied: it is being reset\n');
    wasReplied = watch.hasReply;
    if (verdict.kind === 'done') ports.print(`reset done: ${verdict.why}\n`);
    if (verdict.kind === 'failed') ports.complain(`reset failed: ${verdict.why}`);
    if (verdict.kind !== 'waiting') return verdict.kind === 'done' ? 0 : 1;
    await new Promise<void>((resolve) => ports.clock.after(POLL_MS, resolve));
  }
}

async function sightOf({ lockspaceName, hostId }: Target, { client }: ResetPorts) {
  const found = await client.call(getHosts(lockspaceName, hostId));
  const host = found.ok ? found.value[0] : undefined;
  if (host === undefined) return null;
  return { state: host.flags & 0xf, timestampS: host.timestampS, ioTimeoutS: host.ioTimeoutS };
}
