import '../platform/clean-start.ts';
import '../platform/more-threads.ts';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { textToName } from '../base/bytes.ts';
import { readGuardConfFiles } from '../cli/guard/conf-files.ts';
import { DiskNames } from '../cli/guard/disk-names.ts';
import { explainRefusal } from '../cli/guard/explain.ts';
import { lossProgram } from '../cli/guard/loss-program.ts';
import { GUARD_RECORDS, GUARD_SOCKET, GUEST_FILES, GUEST_LOCKSPACE } from '../cli/guard/paths.ts';
import type { Ask } from '../client/lease-holder.ts';
import { SanlockClient, sanlockSocketPath } from '../client/sanlock.ts';
import type { GuardConfig } from '../guard/config.ts';
import { type AccountIds, accountIds } from '../platform/accounts.ts';
import { goOnWithoutReader } from '../platform/broken-pipe.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { daemonSockets } from '../platform/daemon-sockets.ts';
import { NodeGuestFiles } from '../platform/guest-files.ts';
import { NodeGuestRecords } from '../platform/guest-records.ts';
import { NodeKeepers } from '../platform/keepers.ts';
import { KernelProcess } from '../platform/kernel-process.ts';
import { DaemonLog } from '../platform/log.ts';
import { NodePlainFiles } from '../platform/plain-files.ts';
import { setProcessName } from '../platform/process-name.ts';
import { notifyServiceManager } from '../platform/sd-notify.ts';
import { GuardLeaseFiles } from '../programs/guard-lease-files.ts';
import { GuardLeases } from '../programs/guard-leases.ts';
import { GuardLockspace } from '../programs/guard-lockspace.ts';
import { GuardProgram } from '../programs/guard-program.ts';

const NAME = 'holdfast-guardd';
const LOG_INFO = 6;

function main(): void {
  goOnWithoutReader();
  setProcessName(NAME);
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
  const lockspace = new GuardLockspace({ ...at, clock, log, files });
  const client = new SanlockClient(sanlock);
  const ask: Ask = (call, options) => client.call(call, options);
  const around = { deputy: null, log };
  const names = new DiskNames(naming);
  mkdirSync(dirname(GUARD_SOCKET), { recursive: true });
  const program = new GuardProgram({
    ...{ config, clock, log, sockets: daemonSockets() },
    socketPath: textToName(GUARD_SOCKET),
    leases: new GuardLeases({ ...at, clock, files }),
    keepers: new NodeKeepers(join(__dirname, 'guard-keeper.cjs'), around),
    records: new NodeGuestRecords(GUARD_RECORDS),
    killpathOf: lossProgram(__dirname),
    guestFiles: new NodeGuestFiles(GUEST_FILES),
    nameDisks: (disks, answer) => void names.leasesOf(disks).then(answer),
    explain: (guest, refusal, answer) => {
      void explainRefusal(ask, at, { guest, refusal }).then(answer);
    },
    processAt: (pid) => KernelProcess.at(pid, around),
    lockspaceCode: () => lockspace.code,
  });
  program.start();
  lockspace.begin();
  log.info('daemon.started', { hostId, leaseDir });
  notifyServiceManager('READY=1');
  process.once('SIGTERM', () => {
    notifyServiceManager('STOPPING=1');
    program.close();
    process.exit(0);
  });
}

main();
