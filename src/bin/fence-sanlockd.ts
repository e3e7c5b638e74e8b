import '../platform/clean-start.ts';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { unreachable } from '../base/assert.ts';
import { nameToText, textToName } from '../base/bytes.ts';
import { FENCED_USAGE, type FencedTask, parseFenced } from '../cli/fence-sanlock/daemon-options.ts';
import {
  agentRunDir,
  FENCE_DAEMON_NAME,
  FENCE_FIFO,
  FENCE_PID_FILE,
  FENCE_VERSION,
  fencedRunDir,
} from '../cli/fence-sanlock/places.ts';
import { fenceDaemonPid, signalTo, victimsOfAgents } from '../cli/fence-sanlock/running.ts';
import { wdmdSocket } from '../cli/sanlk-reset/places.ts';
import { sanlockSocketPath } from '../client/sanlock.ts';
import { WdmdEntry } from '../client/wdmd.ts';
import { type FenceStart, parseStartMessage, startMessage } from '../fence/start-message.ts';
import { goOnWithoutReader } from '../platform/broken-pipe.ts';
import { claimMachine } from '../platform/claim-machine.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { makeRunDir, reportToStarter, startDetached } from '../platform/daemonize.ts';
import { FifoReader, sendToFifo } from '../platform/fifo.ts';
import { boundMemory } from '../platform/heap.ts';
import { DaemonLog } from '../platform/log.ts';
import { lockPidFile, type PidFile } from '../platform/pid-file.ts';
import { setProcessName } from '../platform/process-name.ts';
import { notifyServiceManager } from '../platform/sd-notify.ts';
import { reasonOf } from '../platform/system-error.ts';
import { UnixSockets } from '../platform/unix-socket.ts';
import { FenceProgram } from '../programs/fence-program.ts';

const NAME = FENCE_DAEMON_NAME;
const START_DEADLINE_MS = 10_000;
const LOG_INFO = 6;
/** What sanlock takes as a killpath. */
const MAX_KILLPATH_BYTES = 126;
const RUN_DIR = fencedRunDir(process.env);
const PID_PATH = `${RUN_DIR}/${FENCE_PID_FILE}`;
const FIFO_PATH = `${RUN_DIR}/${FENCE_FIFO}`;
type Serve = Extract<FencedTask, { kind: 'serve' }>;

function main(args: readonly string[]): void {
  goOnWithoutReader();
  const parsed = parseFenced(args);
  if (!parsed.ok) {
    complain(parsed.error);
    return;
  }
  const task = parsed.value;
  switch (task.kind) {
    case 'usage':
      process.stdout.write(FENCED_USAGE);
      return;
    case 'version':
      process.stdout.write(`${NAME} ${FENCE_VERSION} (holdfast)\n`);
      return;
    case 'signal': {
      const pid = fenceDaemonPid(RUN_DIR);
      if (pid === null || !signalTo(pid, 'SIGUSR1'))
        complain(`no ${NAME} runs here that could be notified`);
      return;
    }
    case 'send': {
      const failure = sendToFifo(FIFO_PATH, startMessage(task.start));
      if (failure !== null) complain(`${FIFO_PATH}: ${failure}: does ${NAME} -w wait there?`);
      return;
    }
    case 'serve':
      if (task.foreground || process.connected) serve(task);
      else startBehind(args);
      return;
    default:
      unreachable(task);
  }
}

function complain(sentence: string): void {
  process.stderr.write(`${NAME}: ${sentence}\n`);
  process.exitCode = 1;
}

/** The program started in the background has a channel to this one, and starts nothing more. */
function startBehind(args: readonly string[]): void {
  const options = { deadlineMs: START_DEADLINE_MS };
  startDetached(__filename, args, options, (failure) => {
    if (failure !== null) complain(failure);
  });
}

/** What signals act on: before there is a daemon they end the program. */
interface Running {
  daemon: FenceProgram | null;
  leave: (failure: string | null) => void;
}

