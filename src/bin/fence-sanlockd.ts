import '../platform/clean-start.ts';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { unreachable } from '../base/assert.ts';
import { nameToText, textToName } from '../base/bytes.ts';
import { FenceDaemon } from '../cli/fence-sanlock/daemon.ts';
import { FENCED_USAGE, type FencedTask, parseFenced } from '../cli/fence-sanlock/daemon-options.ts';
import { sanlockOf } from '../cli/fence-sanlock/daemon-ports.ts';
import {
  agentRunDir,
  FENCE_DAEMON_NAME,
  FENCE_FIFO,
  FENCE_PID_FILE,
  FENCE_VERSION,
  fencedRunDir,
} from '../cli/fence-sanlock/places.ts';
import { fenceDaemonPid, signalTo, victimsOfAgents } from '../cli/fence-sanlock/running.ts';
import {
  type FenceStart,
  parseStartMessage,
  startMessage,
} from '../cli/fence-sanlock/start-message.ts';
import { wdmdSocket } from '../cli/sanlk-reset/places.ts';
import { sanlockSocketPath } from '../client/sanlock.ts';
import { WdmdEntry } from '../client/wdmd.ts';
import { goOnWithoutReader } from '../platform/broken-pipe.ts';
import { claimMachine } from '../platform/claim-machine.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { makeRunDir, reportToStarter, startDetached } from '../platform/daemonize.ts';
import { FifoReader, sendToFifo } from '../platform/fifo.ts';
import { boundYoungGeneration } from '../platform/heap.ts';
import { DaemonLog } from '../platform/log.ts';
import { lockPidFile, type PidFile } from '../platform/pid-file.ts';
import { setProcessName } from '../platform/process-name.ts';
import { notifyServiceManager } from '../platform/sd-notify.ts';
import { UnixSockets } from '../platform/unix-socket.ts';

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
      if (pid === null || !signalTo(pid, 'SIGUSR1')) complain(`no ${NAME} runs here to be told`);
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

/** Our own second start has a channel to this one, and stays where it is. */
function startBehind(args: readonly string[]): void {
  const options = { deadlineMs: START_DEADLINE_MS };
  startDetached(__filename, args, options, (failure) => {
    if (failure !== null) complain(failure);
  });
}

/** What signals do: before there is a daemon they end the program. */
interface Told {
  daemon: FenceDaemon | null;
  leave: (failure: string | null) => void;
}

function serve(task: Serve): void {
  boundYoungGeneration();
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
  const told: Told = { daemon: null, leave };
  onSignals(told);
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
  // Joining may take minutes: who started us waits no longer than for the pid file.
  reportToStarter(null, () => {});
  if (task.start === null) waitForStart({ log, told });
  else begin(task.start, { log, told });
}

interface World {
  readonly log: DaemonLog;
  readonly told: Told;
}

function waitForStart({ log, told }: World): void {
  try {
    const fifo = new FifoReader(FIFO_PATH, (bytes) => {
      fifo.close();
      told.leave = leave;
      const parsed = parseStartMessage(bytes);
      if (parsed.ok) begin(parsed.value, { log, told });
      else leave(parsed.error);
    });
    const { leave } = told;
    told.leave = (failure) => {
      fifo.close();
      leave(failure);
    };
    log.info('daemon.waiting', { fifo: FIFO_PATH });
    notifyServiceManager('READY=1\nSTATUS=Waiting for fence_sanlock -o on');
  } catch (error) {
    told.leave(reasonOf(error));
  }
}

function begin(start: FenceStart, { log, told }: World): void {
  const { path, hostId } = start;
  log.warn('daemon.starting', { path: nameToText(path), hostId });
  const clock = new MonotonicClock();
  const sockets = new UnixSockets(null);
  const socketPath = sanlockSocketPath(process.env['SANLOCK_RUN_DIR']);
  const wdmdPath = wdmdSocket(process.env);
  // Nobody feeds the device any more: this host will be reset, whatever we do.
  const wdmdLost = (): void => log.error('watchdog.lost', { hostId });
  const at = { sockets, path: textToName(wdmdPath) };
  WdmdEntry.open(at, { clock, name: NAME, lost: wdmdLost }, (watchdog) => {
    if (watchdog === null) {
      told.leave(`cannot connect to wdmd at ${wdmdPath}: is it running?`);
      return;
    }
    const sanlockLost = (): void => {
      log.error('sanlock.lost', { hostId });
      told.daemon?.lost();
    };
    const of = { start, killpath: textToName(ownProgram()), lost: sanlockLost };
    const daemon = new FenceDaemon({
      hostId,
      clock,
      log,
      sanlock: sanlockOf({ clock, sockets, socketPath }, of),
      watchdog,
      agentVictims: () => victimsOfAgents(agentRunDir(process.env)),
      started: () => {
        log.warn('daemon.started', { path: nameToText(path), hostId });
        notifyServiceManager(`READY=1\nSTATUS=Host ${hostId} can be fenced`);
      },
      ended: told.leave,
    });
    told.daemon = daemon;
    daemon.start();
  });
}

/** sanlock runs it with -1 when another host wants our lease; through PATH if it must. */
function ownProgram(): string {
  const beside = join(__dirname, '..', 'bin', NAME);
  return existsSync(beside) && beside.length <= MAX_KILLPATH_BYTES ? beside : NAME;
}

function onSignals(told: Told): void {
  const stop = (): void => {
    if (told.daemon === null) told.leave(null);
    else told.daemon.stop();
  };
  process.on('SIGUSR1', () => told.daemon?.told('fenced'));
  process.on('SIGUSR2', () => told.daemon?.told('fencing'));
  process.on('SIGHUP', stop);
  process.on('SIGINT', stop);
  process.on('SIGTERM', () => {
    if (told.daemon === null) told.leave(null);
    else told.daemon.lost();
  });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

main(process.argv.slice(2));
