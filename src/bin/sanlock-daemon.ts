import '../platform/clean-start.ts';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { nameToText } from '../base/bytes.ts';
import { BUILD_ID } from '../base/version.ts';
import { USAGE } from '../cli/sanlock/usage.ts';
import { UsageError } from '../cli/sanlock-daemon/daemon-options.ts';
import type { Finding } from '../cli/sanlock-daemon/finding.ts';
import type { TextFile } from '../cli/sanlock-daemon/host-facts.ts';
import { complainOf, logFindings, reportCheck } from '../cli/sanlock-daemon/report.ts';
import {
  type DaemonLogging,
  type DaemonSettings,
  type ReadSettings,
  readSettings,
} from '../cli/sanlock-daemon/settings.ts';
import { goOnWithoutReader } from '../platform/broken-pipe.ts';
import { claimMachine } from '../platform/claim-machine.ts';
import { becomeUser } from '../platform/credentials.ts';
import { daemonSockets } from '../platform/daemon-sockets.ts';
import { makeRunDir, reportToStarter, startDetached } from '../platform/daemonize.ts';
import { EndRecords } from '../platform/end-records.ts';
import { boundYoungGeneration } from '../platform/heap.ts';
import { Helper } from '../platform/helper.ts';
import { JournalFile } from '../platform/journal-file.ts';
import { stderrIsJournal } from '../platform/journal-stream.ts';
import { DaemonLog } from '../platform/log.ts';
import { MachineClock } from '../platform/machine-clock.ts';
import { lockPidFileWhenFree, type PidFile } from '../platform/pid-file.ts';
import { setProcessName } from '../platform/process-name.ts';
import { NodeProcesses } from '../platform/processes.ts';
import { liftLimits } from '../platform/scheduling.ts';
import { SCRIPT_SHELL, ScriptRunner } from '../platform/script-runner.ts';
import { notifyServiceManager } from '../platform/sd-notify.ts';
import { ListenerStore } from '../platform/stored-listeners.ts';
import { exitNow } from '../platform/system-calls.ts';
import { errnoNameOf, reasonOf } from '../platform/system-error.ts';
import { SanlockProgram } from '../programs/sanlock-program.ts';
import type { LeaseProcessSettings } from './lease-process.ts';

const LOG_FILE = '/var/log/sanlock.log';
/** The kernel's: loading node:crypto would cost the start 6 ms or more. */
const RANDOM_UUID = '/proc/sys/kernel/random/uuid';
const NO_SYSLOG = -1;
const START_DEADLINE_MS = 10_000;
/**
 * `sanlock daemon …`: checks the options, goes to the background unless -D, and serves.
 * @returns the exit status; in the foreground that of a daemon which is only starting.
 */
export async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(USAGE);
    return 0;
  }
  const isCheck = args.includes('--check');
  const read = readOrRefuse(args.filter((word) => word !== '--check'));
  if (read === null) return 1;
  const { settings, findings } = read;
  if (isCheck) return reportCheck(findings, { print: console.log, complain: console.error });
  if (!read.logging.foreground) complainOf(findings, console.error);
  if (settings === null) {
    await new Promise<void>((written) => {
      const log = openLog(read.logging, !read.logging.foreground);
      logFindings(findings, log);
      log.close(written);
    });
    return 1;
  }
  if (settings.logging.foreground) {
    serve(settings, findings);
    return 0;
  }
  const file = join(__dirname, 'sanlock-daemon.cjs');
  const options = { deadlineMs: START_DEADLINE_MS };
  const failure = await new Promise<string | null>((ended) =>
    startDetached(file, args, options, ended),
  );
  if (failure !== null) console.error(`sanlock daemon: ${failure}`);
  return failure === null ? 0 : 1;
}

function readOrRefuse(args: readonly string[]): ReadSettings | null {
  try {
    return readSettings(args, {
      environment: process.env,
      nodeName: hostname(),
      newUuid: () => readFileSync(RANDOM_UUID, 'ascii').trim(),
      readFile,
    });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.log(error.message); // where the C program prints it
    console.error(`sanlock daemon: ${error.message.split('\n').join(': ')}; see sanlock --help`);
    return null;
  }
}

function openLog(logging: DaemonLogging, isPrinted: boolean): DaemonLog {
  return new DaemonLog({
    program: 'sanlock',
    file: LOG_FILE,
    fileSeverity: logging.logfilePriority,
    // The messages of the command itself are in the journal already.
    syslogSeverity: isPrinted && stderrIsJournal() ? NO_SYSLOG : logging.syslogPriority,
    stderr: logging.foreground,
    utc: logging.utc,
  });
}

