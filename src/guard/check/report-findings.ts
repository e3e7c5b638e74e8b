import { ERRNO } from '../../base/errno.ts';
import { caution, type Finding, problem } from '../../base/finding.ts';
import { SANLOCK_CODES } from '../../wire/sanlock/codes.ts';
import { makeFailure } from '../../wire/sanlock/failure.ts';
import type { GuardReport, GuestReport, LeaseReport } from '../report.ts';

/** What of a guard's report needs attention. */
export function reportFindings(report: GuardReport): readonly Finding[] {
  return [...lockspaceFindings(report), ...report.guests.flatMap(guestFindings)];
}

function lockspaceFindings({ hostId, leaseDir, lockspaceCode }: GuardReport): readonly Finding[] {
  if (lockspaceCode === 0) return [];
  if (lockspaceCode === null) {
    const found = `the guard has not joined the lockspace in ${leaseDir} yet: no guest starts before`;
    const cure = 'wait: it takes about 20 s, and some minutes after a crash of this host';
    return [caution('lockspaceNotAsked', found, cure)];
  }
  const found = `the guard is not in the lockspace in ${leaseDir}: ${reasonOf(lockspaceCode)}`;
  return [problem('lockspaceNotJoined', found, joinCure(lockspaceCode, hostId))];
}

function joinCure(code: number, hostId: number): string {
  switch (code) {
    case SANLOCK_CODES.HOSTID_BUSY:
      return (
        `give this host another host_id than ${hostId} in /etc/holdfast/guard.conf, and restart ` +
        'holdfast-guard; after a crash of this host wait some minutes, as that may be its own'
      );
    case -ERRNO.ECONNREFUSED:
    case -ERRNO.ENOENT:
      return 'start sanlock (systemctl start sanlock), and mount the lease directory if it is absent';
    case -ERRNO.EACCES:
    case -ERRNO.EPERM:
      return 'let the user of sanlock use the lease directory: holdfast guard check says how';
    default:
      return 'see the log of sanlock; holdfast guard check looks for the usual causes';
  }
}

/** 'EACCES (-13)', with what it means where that is known. */
function reasonOf(code: number): string {
  const call = 'add_lockspace';
  const { message } = makeFailure({ code, outcome: 'refused', call, socketPath: '' });
  return message.replace(/^.* refused with /, '');
}

function guestFindings(guest: GuestReport): readonly Finding[] {
  const { name, qemuPid, keeperPid, leases } = guest;
  if (qemuPid !== null && keeperPid === null && leases.length > 0) {
    const found = `guest ${name} runs, and no keeper holds its leases`;
    const cure = 'see the log of holdfast-guard: it starts a keeper as soon as sanlock answers';
    return [problem('guestWithoutKeeper', found, cure)];
  }
  return leases.flatMap((lease) => leaseFindings(guest, lease));
}

function leaseFindings(guest: GuestReport, lease: LeaseReport): readonly Finding[] {
  const { name, qemuPid, waitsFor, migration } = guest;
  const what = `the lease of disk ${lease.target} of guest ${name} (${lease.key})`;
  if (lease.held === 'orphan') {
    const found = `${what} is an orphan: its keeper was killed; no other host gets it`;
    return [caution('leaseOrphaned', found, 'none: the guard takes it over again')];
  }
  if (lease.held === null) {
    if (qemuPid === null || waitsFor !== null) return []; // it is being taken
    const found = `${what} is not held though the guest runs: another guest may write that disk`;
    const cure =
      'stop the guest, or whoever has the disk: holdfast guard check GUEST names the host';
    return [problem('leaseNotHeld', found, cure)];
  }
  if (lease.mode === 'exclusive' && lease.held !== 'exclusive' && migration === null) {
    const found = `${what} is held shared though no migration is under way`;
    const cure = 'none: the guard takes it back when the other host has let go';
    return [caution('leaseStillShared', found, cure)];
  }
  return [];
}
