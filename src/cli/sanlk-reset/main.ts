import { unreachable } from '../../base/assert.ts';
import { type ByteString, nameToText } from '../../base/bytes.ts';
import type { ResetPorts } from '../../programs/reset-program.ts';
import type { ResetReport, ResetRequest } from '../../reset/command.ts';
import { controlBytes } from '../../reset/control-message.ts';
import type { Target } from '../../reset/target-watch.ts';
import { parseReset, RESET_USAGE, type ResetTask } from './options.ts';

export const RESET_VERSION = '3.8.5';

/** What the program needs of the machine. */
export interface CommandPorts {
  /** Asks the other host and waits for its reset; `done` is called once. */
  readonly reset: (
    request: ResetRequest,
    listener: Pick<ResetPorts, 'report' | 'channelClosed'>,
    done: (isReset: boolean) => void,
  ) => void;
  /** To the local sanlk-resetd; false when it does not run. */
  readonly sendControl: (bytes: Uint8Array) => boolean;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
  readonly exit: (status: number) => void;
}

/** `sanlk-reset` (spec 25 §6). */
export function sanlkReset(args: readonly string[], ports: CommandPorts): void {
  const parsed = parseReset(args);
  if (!parsed.ok) {
    ports.complain(`sanlk-reset: ${parsed.error}`);
    ports.exit(2);
    return;
  }
  const task = parsed.value;
  switch (task.kind) {
    case 'usage':
      ports.print(RESET_USAGE);
      ports.exit(0);
      return;
    case 'version':
      ports.print(`sanlk-reset version ${RESET_VERSION} (holdfast)\n`);
      ports.exit(0);
      return;
    case 'reset':
      reset(task, ports);
      return;
    case 'reg':
    case 'end':
    case 'clear':
      ports.exit(sendToDaemon(task, ports));
      return;
    default:
      unreachable(task);
  }
}

/** @returns the exit status */
function sendToDaemon(
  task: Extract<ResetTask, { kind: 'reg' | 'end' | 'clear' }>,
  ports: CommandPorts,
): number {
  for (const name of task.names) {
    if (ports.sendControl(controlBytes({ action: task.kind, name }))) continue;
    ports.complain(
      `sanlk-reset: cannot reach sanlk-resetd for ${task.kind} ${nameToText(name)}: is it running?`,
    );
    return 1;
  }
  return 0;
}

function reset(request: ResetRequest, ports: CommandPorts): void {
  const listener = {
    report: (report: ResetReport) => render(report, ports),
    channelClosed: (name: ByteString) =>
      ports.complain(`sanlk-reset: sanlock no longer serves ${nameToText(name)}`),
  };
  ports.reset(request, listener, (isReset) => ports.exit(isReset ? 0 : 1));
}

function render(report: ResetReport, { print, complain }: CommandPorts): void {
  switch (report.kind) {
    case 'noReplies':
      complain(`sanlk-reset: no reply can be received: ${report.reason}`);
      return;
    case 'asked':
      print(`asked ${hostText(report.target)}\n`);
      return;
    case 'notAsked':
      complain(`sanlk-reset: cannot ask ${hostText(report.target)}: ${report.reason}`);
      return;
    case 'replied':
      print('it replied: it is being reset\n');
      return;
    case 'done':
      print(`reset done: ${report.why}\n`);
      return;
    case 'failed':
      complain(`reset failed: ${report.why}`);
      return;
    default:
      unreachable(report);
  }
}

function hostText({ lockspaceName, hostId }: Target): string {
  return `host ${hostId} of ${nameToText(lockspaceName)}`;
}
