import '../platform/clean-start.ts';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { textToName } from '../base/bytes.ts';
import {
  hostIdOfFile,
  type LvmlockdOptions,
  parseOptions,
  USAGE,
} from '../cli/lvmlockd/options.ts';
import { sanlockSocketPath } from '../client/sanlock.ts';
import type { LockManager } from '../lvmlockd/managers/manager.ts';
import { registryOf } from '../lvmlockd/managers/registry.ts';
import { sanlockManager } from '../lvmlockd/managers/sanlock/manager.ts';
import { testManager } from '../lvmlockd/managers/sanlock/test-mode.ts';
import { sanlockTimes } from '../lvmlockd/managers/sanlock/times.ts';
import { SysfsActiveLvs } from '../platform/active-lvs.ts';
import { AdoptFile } from '../platform/adopt-file.ts';
import { SysfsDevices } from '../platform/block-device.ts';
import { goOnWithoutReader } from '../platform/broken-pipe.ts';
import { claimMachine } from '../platform/claim-machine.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { daemonSockets } from '../platform/daemon-sockets.ts';
import { reportToStarter, startDetached } from '../platform/daemonize.ts';
import { sendDatagram } from '../platform/datagram-sender.ts';
import { LinuxDeviceMapper } from '../platform/device-mapper.ts';
import { ProcDeviceUsers } from '../platform/device-users.ts';
import { boundMemory } from '../platform/heap.ts';
import { stderrIsJournal } from '../platform/journal-stream.ts';
import { DaemonLog } from '../platform/log.ts';
import { lvmFreesAfterCommit, lvmRetriesIoTimeout } from '../platform/lvm-age.ts';
import { lvmlockctlAge } from '../platform/lvmlockctl-age.ts';
import { lockPidFileWhenFree } from '../platform/pid-file.ts';
import { setProcessName } from '../platform/process-name.ts';
import { ProgramRunner } from '../platform/program-runner.ts';
import { SCRIPT_SHELL } from '../platform/script-runner.ts';
import { notifyServiceManager } from '../platform/sd-notify.ts';
import { DeviceSectorReads } from '../platform/sector-reads.ts';
import { ListenerStore } from '../platform/stored-listeners.ts';
import { allocateAligned, exitNow } from '../platform/system-calls.ts';
import { reasonOf } from '../platform/system-error.ts';
import { type LvmlockdPorts, LvmlockdProgram } from '../programs/lvmlockd-program.ts';
import { LVM_RELEASE } from '../wire/lvmlockd/release.ts';

const DUMP_SOCKET = '@lvmlockd-dump.sock';
const START_DEADLINE_MS = 10_000;
/** As lvm2 built against sanlock 3.8.5 says it: leases of that generation. */
const SANLOCK_SUPPORT = 370;
const VERSION_TEXT = `lvmlockd version: ${LVM_RELEASE} (holdfast) sanlock_support ${SANLOCK_SUPPORT}`;
const PID_FILE_TAKEN = 13; // the status of the C program

function main(args: readonly string[]): void {
  goOnWithoutReader();
  setProcessName('lvmlockd');
  const parsed = parseOptions(args, process.env);
  if (!parsed.ok) {
    console.error(parsed.error);
    process.exitCode = 1;
    return;
  }
  const options = parsed.value;
  if (options.show === 'help') console.log(USAGE);
  else if (options.show === 'version') console.log(VERSION_TEXT);
  else if (options.foreground) serve(options);
  else detach(args);
}

function detach(args: readonly string[]): void {
  const how = { deadlineMs: START_DEADLINE_MS };
  startDetached(join(__dirname, 'lvmlockd.cjs'), [...args, '--foreground'], how, (failure) => {
    if (failure !== null) console.error(`lvmlockd: ${failure}`);
    process.exitCode = failure === null ? 0 : 1;
  });
}

function serve(options: LvmlockdOptions): void {
  boundMemory();
  const log = new DaemonLog({
    program: 'lvmlockd',
    file: null,
    fileSeverity: 4,
    syslogSeverity: options.syslogSeverity,
    stderr: options.debug,
    utc: false,
  });
  const leave = (status: number) => log.close(() => exitNow(status));
  process.on('uncaughtException', (error) => {
    // Held locks stay held, as orphans that the next lvmlockd adopts.
    log.error('daemon.broken', { reason: error.stack ?? error.message });
    reportToStarter(error.message, () => leave(1));
  });
  lockPidFileWhenFree(options.pidFile, {
    log,
    failed: (error) => refuse(log, error, () => leave(PID_FILE_TAKEN)),
    locked: (pidFile) => {
      const end = (status: number) => {
        pidFile.remove();
        leave(status);
      };
      try {
        start(options, log, end);
      } catch (error) {
        refuse(log, error, () => end(1));
      }
    },
  });
}

