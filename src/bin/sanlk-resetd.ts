import '../platform/clean-start.ts';
import { writeFileSync } from 'node:fs';
import { textToName } from '../base/bytes.ts';
import { RESET_VERSION } from '../cli/sanlk-reset/main.ts';
import { parseResetd, RESETD_USAGE, type ResetdTask } from '../cli/sanlk-reset/options.ts';
import {
  RESETD_SOCKET,
  resetdRunDir,
  sysrqTrigger,
  wdmdSocket,
} from '../cli/sanlk-reset/places.ts';
import { sanlockSocketPath } from '../client/sanlock.ts';
import { WdmdEntry } from '../client/wdmd.ts';
import { goOnWithoutReader } from '../platform/broken-pipe.ts';
import { claimMachine } from '../platform/claim-machine.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { makeRunDir, reportToStarter, startDetached } from '../platform/daemonize.ts';
import { DatagramReceiver } from '../platform/datagram.ts';
import { boundMemory } from '../platform/heap.ts';
import { stderrIsJournal } from '../platform/journal-stream.ts';
import { DaemonLog } from '../platform/log.ts';
import { setProcessName } from '../platform/process-name.ts';
import { notifyServiceManager } from '../platform/sd-notify.ts';
import { reasonOf } from '../platform/system-error.ts';
import { UnixSockets } from '../platform/unix-socket.ts';
import { ResetdProgram } from '../programs/resetd-program.ts';

const START_DEADLINE_MS = 30_000;
const NAME = 'sanlk-resetd';
const LOG_INFO = 6;
type Serve = Extract<ResetdTask, { kind: 'serve' }>;

function main(args: readonly string[]): void {
  goOnWithoutReader();
  const parsed = parseResetd(args);
  if (!parsed.ok) {
    process.stderr.write(`${NAME}: ${parsed.error}\n`);
    process.exitCode = 2;
    return;
  }
  const task = parsed.value;
  if (task.kind === 'serve') {
    if (task.foreground || process.connected) serve(task);
    else startBehind(args);
  } else if (task.kind === 'usage') process.stdout.write(RESETD_USAGE);
  else process.stdout.write(`${NAME} version ${RESET_VERSION} (holdfast)\n`);
}

/** The program started in the background has a channel to this one, and starts nothing more. */
function startBehind(args: readonly string[]): void {
  const options = { deadlineMs: START_DEADLINE_MS };
  startDetached(__filename, args, options, (failure) => {
    if (failure === null) return;
    process.stderr.write(`${NAME}: ${failure}\n`);
    process.exitCode = 1;
  });
}

interface Parts {
  readonly task: Serve;
  readonly clock: MonotonicClock;
  readonly sockets: UnixSockets;
  readonly log: DaemonLog;
  readonly leave: (status: number) => void;
  /** Ends with status 1, and reports the reason to the log and to the starting command. */
  readonly refuse: (reason: string) => void;
}

function serve(task: Serve): void {
  boundMemory();
  setProcessName(NAME);
  const clock = new MonotonicClock();
  const sockets = new UnixSockets();
  const log = new DaemonLog({
    program: NAME,
    file: null,
    fileSeverity: 0,
    syslogSeverity: LOG_INFO,
    stderr: task.debug,
    utc: false,
  });
  const leave = (status: number) => log.close(() => process.exit(status));
  const refuse = (reason: string): void => {
    log.error('daemon.notStarted', { reason });
    if (task.foreground && !task.debug && !stderrIsJournal())
      process.stderr.write(`${NAME}: ${reason}\n`);
    reportToStarter(reason, () => leave(1));
  };
  const parts = { task, clock, sockets, log, leave, refuse };
  if (!task.settings.useWatchdog) {
    run(parts, null);
    return;
  }
  const path = wdmdSocket(process.env);
  const lost = () => {
    log.error('watchdog.lost');
    leave(1); // no reset can be promised any more
  };
  WdmdEntry.open({ sockets, path: textToName(path) }, { clock, name: NAME, lost }, (entry) => {
    if (entry === null) refuse(`cannot connect to wdmd at ${path}: is it running?`);
    else run(parts, entry);
  });
}

function run(parts: Parts, watchdog: WdmdEntry | null): void {
  const { task, clock, sockets, log, leave, refuse } = parts;
  const socketPath = sanlockSocketPath(process.env['SANLOCK_RUN_DIR']);
  let control: DatagramReceiver;
  const daemon = new ResetdProgram({
    settings: task.settings,
    sanlock: { clock, sockets, socketPath },
    watchdog,
    log,
    reboot: () => writeFileSync(sysrqTrigger(process.env), 'b'),
    started: (missing) => {
      if (missing.length > 0) {
        control.close();
        refuse(`cannot listen in ${missing.join(', ')}: is it joined?`);
      } else {
        notifyServiceManager('READY=1');
        reportToStarter(null, () => {});
      }
    },
    ended: () => leave(0),
  });
  try {
    control = openControl((bytes) => daemon.control(bytes));
  } catch (error) {
    refuse(reasonOf(error));
    return;
  }
  onSignals(() => {
    daemon.stop();
    control.close();
    notifyServiceManager('STOPPING=1');
  });
  claimMachine({ mlockLevel: 1, highPriority: false }, log);
  daemon.start(task.names);
}

function openControl(received: (bytes: Uint8Array) => void): DatagramReceiver {
  const runDir = resetdRunDir(process.env);
  makeRunDir(runDir, { uid: 0, gid: 0 });
  return new DatagramReceiver(`${runDir}/${RESETD_SOCKET}`, received);
}

function onSignals(end: () => void): void {
  let isEnding = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (isEnding) return;
      isEnding = true;
      end();
    });
  }
}

main(process.argv.slice(2));
