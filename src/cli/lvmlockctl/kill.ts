import { execFile } from 'node:child_process';
import { textToName } from '../../base/bytes.ts';
import type { Result } from '../../base/result.ts';
import { askLvmlockd, type LvmlockdEndpoint } from '../../client/lvmlockd.ts';
import { type Fields, formatRequest, numberOf, textOf } from '../../wire/lvmlockd/libdaemon.ts';
import { LD_FLAG, resultName } from '../../wire/lvmlockd/numbers.ts';
import { killCommandOf } from './kill-command.ts';
import type { LvmlockctlOptions } from './options.ts';

const QUICK_MS = 60_000;
/** lvm and its configuration may be on the failing disk: lvmlockd does not wait for them. */
const CONFIG_MS = 10_000;
const COMMAND_MS = 600_000;
const DROP_MS = 3_600_000;

/** The machine, as far as this needs it. */
export interface KillPorts {
  readonly endpoint: LvmlockdEndpoint;
  readonly pid: number;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
  /** To the system log, at its most urgent level. */
  readonly alarm: (text: string) => void;
  /** null: lvm could not be asked in time. */
  readonly killCommand?: () => Promise<readonly string[] | null>;
  readonly runCommand?: (program: string, args: readonly string[]) => Promise<number>;
}

/**
 * sanlock runs this when a VG has lost the storage of its locks (spec 30 §4.10). lvmlockd hears of
 * it at once, while the configuration is read; then the administrator's command runs if there is
 * one, or else lvmlockd itself cuts the LVs off (lvmlockd/kill-action.ts).
 */
export async function kill(
  vgName: string,
  options: Pick<LvmlockctlOptions, 'stderr'>,
  ports: KillPorts,
): Promise<number> {
  const alarm = options.stderr ? ports.complain : ports.alarm;
  const run = ports.runCommand ?? runCommand;
  alarm(`lvmlockd lost access to locks in VG ${vgName}.`);
  const asked = ask(vgName, KILL, ports);
  const command = await (ports.killCommand ?? killCommand)();
  const isMarked = isDone(vgName, 'kill_vg', await asked, ports);
  if (command === null) return await cutOff(vgName, alarm, ports);
  const [program = '', ...args] = command;
  const status = await run(program, [...args, vgName]);
  if (status !== 0) {
    alarm(`Failed to deactivate LVs in VG ${vgName}: ${program} ended with status ${status}.`);
    tellWhatToDo(vgName, alarm);
    return 1;
  }
  alarm(`Successful VG ${vgName} kill command, locks are dropped.`);
  return isDone(vgName, 'drop_vg', await ask(vgName, DROP, ports), ports) && isMarked ? 0 : 1;
}

async function cutOff(
  vgName: string,
  alarm: (text: string) => void,
  ports: KillPorts,
): Promise<number> {
  const reply = await ask(vgName, CUT_OFF, ports);
  const isAnswered = isDone(vgName, 'kill_vg', reply, ports);
  const flags = reply.ok ? textOf(reply.value, 'result_flags') : '';
  if (isAnswered && flags.includes(LD_FLAG.LOCKS_DROPPED)) {
    alarm(`LVs in VG ${vgName} get I/O errors now, locks are dropped.`);
    return 0;
  }
  tellWhatToDo(vgName, alarm);
  return isAnswered ? 0 : 1;
}

/** `lvmlockctl --kill VG --dry-run` */
export async function showKillPlan(vgName: string, ports: KillPorts): Promise<number> {
  const reply = await ask(vgName, PLAN, ports);
  if (!isDone(vgName, 'kill_plan', reply, ports) || !reply.ok) return 1;
  const command = await (ports.killCommand ?? killCommand)();
  if (command !== null) ports.print(`runs ${[...command, vgName].join(' ')}, and not:\n`);
  const count = numberOf(reply.value, 'lines', 0);
  for (let index = 0; index < count; index++) {
    ports.print(`${textOf(reply.value, `line${index}`)}\n`);
  }
  return 0;
}

interface Order {
  readonly name: string;
  readonly opts: string;
  readonly withinMs: number;
}

const KILL: Order = { name: 'kill_vg', opts: 'none', withinMs: QUICK_MS };
const CUT_OFF: Order = { name: 'kill_vg', opts: 'cut_off', withinMs: QUICK_MS };
const PLAN: Order = { name: 'kill_plan', opts: 'none', withinMs: QUICK_MS };
const DROP: Order = { name: 'drop_vg', opts: 'none', withinMs: DROP_MS };

function ask(vgName: string, order: Order, ports: KillPorts): Promise<Result<Fields, string>> {
  const request = formatRequest(order.name, [
    ['cmd', 'lvmlockctl'],
    ['pid', ports.pid],
    ['opts', order.opts],
    ['vg_name', textToName(vgName)],
  ]);
  return askLvmlockd(ports.endpoint, request, order.withinMs);
}

function isDone(
  vgName: string,
  name: string,
  reply: Result<Fields, string>,
  { complain }: KillPorts,
): boolean {
  if (!reply.ok) {
    complain(`lvmlockctl: ${reply.error}`);
    return false;
  }
  const result = numberOf(reply.value, 'op_result', -1);
  if (result < 0) complain(`lvmlockctl: ${name} ${vgName}: ${resultName(result)} (${result})`);
  return result >= 0;
}

function tellWhatToDo(vgName: string, alarm: (text: string) => void): void {
  alarm(`Immediately deactivate LVs in VG ${vgName}.`);
  alarm(`Once VG is unused, run lvmlockctl --drop ${vgName}.`);
}

/** sanlock's helper may run us with a short PATH. */
const LVM_PROGRAMS = ['lvm', '/usr/sbin/lvm', '/sbin/lvm'];

async function killCommand(): Promise<readonly string[] | null> {
  for (const program of LVM_PROGRAMS) {
    const output = await outputOf(program);
    if (output !== null) return killCommandOf(output);
  }
  return null;
}

function outputOf(program: string): Promise<string | null> {
  const args = ['config', '--typeconfig', 'full', 'global/lvmlockctl_kill_command'];
  const settings = { timeout: CONFIG_MS, killSignal: 'SIGKILL' } as const;
  return new Promise((resolve) => {
    const late = setTimeout(() => resolve(null), CONFIG_MS); // a hung one does not even end
    execFile(program, args, settings, (error, output) => {
      clearTimeout(late);
      resolve(error === null ? output : null);
    }).unref();
  });
}

function runCommand(program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    execFile(program, [...args], { timeout: COMMAND_MS }, (error) => {
      if (error === null) resolve(0);
      else resolve(typeof error.code === 'number' ? error.code : 1);
    });
  });
}
