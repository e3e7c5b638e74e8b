import '../platform/clean-start.ts';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { unreachable } from '../base/assert.ts';
import { textToName } from '../base/bytes.ts';
import { HANDED_OVER_STATUS } from '../base/exit-status.ts';
import { given } from '../base/given.ts';
import { fallBack, NO_DEVICE, printDump, refusalText, tryDevice } from '../cli/wdmd/main.ts';
import { parseOptions, USAGE, type WdmdOptions } from '../cli/wdmd/options.ts';
import { idIn } from '../platform/accounts.ts';
import { goOnWithoutReader } from '../platform/broken-pipe.ts';
import { claimMachine } from '../platform/claim-machine.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { CrashGuard } from '../platform/crash-guard.ts';
import { daemonSockets } from '../platform/daemon-sockets.ts';
import { reportToStarter, startDetached } from '../platform/daemonize.ts';
import { boundMemory } from '../platform/heap.ts';
import { JournalFile } from '../platform/journal-file.ts';
import { stderrIsJournal } from '../platform/journal-stream.ts';
import { loadModule } from '../platform/kernel-module.ts';
import { DaemonLog } from '../platform/log.ts';
import { lockPidFileWhenFree, type PidFile } from '../platform/pid-file.ts';
import { setProcessName } from '../platform/process-name.ts';
import { liftLimits } from '../platform/scheduling.ts';
import { notifyServiceManager } from '../platform/sd-notify.ts';
import { exitNow } from '../platform/system-calls.ts';
import { errnoNameOf, reasonOf } from '../platform/system-error.ts';
import { DirectoryScripts } from '../platform/test-scripts.ts';
import { UnixSockets } from '../platform/unix-socket.ts';
import { LinuxWatchdogs } from '../platform/watchdog-device.ts';
import { KnownWatchdogs, type WatchdogKind } from '../programs/watchdog-kinds.ts';
import { findWatchdog, type WatchdogFound, watchdogPaths } from '../programs/watchdog-search.ts';
import { type WdmdBeginning, WdmdProgram } from '../programs/wdmd-program.ts';
import { readPredecessor } from '../wdmd/duty-lines.ts';
import { DEFAULT_FIRE_TIMEOUT_S } from '../wdmd/state.ts';
import { SANLOCK_RELEASE } from '../wire/sanlock/release.ts';

const VERSION_TEXT = `wdmd version ${SANLOCK_RELEASE.text}`;
const START_DEADLINE_MS = 10_000;
const NOT_STARTED = 255; // the status of the C program
const BROKEN = 70; //  EX_SOFTWARE: a successor may go on
const RUN_DIR = given(process.env['WDMD_RUN_DIR']) ?? '/run/wdmd';
const SOCKET_PATH = join(RUN_DIR, 'wdmd.sock');
const PID_FILE = join(RUN_DIR, 'wdmd.pid');
const JOURNAL = join(RUN_DIR, 'wdmd.duties');
const GUARD_PATH = join(given(process.env['WDMD_SHM_DIR']) ?? '/dev/shm', 'wdmd');

function main(args: readonly string[]): void {
  goOnWithoutReader();
  setProcessName('wdmd');
  const parsed = parseOptions(args);
  if (!parsed.ok) {
    console.error(parsed.error);
    process.exitCode = 1;
    return;
  }
  const options = parsed.value;
  const print = (text: string) => process.stdout.write(text, 'latin1');
  switch (options.action) {
    case 'help':
      print(USAGE);
      return;
    case 'version':
      print(`${VERSION_TEXT}\n`);
      return;
    case 'dump':
      void dump(print);
      return;
    case 'probe':
    case 'fire':
      process.exitCode = tryDevice(options, watchdogs(sayKind), surroundings(print));
      return;
    case 'softdog': {
      const to = { ...surroundings(print), load: loadModule };
      process.exitCode = fallBack(options, watchdogs(sayKind), to);
      return;
    }
    case 'serve':
      if (options.foreground) serve(options);
      else detach(args);
      return;
    default:
      unreachable(options.action);
  }
}

const drivers = new LinuxWatchdogs();

function watchdogs(found: (path: string, kind: WatchdogKind) => void): KnownWatchdogs {
  return new KnownWatchdogs(drivers, found);
}

function sayKind(path: string, kind: WatchdogKind): void {
  console.error(
    `${path} is ${kind.identity}, set to 1/${kind.expiries} of the time: ${kind.reason}`,
  );
}

function surroundings(print: (text: string) => void) {
  const others = () => drivers.list();
  return { print, complain: console.error, isGuarded: existsSync(GUARD_PATH), others };
}

async function dump(print: (text: string) => void): Promise<void> {
  const socketPath = textToName(SOCKET_PATH);
  const from = { sockets: new UnixSockets(), clock: new MonotonicClock(), socketPath };
  process.exitCode = await printDump(from, print);
}

function detach(args: readonly string[]): void {
  const how = { deadlineMs: START_DEADLINE_MS };
  startDetached(join(__dirname, 'wdmd.cjs'), [...args, '-D'], how, (failure) => {
    if (failure !== null) console.error(failure);
    process.exitCode = failure === null ? 0 : NOT_STARTED;
  });
}

