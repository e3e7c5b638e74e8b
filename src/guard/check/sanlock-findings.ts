import { caution, type Finding, problem } from '../../base/finding.ts';
import { isSameNode } from '../../wire/sanlock/host-name.ts';

/** The lockspace of the guests, as sanlock shows it on this host. */
export interface LockspaceSeen {
  readonly hostId: number;
  readonly path: string;
  readonly phase: 'joined' | 'joining' | 'leaving' | 'failing';
}

/** The host lease of this host's id, as it is on the disk. */
export interface HostLeaseSeen {
  readonly hostName: string;
  /** It has been renewed, or left, while it was watched; null: it was not watched. */
  readonly isRenewed: boolean | null;
  readonly watchedS: number;
}

export type SanlockSeen =
  /** Nobody listens at its socket. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'silent'; readonly text: string }
  | {
      readonly kind: 'answers';
      readonly hostName: string;
      readonly usesWatchdog: boolean;
      readonly lockspace: LockspaceSeen | null;
    };

export interface SanlockFacts {
  readonly sanlock: SanlockSeen;
  /** As configured. */
  readonly hostId: number;
  readonly lockspacePath: string;
  /** libvirt's plugin joins the lockspace, or should. */
  readonly usesPlugin: boolean;
  /** The guard says itself whether it is in the lockspace. */
  readonly guardAnswers: boolean;
  /** null: nobody has it, or it could not be read. */
  readonly hostLease: HostLeaseSeen | null;
}

/** Whether sanlock runs, watches over this host, and has it in the lockspace of the guests. */
export function sanlockFindings(facts: SanlockFacts): readonly Finding[] {
  const { sanlock } = facts;
  if (sanlock.kind === 'absent') {
    const found = 'sanlock does not run: no lease can be taken';
    return [problem('sanlockAbsent', found, 'systemctl enable --now sanlock')];
  }
  if (sanlock.kind === 'silent') {
    const found = `sanlock does not answer: ${sanlock.text}`;
    return [problem('sanlockSilent', found, 'see its log; sanlock client log_dump')];
  }
  const found: Finding[] = [];
  if (!sanlock.usesWatchdog) found.push(NO_WATCHDOG);
  if (sanlock.lockspace === null) found.push(...absentLockspace(facts, sanlock.hostName));
  else found.push(...lockspaceFindings(facts, sanlock.lockspace));
  return found;
}

const NO_WATCHDOG = caution(
  'noWatchdog',
  'sanlock runs without a watchdog: where this host hangs and its guests go on writing, nothing ' +
    'resets it, and other hosts take its leases all the same',
  'start wdmd, and sanlock without -w 0: sanlock_opts in /etc/default/sanlock (Debian 12 sets it), or ' +
    'use_watchdog = 1 in sanlock.conf',
);

function lockspaceFindings(facts: SanlockFacts, seen: LockspaceSeen): readonly Finding[] {
  const { hostId, lockspacePath } = facts;
  const found: Finding[] = [];
  if (seen.hostId !== hostId) {
    const text = `this host is in the lockspace as host ${seen.hostId}, and host_id is ${hostId}`;
    const cure =
      'restart libvirtd and holdfast-guard when no guest runs, after sanlock client rem_lockspace';
    found.push(problem('otherHostId', text, cure));
  }
  if (seen.path !== lockspacePath) {
    const text = `the lockspace is joined in ${seen.path}, and disk_lease_dir says ${lockspacePath}`;
    const cure = 'set disk_lease_dir to the directory that the other hosts use, on every host';
    found.push(problem('otherLockspacePath', text, cure));
  }
  if (seen.phase === 'failing') {
    const text = 'the lockspace cannot be renewed: the storage does not answer, or not in time';
    found.push(problem('lockspaceFailing', text, 'see the storage of the lease directory'));
  } else if (seen.phase !== 'joined') {
    const text = `this host is ${seen.phase} the lockspace: no lease can be taken meanwhile`;
    found.push(
      caution('lockspaceMoving', text, 'wait: a join takes 20 s, and minutes after a crash'),
    );
  }
  return found;
}

function absentLockspace(facts: SanlockFacts, ownName: string): readonly Finding[] {
  const { usesPlugin, guardAnswers, hostLease, hostId } = facts;
  const found = hostLease === null ? [] : hostLeaseFindings(hostLease, { ownName, hostId });
  if (!usesPlugin || guardAnswers) return found;
  const text =
    "libvirt's plugin is used, and this host is not in the lockspace: every start and resume fails " +
    'with "No space left on device"';
  const cure =
    'start holdfast-guard, which joins it and keeps it joined; or restart libvirtd, which joins it once';
  return [...found, problem('pluginNotJoined', text, cure)];
}

function hostLeaseFindings(
  { hostName, isRenewed, watchedS }: HostLeaseSeen,
  own: { readonly ownName: string; readonly hostId: number },
): readonly Finding[] {
  if (isSameNode(hostName, own.ownName)) return [];
  const cure = 'give each host a host_id of its own';
  if (isRenewed === true) {
    const found = `host_id ${own.hostId} is in use by another host, ${hostName}, which is alive`;
    return [problem('hostIdInUse', found, `${cure}: this one needs another`)];
  }
  const watched = isRenewed === null ? '' : ` (not renewed in the ${watchedS} s it was watched)`;
  const found = `host_id ${own.hostId} was last used by a host named ${hostName}, not by this one${watched}`;
  return [caution('hostIdUsedBefore', found, `${cure}, unless this host had that name before`)];
}