function serve(task: Serve): void {
  boundMemory();
  setProcessName(NAME);
  const log = new DaemonLog({
    program: NAME,
    file: null,
    fileSeverity: 0,
    syslogSeverity: LOG_INFO,
    stderr: task.foreground,
    utc: false,
  });
  let pidFile: PidFile | null = null;
  const leave = (failure: string | null): void => {
    if (failure !== null) log.error('daemon.notServing', { reason: failure });
    log.warn('daemon.ended', { status: failure === null ? 0 : 1 });
    notifyServiceManager('STOPPING=1');
    pidFile?.remove();
    reportToStarter(failure, () => log.close(() => process.exit(failure === null ? 0 : 1)));
  };
  const running: Running = { daemon: null, leave };
  onSignals(running);
  process.on('uncaughtException', (error) => {
    // The expiry stands: a wrong daemon ends in a reset.
    log.error('daemon.broken', { reason: error.stack ?? error.message });
    log.close(() => process.exit(1));
  });
  try {
    makeRunDir(RUN_DIR, { uid: 0, gid: 0 });
    pidFile = lockPidFile(PID_PATH);
  } catch (error) {
    leave(reasonOf(error));
    return;
  }
  claimMachine({ mlockLevel: 1, highPriority: false }, log);
  // Joining may take minutes: the starting command waits no longer than for the pid file.
  reportToStarter(null, () => {});
  if (task.start === null) waitForStart({ log, running });
  else begin(task.start, { log, running });
}

interface Parts {
  readonly log: DaemonLog;
  readonly running: Running;
}

function waitForStart({ log, running }: Parts): void {
  try {
    const fifo = new FifoReader(FIFO_PATH, (bytes) => {
      fifo.close();
      running.leave = leave;
      const parsed = parseStartMessage(bytes);
      if (parsed.ok) begin(parsed.value, { log, running });
      else leave(parsed.error);
    });
    const { leave } = running;
    running.leave = (failure) => {
      fifo.close();
      leave(failure);
    };
    log.info('daemon.waiting', { fifo: FIFO_PATH });
    notifyServiceManager('READY=1\nSTATUS=Waiting for fence_sanlock -o on');
  } catch (error) {
    running.leave(reasonOf(error));
  }
}

function begin(start: FenceStart, { log, running }: Parts): void {
  const { path, hostId } = start;
  log.warn('daemon.starting', { path: nameToText(path), hostId });
  const clock = new MonotonicClock();
  const sockets = new UnixSockets();
  const socketPath = sanlockSocketPath(process.env['SANLOCK_RUN_DIR']);
  const wdmdPath = wdmdSocket(process.env);
  // Nothing feeds the device any more: this host will be reset, whatever this daemon does.
  const wdmdLost = (): void => log.error('watchdog.lost', { hostId });
  const at = { sockets, path: textToName(wdmdPath) };
  WdmdEntry.open(at, { clock, name: NAME, lost: wdmdLost }, (watchdog) => {
    if (watchdog === null) {
      running.leave(`cannot connect to wdmd at ${wdmdPath}: is it running?`);
      return;
    }
    const daemon = new FenceProgram({
      start,
      killpath: textToName(ownProgram()),
      sanlock: { clock, sockets, socketPath },
      log,
      watchdog,
      agentVictims: () => victimsOfAgents(agentRunDir(process.env)),
      started: () => {
        log.warn('daemon.started', { path: nameToText(path), hostId });
        notifyServiceManager(`READY=1\nSTATUS=Host ${hostId} can be fenced`);
      },
      ended: running.leave,
    });
    running.daemon = daemon;
    daemon.start();
  });
}

/** sanlock runs it with -1 when another host wants our lease; through PATH if it must. */
function ownProgram(): string {
  const beside = join(__dirname, '..', 'bin', NAME);
  return existsSync(beside) && beside.length <= MAX_KILLPATH_BYTES ? beside : NAME;
}

function onSignals(running: Running): void {
  const stop = (): void => {
    if (running.daemon === null) running.leave(null);
    else running.daemon.signal('stop');
  };
  process.on('SIGUSR1', () => running.daemon?.signal('fenced'));
  process.on('SIGUSR2', () => running.daemon?.signal('fencing'));
  process.on('SIGHUP', stop);
  process.on('SIGINT', stop);
  process.on('SIGTERM', () => {
    if (running.daemon === null) running.leave(null);
    else running.daemon.signal('lost');
  });
}

main(process.argv.slice(2));
