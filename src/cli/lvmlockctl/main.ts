import { unreachable } from '../../base/assert.ts';
import { nameToText, textToName } from '../../base/bytes.ts';
import { SECOND_MS } from '../../base/units.ts';
import { askLvmlockd } from '../../client/lvmlockd.ts';
import { formatMessage, formatRequest, numberOf } from '../../wire/lvmlockd/libdaemon.ts';
import { LD_RESULT, resultName } from '../../wire/lvmlockd/numbers.ts';
import { LVM_RELEASE } from '../../wire/lvmlockd/release.ts';
import { check } from './check.ts';
import { infoText, locksText } from './info-text.ts';
import { kill, showKillPlan } from './kill.ts';
import { type LvmlockctlOptions, parseOptions, type Task, USAGE } from './options.ts';
import { type DumpPorts, readDump } from './read-dump.ts';

/** The machine, as far as the program needs it. */
export interface LvmlockctlPorts extends DumpPorts {
  readonly pid: number;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
  /** To the system log, at its most urgent level. */
  readonly alarm: (text: string) => void;
}

export const QUICK_MS = 60_000;
const STOP_MS = 3_600_000;
/** While a stop waits, what it waits for is looked at so often. */
const STOP_NOTE_MS = 2000;
const LIMIT_STATUS = 2;

/** @returns the exit status. */
export async function lvmlockctl(args: readonly string[], ports: LvmlockctlPorts): Promise<number> {
  const parsed = parseOptions(args);
  if (!parsed.ok) {
    ports.complain(parsed.error);
    return 1;
  }
  const options = parsed.value;
  const { task } = options;
  switch (task.kind) {
    case 'usage':
      ports.print(USAGE);
      return 0;
    case 'version':
      ports.print(`lvmlockctl version: ${LVM_RELEASE} (holdfast)\n`);
      return 0;
    case 'info':
    case 'dump':
    case 'raw':
      return await printDump(task.kind, ports);
    case 'quit':
      return await quit(ports);
    case 'stopAll':
      return await stopAll(options, ports);
    case 'setRemote':
      return await setRemote(task, ports);
    case 'kill':
      return options.dryRun
        ? await showKillPlan(task.vgName, ports)
        : await kill(task.vgName, options, ports);
    case 'check':
      return await check(task.vgName, options.repair, ports);
    case 'drop':
    case 'enableGl':
    case 'disableGl':
      return (await askForVg(task, ports)) ? 0 : 1;
    default:
      return unreachable(task);
  }
}

async function printDump(kind: 'info' | 'dump' | 'raw', ports: LvmlockctlPorts): Promise<number> {
  const dump = await readDump(kind, ports);
  if (!dump.ok) return failed(ports, dump.error);
  ports.print(nameToText(kind === 'info' ? infoText(dump.value) : dump.value));
  return 0;
}

async function quit(ports: LvmlockctlPorts): Promise<number> {
  const reply = await askLvmlockd(ports.endpoint, formatMessage([['request', 'quit']]), QUICK_MS);
  if (!reply.ok) return failed(ports, reply.error);
  const result = numberOf(reply.value, 'result', 0);
  if (result === 0) return 0;
  return failed(ports, `lvmlockd does not end (${resultName(result)}): VGs are still started`);
}

async function stopAll(options: LvmlockctlOptions, ports: LvmlockctlPorts): Promise<number> {
  const opts = `${options.wait ? 'wait ' : ''}${options.force ? 'force ' : ''}`;
  const request = formatRequest('stop_all', [
    ['cmd', 'lvmlockctl'],
    ['pid', ports.pid],
    ['opts', opts === '' ? 'none' : opts],
  ]);
  const limitMs = options.limitS === null ? STOP_MS : options.limitS * SECOND_MS;
  const sinceMs = ports.endpoint.clock.nowMs();
  const notes = options.wait ? noteLocks(ports) : { last: () => '', end: () => {} };
  const reply = await askLvmlockd(ports.endpoint, request, limitMs);
  notes.end();
  const isOver = ports.endpoint.clock.nowMs() - sinceMs >= limitMs;
  if (!reply.ok && isOver && options.limitS !== null) {
    const waitedFor = notes.last() === '' ? 'VGs are being stopped' : notes.last();
    failed(ports, `gave up after ${options.limitS} s: ${waitedFor}`);
    return LIMIT_STATUS;
  }
  if (!reply.ok) return failed(ports, reply.error);
  const left = numberOf(reply.value, 'op_result', 0);
  if (left === 0) return 0;
  if (left < 0) return failed(ports, `stop failed: ${resultName(left)} (${left})`);
  return failed(ports, `${left} lockspaces are not stopped yet`);
}

/** While a stop waits: says which VG waits for which lock, each time that it changes. */
function noteLocks(ports: LvmlockctlPorts): { last(): string; end(): void } {
  let last = '';
  let hasEnded = false;
  const look = async (): Promise<void> => {
    const dump = await readDump('info', ports);
    if (hasEnded) return;
    const locks = dump.ok ? nameToText(locksText(dump.value)) : last;
    if (locks !== '' && locks !== last) ports.complain(`lvmlockctl: waiting: ${locks}`);
    last = locks;
    timer = ports.endpoint.clock.after(STOP_NOTE_MS, () => void look());
  };
  let timer = ports.endpoint.clock.after(STOP_NOTE_MS, () => void look());
  return {
    last: () => last,
    end: () => {
      hasEnded = true;
      timer.cancel();
    },
  };
}

async function setRemote(
  task: Extract<Task, { kind: 'setRemote' }>,
  ports: LvmlockctlPorts,
): Promise<number> {
  const { vgName, lvUuid, mode } = task;
  const request = formatRequest('set_remote_lv_lock', [
    ['cmd', 'lvmlockctl'],
    ['pid', ports.pid],
    ['vg_name', textToName(vgName)],
    ['lv_uuid', textToName(lvUuid)],
    ['mode', textToName(mode)],
  ]);
  const reply = await askLvmlockd(ports.endpoint, request, QUICK_MS);
  if (!reply.ok) return failed(ports, reply.error);
  const result = numberOf(reply.value, 'op_result', -1);
  if (result === 0) return 0;
  const advice = result === LD_RESULT.REFUSED ? '; only lvmlockd --test does this' : '';
  const what = `set_remote_lv_lock ${vgName} ${lvUuid} ${mode}`;
  return failed(ports, `${what}: ${resultName(result)} (${result})${advice}`);
}

const VG_REQUESTS = {
  kill: 'kill_vg',
  drop: 'drop_vg',
  enableGl: 'enable_gl',
  disableGl: 'disable_gl',
} as const;

async function askForVg(
  task: Extract<Task, { kind: keyof typeof VG_REQUESTS }>,
  ports: LvmlockctlPorts,
): Promise<boolean> {
  const name = VG_REQUESTS[task.kind];
  const request = formatRequest(name, [
    ['cmd', 'lvmlockctl'],
    ['pid', ports.pid],
    ['vg_name', textToName(task.vgName)],
  ]);
  const reply = await askLvmlockd(
    ports.endpoint,
    request,
    task.kind === 'drop' ? STOP_MS : QUICK_MS,
  );
  if (!reply.ok) {
    failed(ports, reply.error);
    return false;
  }
  const result = numberOf(reply.value, 'op_result', -1);
  if (result < 0) failed(ports, `${name} ${task.vgName}: ${resultName(result)} (${result})`);
  return result >= 0;
}

function failed(ports: LvmlockctlPorts, reason: string): 1 {
  ports.complain(`lvmlockctl: ${reason}`);
  return 1;
}
