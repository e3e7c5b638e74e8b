import '../platform/clean-start.ts';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { textToName } from '../base/bytes.ts';
import { readGuardConfFiles } from '../cli/guard/conf-files.ts';
import { diskLeases } from '../cli/guard/disk-names.ts';
import { sanlockSocketPath } from '../client/sanlock.ts';
import type { GuardConfig } from '../guard/config.ts';
import { refusalText } from '../guard/refusal-text.ts';
import { goOnWithoutReader } from '../platform/broken-pipe.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { daemonSockets } from '../platform/daemon-sockets.ts';
import { NodeGuestFiles } from '../platform/guest-files.ts';
import { NodeKeepers } from '../platform/keepers.ts';
import { identityOf, KernelProcess } from '../platform/kernel-process.ts';
import { DaemonLog } from '../platform/log.ts';
import { NodePlainFiles } from '../platform/plain-files.ts';
import { setProcessName } from '../platform/process-name.ts';
import { GuardLeaseFiles } from '../programs/guard-lease-files.ts';
import { GuardLeases } from '../programs/guard-leases.ts';
import { GuardLockspace } from '../programs/guard-lockspace.ts';
import { GuardProgram } from '../programs/guard-program.ts';

const NAME = 'holdfast-guardd';
const LOCKSPACE = '__LIBVIRT__DISKS__';
const SOCKET = '/run/holdfast/guard.sock';
const GUEST_FILES = '/run/libvirt/qemu';
const LOG_INFO = 6;

function main(): void {
  goOnWithoutReader();
  setProcessName(NAME);
  const config = readGuardConfFiles();
  if (config.ok) {
    serve(config.value);
    return;
  }
  process.stderr.write(`${NAME}: ${config.error}\n`);
  process.exitCode = 2;
}

function serve(config: GuardConfig): void {
  const { hostId, ioTimeoutS, leaseDir, naming } = config;
  const clock = new MonotonicClock();
  const log = new DaemonLog({
    ...{ program: NAME, file: null, fileSeverity: 0, syslogSeverity: LOG_INFO },
    ...{ stderr: true, utc: false },
  });
  const socketPath = sanlockSocketPath(process.env['SANLOCK_RUN_DIR']);
  const sanlock = { socketPath, sockets: daemonSockets(), clock };
  const at = { sanlock, lockspace: LOCKSPACE, leaseDir, hostId, ioTimeoutS };
  const owners = { uid: null, gid: null };
  const files = new GuardLeaseFiles({ ...at, ...owners, files: new NodePlainFiles() });
  const around = { deputy: null, log };
  mkdirSync(dirname(SOCKET), { recursive: true });
  const program = new GuardProgram({
    ...{ config, clock, log, sockets: daemonSockets() },
    socketPath: textToName(SOCKET),
    leases: new GuardLeases({ ...at, clock, files }),
    keepers: new NodeKeepers(join(__dirname, 'guard-keeper.cjs'), around),
    killpathOf: (uuid) => ({ path: '/bin/true', args: `guard lost ${uuid}` }),
    guestFiles: new NodeGuestFiles(GUEST_FILES),
    nameDisks: (disks, answer) => void diskLeases(disks, naming).then(answer),
    explain: (guest, refusal, answer) => answer(refusalText(guest, refusal, null)),
    findQemu: (pid) => {
      const identity = identityOf(pid);
      return identity === null ? null : KernelProcess.find(pid, identity, around);
    },
  });
  program.start();
  new GuardLockspace({ ...at, clock, log, files }).begin();
  log.info('daemon.started', { hostId, leaseDir });
}

main();