function serve(settings: DaemonSettings, findings: readonly Finding[]): void {
  goOnWithoutReader();
  setProcessName('sanlock');
  boundYoungGeneration();
  const { logging, privileged } = settings;
  if (privileged) liftLimits();
  const log = openLog(logging, false);
  logFindings(findings, log);
  const leave = (status: number) => log.close(() => exitNow(status));
  process.on('uncaughtException', (error) => {
    // A wrong daemon is worse than none: the lease processes end with us, the leases expire.
    log.error('daemon.broken', { reason: error.stack ?? error.message });
    reportToStarter(error.message, () => leave(1));
  });
  const failed = (error: unknown): void => {
    const reason = reasonOf(error);
    log.error('daemon.notStarted', { reason });
    reportToStarter(reason, () => leave(1));
  };
  const started = (pidFile: PidFile): void => {
    try {
      start(settings, { log, leave, pidFile });
    } catch (error) {
      failed(error);
    }
  };
  const { sanlock } = settings;
  const runDir = nameToText(sanlock.runDir);
  try {
    makeRunDir(runDir, { uid: sanlock.uid, gid: privileged ? 0 : sanlock.gid });
  } catch (error) {
    failed(error);
    return;
  }
  lockPidFileWhenFree(join(runDir, 'sanlock.pid'), { log, locked: started, failed });
}

interface Parts {
  readonly log: DaemonLog;
  readonly leave: (status: number) => void;
  readonly pidFile: PidFile;
}

function start(settings: DaemonSettings, { log, leave, pidFile }: Parts): void {
  const { sanlock, privileged } = settings;
  const runDir = nameToText(sanlock.runDir);
  // Both keep the privileges we give up.
  const scripts = new ScriptRunner(log);
  const givesUp = privileged && sanlock.uid !== 0;
  const deputy = givesUp ? new Helper(join(__dirname, 'helper.cjs'), log) : null;
  if (givesUp) becomeUser(sanlock);
  log.warn('daemon.started', { host: sanlock.ourHostName, node: hostname(), pid: process.pid });
  const endRecords = new EndRecords(runDir);
  endRecords.forgetStale();
  const leaseProcessFile = join(__dirname, 'lease-process.cjs');
  const program = new SanlockProgram({
    settings: sanlock,
    clock: new MachineClock(),
    sockets: daemonSockets(new ListenerStore()),
    processes: new NodeProcesses({
      leaseProcessFile,
      leaseProcessSettings: JSON.stringify(leaseProcessSettings(settings)),
      endRecords,
      scripts,
      deputy,
      log,
    }),
    journal: new JournalFile(join(runDir, 'sanlock.holders'), log),
    log,
    random: Math.random,
    helperPid: scripts.pid,
    dumpLog: () => log.dump(),
    ended: (status) => {
      log.warn('daemon.ended', { status });
      notifyServiceManager('STOPPING=1');
      leave(status);
    },
  });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => program.endIfUnused());
  }
  const programs = [leaseProcessFile, join(__dirname, 'helper.cjs'), SCRIPT_SHELL];
  try {
    program.start();
  } catch (error) {
    pidFile.remove(); // this process never served
    throw error;
  }
  // Before the first request is read, but lease processes that resume start meanwhile.
  claimMachine({ ...sanlock, programs, modules: Object.keys(require.cache) }, log);
  notifyServiceManager('READY=1');
  reportToStarter(null, () => {});
}

function leaseProcessSettings({ sanlock, logging }: DaemonSettings): LeaseProcessSettings {
  const { mlockLevel, highPriority } = sanlock;
  const runDir = nameToText(sanlock.runDir);
  return { build: BUILD_ID, mlockLevel, highPriority, verbose: logging.foreground, runDir };
}

function readFile(path: string): TextFile {
  try {
    return { text: readFileSync(path, 'utf8'), failure: null };
  } catch (error) {
    const code = errnoNameOf(error);
    const isAbsent = code === 'ENOENT' || code === 'ENOTDIR';
    return { text: '', failure: isAbsent ? null : reasonOf(error) };
  }
}

// Started by `startDetached`, and in no other way as a program.
if (require.main === module) {
  const read = readOrRefuse(process.argv.slice(2));
  if (read !== null && read.settings !== null) serve(read.settings, read.findings);
}
