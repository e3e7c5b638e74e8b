import '../platform/clean-start.ts';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { textToName } from '../base/bytes.ts';
import { fail } from '../base/result.ts';
import { sanlockSocketPath } from '../client/sanlock.ts';
import { readGuardConfig } from '../guard/config.ts';
import { leasesOf } from '../guard/lease-names.ts';
import { refusalText } from '../guard/refusal-text.ts';
import { goOnWithoutReader } from '../platform/broken-pipe.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { daemonSockets } from '../platform/daemon-sockets.ts';
import { lookUpPaths } from '../platform/disk-facts.ts';
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
const LOG_INFO = 6;

function main(): void {
  goOnWithoutReader();
  setProcessName(NAME);
  const conf = (path: string) => ({
    path,
    text: existsSync(path) ? readFileSync(path, 'utf8') : null,
  });
  const config = readGuardConfig({
    qemu: conf('/etc/libvirt/qemu.conf'),
    plugin: conf('/etc/libvirt/qemu-sanlock.conf'),
    own: conf('/etc/holdfast/guard.conf'),
  });
  if (!config.ok) {
    process.stderr.write(`${NAME}: ${config.error}\n`);
    process.exit(2);
  }
  const { hostId, ioTimeoutS, leaseDir, naming } = config.value;
  const clock = new MonotonicClock();
  const log = new DaemonLog({
    ...{ program: NAME, file: null, fileSeverity: 0, syslogSeverity: LOG_INFO },
    ...{ stderr: true, utc: false },
  });
  const socketPath = sanlockSocketPath(process.env['SANLOCK_RUN_DIR']);
  const sanlock = { socketPath, sockets: daemonSockets(), clock };
  const at = { sanlock, lockspace: LOCKSPACE, leaseDir, hostId, ioTimeoutS };
  const files = new GuardLeaseFiles({
    ...{ ...at, files: new NodePlainFiles() },
    ...{ uid: null, gid: null },
  });
  const around = { deputy: null, log };
  const md5 = (text: string) => createHash('md5').update(text).digest('hex');
  const path = '/run/holdfast/guard.sock';
  mkdirSync(dirname(path), { recursive: true });
  const program = new GuardProgram({
    ...{ config: config.value, clock, log, sockets: daemonSockets() },
    socketPath: textToName(path),
    leases: new GuardLeases({ ...at, clock, files }),
    keepers: new NodeKeepers(join(__dirname, 'guard-keeper.cjs'), around),
    killpathOf: (uuid) => ({ path: '/bin/true', args: `guard lost ${uuid}` }),
    guestFiles: new NodeGuestFiles('/run/libvirt/qemu'),
    nameDisks: (disks, answer) => {
      const paths = disks.flatMap(({ source }) => ('path' in source ? [source.path] : []));
      lookUpPaths(paths).then((found) => {
        if (typeof found === 'string') {
          answer(fail(found));
          return;
        }
        const facts = {
          path: (one: string) => found.get(one) ?? { realPath: one, deviceKey: null },
          volume: () => fail('pools are not read yet'),
          md5,
        };
        answer(leasesOf(disks, naming, facts));
      });
    },
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