function refuse(log: DaemonLog, error: unknown, leave: () => void): void {
  const reason = reasonOf(error);
  log.error('daemon.notStarted', { reason });
  if (!stderrIsJournal()) console.error(`lvmlockd: ${reason}`); // the system log has it
  reportToStarter(reason, leave);
}

function managerOf(options: LvmlockdOptions): LockManager {
  if (options.test) return testManager();
  const killpath = textToName(options.lvmlockctl ?? ownLvmlockctl());
  return sanlockManager({ times: sanlockTimes(options.sanlockTimeoutS), killpath });
}

function start(options: LvmlockdOptions, log: DaemonLog, end: (status: number) => void): void {
  const clock = new MonotonicClock();
  const takesActivation = process.env['SD_ACTIVATION'] === '1';
  const sockets = daemonSockets(new ListenerStore({ takesActivation }));
  const program = new LvmlockdProgram({
    settings: {
      globalLockType: options.globalLockType,
      hostId: options.hostId || hostIdOf(options.hostIdFile),
      adopt: options.adopt,
      killAction: options.killAction,
    },
    socketPath: textToName(options.socketPath),
    managers: registryOf(managerOf(options)),
    clock,
    sockets,
    sanlock: { sockets, clock, socketPath: sanlockSocketPath(process.env['SANLOCK_RUN_DIR']) },
    ...readersOfDevices(clock),
    programs: new ProgramRunner(process.env),
    ...deviceMapping(log),
    log,
    sendDump: (bytes) => sendDatagram(DUMP_SOCKET, bytes),
    dumpLog: () => log.dump(),
    ...CLIENT_AGES,
    adoptFile: adoptFileOf(options.adoptFile, log),
    ended: (status) => {
      log.info('daemon.ended', { status });
      notifyServiceManager('STOPPING=1');
      end(status);
    },
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => program.terminate(signal));
  }
  process.on('SIGHUP', () => {});
  // sanlock runs lvmlockctl when a VG loses its storage, perhaps the disk of these programs too.
  const programs = [join(__dirname, 'lvmlockctl.cjs'), ownLvmlockctl(), SCRIPT_SHELL];
  program.start();
  claimMachine({ mlockLevel: 1, highPriority: false, programs }, log);
  log.info('daemon.started', { pid: process.pid, test: options.test });
  notifyServiceManager('READY=1');
  reportToStarter(null, () => {});
}

/** By the program file of the client. */
const CLIENT_AGES = {
  dumpFormOf: lvmlockctlAge,
  freesAfterCommit: lvmFreesAfterCommit,
  retriesIoTimeout: lvmRetriesIoTimeout,
};

function adoptFileOf(path: string, log: DaemonLog): LvmlockdPorts['adoptFile'] {
  const adoptFile = new AdoptFile(path);
  return {
    read: () => {
      try {
        return adoptFile.read();
      } catch (error) {
        const advice = 'LVs that are active here without a lock are reported, not locked again';
        log.error('adoptFile.notUsed', { path, reason: reasonOf(error), advice });
        return null;
      }
    },
    write: (text) => {
      const failure = adoptFile.write(text);
      if (failure !== null) log.warn('adoptFile.notWritten', { reason: failure });
    },
  };
}

/** Used before memory is locked, so that a kill action loads nothing more. */
function deviceMapping(log: DaemonLog) {
  const mapper = new LinuxDeviceMapper();
  mapper.warmUp();
  return { mapper, users: new ProcDeviceUsers(log) };
}

function readersOfDevices(clock: MonotonicClock) {
  return {
    devices: new SysfsDevices(),
    activeLvs: new SysfsActiveLvs(),
    sectorReads: new DeviceSectorReads(clock, allocateAligned),
  };
}

function hostIdOf(path: string | null): number {
  if (path === null) return 0;
  const found = hostIdOfFile(path, readFileSync(path, 'utf8'));
  if (!found.ok) throw new Error(found.error);
  return found.value;
}

/** sanlock takes a path of at most 126 bytes. */
function ownLvmlockctl(): string {
  const beside = join(__dirname, '..', 'bin', 'lvmlockctl');
  const longest = 126;
  return existsSync(beside) && beside.length <= longest ? beside : '/sbin/lvmlockctl';
}

main(process.argv.slice(2));
