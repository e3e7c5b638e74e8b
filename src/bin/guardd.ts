import '../platform/clean-start.ts';
import '../platform/more-threads.ts';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { textToName } from '../base/bytes.ts';
import { readGuardConfFiles } from '../cli/guard/conf-files.ts';
import { DiskNames } from '../cli/guard/disk-names.ts';
import { explainRefusal } from '../cli/guard/explain.ts';
import { whyNotMounted } from '../cli/guard/lease-mount.ts';
import { lossProgram } from '../cli/guard/loss-program.ts';
import {
  GUARD_PID_FILE,
  GUARD_RECORDS,
  GUARD_SOCKET,
  GUEST_FILES,
  GUEST_LOCKSPACE,
} from '../cli/guard/paths.ts';
import type { Ask } from '../client/lease-holder.ts';
import { SanlockClient, sanlockSocketPath } from '../client/sanlock.ts';
import type { GuardConfig } from '../guard/config.ts';
import { type AccountIds, accountIds } from '../platform/accounts.ts';
import { goOnWithoutReader } from '../platform/broken-pipe.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { daemonSockets } from '../platform/daemon-sockets.ts';
import { NodeGuestFiles } from '../platform/guest-files.ts';
import { NodeGuestRecords } from '../platform/guest-records.ts';
import { boundMemory } from '../platform/heap.ts';
import { NodeKeepers } from '../platform/keepers.ts';
import { DaemonLog } from '../platform/log.ts';
import { lockPidFileWhenFree } from '../platform/pid-file.ts';
import { NodePlainFiles } from '../platform/plain-files.ts';
import { setProcessName } from '../platform/process-name.ts';
import { NodeQemus } from '../platform/qemus.ts';
import { notifyServiceManager } from '../platform/sd-notify.ts';
import { reasonOf } from '../platform/system-error.ts';
import { GuardLeaseFiles } from '../programs/guard-lease-files.ts';
import { GuardLeases } from '../programs/guard-leases.ts';
import { GuardLockspace } from '../programs/guard-lockspace.ts';
import { GuardProgram } from '../programs/guard-program.ts';

const NAME = 'holdfast-guardd';
const LOG_INFO = 6;

function main(): void {
  goOnWithoutReader();
  setProcessName(NAME);
  boundMemory();
  const config = readGuardConfFiles();
  const owners = config.ok ? accountIds(config.value) : config;
  if (config.ok && owners.ok) {
    serve(config.value, owners.value);
    return;
  }
  process.stderr.write(`${NAME}: ${owners.ok ? '' : owners.error}\n`);
  process.exitCode = 2;
}

function serve(config: GuardConfig, owners: AccountIds): void {
  const { hostId, ioTimeoutS, leaseDir, naming } = config;
  const clock = new MonotonicClock();
  const log = new DaemonLog({
    ...{ program: NAME, file: null, fileSeverity: 0, syslogSeverity: LOG_INFO },
    ...{ stderr: true, utc: false },
  });
  const socketPath = sanlockSocketPath(process.env['SANLOCK_RUN_DIR']);
  const sanlock = { socketPath, sockets: daemonSockets(), clock };
  const at = { sanlock, lockspace: GUEST_LOCKSPACE, leaseDir, hostId, ioTimeoutS };
  const files = new GuardLeaseFiles({ ...at, ...owners, files: new NodePlainFiles() });
  const lockspace = new GuardLockspace({
    ...{ ...at, clock, log, files },
    whyNotMounted: () => whyNotMounted(leaseDir),
  });
  const client = new SanlockClient(sanlock);
  const ask: Ask = (call, options) => client.call(call, options);
  const around = { deputy: null, log };
  const names = new DiskNames(naming);
  mkdirSync(dirname(GUARD_SOCKET), { recursive: true, mode: 0o755 });
  const program = new GuardProgram({
    ...{ config, clock, log, sockets: daemonSockets() },
    socketPath: textToName(GUARD_SOCKET),
    leases: new GuardLeases({ ...at, clock, files }),
    keepers: new NodeKeepers(join(__dirname, 'guard-keeper.cjs'), around),
    records: new NodeGuestRecords(GUARD_RECORDS),
    killpathOf: lossProgram(__dirname),
    guestFiles: new NodeGuestFiles(GUEST_FILES),
    nameDisks: (disks, answer) => void names.leasesOf(disks).then(answer),
    explain: (refused, answer) => {
      void explainRefusal(ask, at, refused).then(answer);
    },
    qemus: new NodeQemus(GUEST_FILES, around),
    lockspace,
  });
  beginServing(log, { program, lockspace });
  log.info('daemon.started', { hostId, leaseDir });
}

/** Keepers and their leases outlive it, however it ends. */
function beginServing(
  log: DaemonLog,
  of: { readonly program: GuardProgram; readonly lockspace: GuardLockspace },
): void {
  const leave = (status: number): void => {
    notifyServiceManager('STOPPING=1');
    of.program.close();
    of.lockspace.close();
    log.warn('daemon.ended', { status });
    log.close(() => process.exit(status));
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => leave(0));
  process.on('uncaughtException', (error) => {
    log.error('daemon.broken', { reason: error.stack ?? error.message });
    log.close(() => process.exit(1));
  });
  lockPidFileWhenFree(GUARD_PID_FILE, {
    log,
    locked: () => {
      of.program.start();
      of.lockspace.begin();
      notifyServiceManager('READY=1');
    },
    failed: (error) => {
      log.error('daemon.notServing', { reason: reasonOf(error) });
      leave(1);
    },
  });
}

main();