function serve(options: WdmdOptions): void {
  boundMemory();
  const log = new DaemonLog({
    program: 'wdmd',
    file: null,
    fileSeverity: 4,
    syslogSeverity: 6,
    stderr: true,
    utc: false,
  });
  let hasStarted = false;
  process.on('uncaughtException', (error) => {
    // The device stays armed and the guard in place: only one that knows all duties goes on.
    log.error('daemon.broken', { reason: error.stack ?? error.message });
    reportToStarter(error.message, () => exitNow(hasStarted ? BROKEN : NOT_STARTED));
  });
  const refuse = (reason: string) => {
    log.error('daemon.notStarted', { reason });
    if (!stderrIsJournal()) console.error(reason); // the original's words
    reportToStarter(reason, () => log.close(() => exitNow(NOT_STARTED)));
  };
  const guard = new CrashGuard(GUARD_PATH);
  const locked = (pidFile: PidFile): void => {
    const parts = { log, guard, pidFile, journal: new JournalFile(JOURNAL, log) };
    const taken = guard.take();
    const refusal = taken === null ? startNew(options, parts) : succeed(options, parts, taken);
    hasStarted = refusal === null;
    if (refusal === null) return;
    pidFile.remove();
    refuse(refusal);
  };
  const failed = (error: unknown) => refuse(reasonOf(error));
  try {
    makeRunDir();
  } catch (error) {
    failed(error);
    return;
  }
  lockPidFileWhenFree(PID_FILE, { log, locked, failed });
}

interface Parts {
  readonly log: DaemonLog;
  readonly guard: CrashGuard;
  readonly pidFile: PidFile;
  readonly journal: JournalFile;
}

/** @returns null, or why it does not serve */
function startNew(options: WdmdOptions, parts: Parts): string | null {
  let watchdog: WatchdogFound | null = null;
  try {
    watchdog = openWatchdog(options, parts.log);
    start(options, parts, { kind: 'new', watchdog });
    return null;
  } catch (error) {
    watchdog?.device.disarm();
    parts.guard.release();
    return reasonOf(error);
  }
}

/**
 * Another wdmd has died: its lock on the pid file was free. The device counts, and is left alone
 * unless all that it watched is known. @returns null, or why it does not serve
 */
function succeed(options: WdmdOptions, parts: Parts, errno: number): string | null {
  const { log, guard, journal } = parts;
  const now = { guard: guard.identity(), nowMs: new MonotonicClock().nowMs() };
  const found = readPredecessor(journal.load(), now);
  let reason: string;
  try {
    if (found.ok) {
      start(options, parts, { kind: 'successor', of: found.value });
      return null;
    }
    reason = found.error;
  } catch (error) {
    reason = reasonOf(error);
  }
  log.error('daemon.notSucceeded', { reason });
  return `other wdmd not cleanly stopped, shm_open error ${errno}`;
}

function logKind(log: DaemonLog): (path: string, kind: WatchdogKind) => void {
  return (path, { identity, expiries, reason }) => {
    log.warn('device.slow', { path, identity, expiries, reason });
  };
}

function openWatchdog(options: WdmdOptions, log: DaemonLog): WatchdogFound {
  const paths = watchdogPaths(options.watchdogPath, drivers.list());
  const want = { paths, timeoutS: DEFAULT_FIRE_TIMEOUT_S };
  const found = findWatchdog(watchdogs(logKind(log)), want, (refusal) => {
    log.error('device.refused', { path: refusal.path, reason: refusalText(refusal) });
  });
  if (found === null) throw new Error(NO_DEVICE);
  return found;
}

function start(options: WdmdOptions, parts: Parts, beginning: WdmdBeginning): void {
  const { log, guard, pidFile, journal } = parts;
  const { highPriority, allowScripts, killScriptS } = options;
  const socketGid = groupId(options.groupName, log);
  const program = new WdmdProgram(
    {
      settings: { pid: process.pid, socketGid, highPriority, allowScripts, killScriptS },
      clock: new MonotonicClock(),
      sockets: daemonSockets(),
      socketPath: textToName(SOCKET_PATH),
      devices: watchdogs(logKind(log)),
      scripts: allowScripts === 1 ? new DirectoryScripts(options.scriptsDirectory) : null,
      journal,
      guard: guard.identity() ?? '',
      log,
      ended: () => {
        guard.release();
        pidFile.remove();
        log.info('daemon.ended', {});
        notifyServiceManager('STOPPING=1');
        log.close(() => exitNow(0));
      },
      handedOver: () => {
        log.warn('daemon.handedOver', {});
        log.close(() => exitNow(HANDED_OVER_STATUS));
      },
    },
    beginning,
  );
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => program.terminate());
  }
  process.on('SIGHUP', () => program.rescan());
  // What is refused costs latency, and a late ping ends in a reset: the safe side.
  liftLimits();
  program.start();
  claimMachine({ mlockLevel: 1, highPriority: highPriority === 1 }, log);
  sayStarted(beginning, options, log);
  notifyServiceManager('READY=1');
  reportToStarter(null, () => {});
}

function sayStarted(beginning: WdmdBeginning, options: WdmdOptions, log: DaemonLog): void {
  if (beginning.kind === 'new') {
    const { path: device } = beginning.watchdog;
    log.warn('daemon.started', { device, fireTimeoutS: DEFAULT_FIRE_TIMEOUT_S });
    return;
  }
  const { path: device, fireTimeoutS, duties } = beginning.of;
  const names = duties.map(({ name }) => name).join(' ');
  log.warn('daemon.succeeded', { device, fireTimeoutS, duties: names });
  const { watchdogPath } = options;
  if (watchdogPath !== null && watchdogPath !== device)
    log.warn('device.kept', { device, instead: watchdogPath });
}

function groupId(name: string, log: DaemonLog): number {
  const found = idIn(readText('/etc/group'), name);
  if (found === null) log.warn('group.unknown', { group: name, used: 0 });
  return found ?? 0;
}

function makeRunDir(): void {
  const umask = process.umask(0o022);
  try {
    mkdirSync(RUN_DIR, { mode: 0o775 });
  } catch (error) {
    if (errnoNameOf(error) !== 'EEXIST') throw error;
  } finally {
    process.umask(umask);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

main(process.argv.slice(2));
