import { unreachable } from '../../base/assert.ts';
import { caution, type Finding, problem } from '../../base/finding.ts';
import { DEFAULT_LEASE_DIR } from '../config.ts';
import { type FstabEntry, isAbsent, type Mount } from './mounts.ts';

/** Mode bits and owner of a file or a directory. */
export interface Permissions {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Who opens the leases. */
export interface DaemonUser {
  readonly name: string;
  readonly uid: number;
  readonly gids: readonly number[];
  /** Permissions do not count for it: CAP_DAC_OVERRIDE, as root has it. */
  readonly overrides: boolean;
}

/** `silent`: the file system does not answer. `denied`: not even root may look. */
export type PathSeen =
  | { readonly kind: 'absent' | 'silent' | 'denied' | 'odd' }
  | { readonly kind: 'there'; readonly permissions: Permissions };

export interface LeaseDirFacts {
  readonly path: string;
  /** 'odd': no directory. */
  readonly dir: PathSeen;
  /** Of the lockspace; 'odd': no plain file. */
  readonly lockspaceFile: PathSeen;
  /** null: not known. */
  readonly mount: Mount | null;
  readonly fstab: FstabEntry | null;
  /** Of the sanlock that runs, or would; null: not known. */
  readonly daemon: DaemonUser | null;
  /** Whether root may make files there, as the guard does; null: not known. */
  readonly isWritable: boolean | null;
  /** As configured: whose the files become that are made; null: root's. */
  readonly user: string | null;
  readonly group: string | null;
}

const X = 1;
const RW = 6;

/** Whether the leases are where all hosts, and the daemon, can use them. */
export function leaseDirFindings(facts: LeaseDirFacts): readonly Finding[] {
  return [...placeFindings(facts), ...permissionFindings(facts), ...ownerFindings(facts)];
}

function placeFindings(facts: LeaseDirFacts): readonly Finding[] {
  const { path, dir, mount, fstab } = facts;
  if (fstab !== null && mount !== null && isAbsent(fstab, mount)) {
    const found = `${fstab.source} is not mounted at ${fstab.mountPoint}, where the leases should be`;
    const cure = `mount ${fstab.mountPoint}; leases that were made meanwhile are this host's alone`;
    return [problem('leaseDirNotMounted', found, cure)];
  }
  const of = (kind: string, found: string, cure: string) => [
    problem(kind, `${path} ${found}`, cure),
  ];
  const elsewhere = 'mount the share, make the directory, or set disk_lease_dir to where it is';
  switch (dir.kind) {
    case 'absent':
      return of('leaseDirMissing', 'is not there: leases can neither be made nor found', elsewhere);
    case 'odd':
      return of('leaseDirMissing', 'is not a directory', elsewhere);
    case 'silent':
      return of('leaseDirSilent', 'does not answer: its file system hangs', 'see its server');
    case 'denied':
      return of('leaseDirDenied', 'may not be looked at, even by root', ROOT_CURE);
    case 'there':
      return sharedFindings(path, mount);
    default:
      return unreachable(dir);
  }
}

const ROOT_CURE = 'export it to this host with no_root_squash: the guard makes lease files as root';

const LOCAL: ReadonlySet<string> = new Set([
  ...['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'zfs', 'f2fs', 'jfs', 'reiserfs', 'bcachefs'],
  ...['tmpfs', 'ramfs', 'overlay', 'aufs', 'squashfs', 'vfat'],
]);
const SHARED: ReadonlySet<string> = new Set([
  ...['nfs', 'nfs4', 'gfs2', 'ocfs2', 'ceph', 'fuse.ceph', 'fuse.ceph-fuse'],
  ...['fuse.glusterfs', 'lustre', 'gpfs', 'beegfs', 'autofs'],
]);

function sharedFindings(path: string, mount: Mount | null): readonly Finding[] {
  if (mount === null || SHARED.has(mount.fsType)) return [];
  const place = `${path} is on ${mount.fsType} (${mount.source})`;
  if (LOCAL.has(mount.fsType)) {
    const found = `${place}, which this host has for itself: no other host sees its leases`;
    const cure = 'put it on NFS, GlusterFS, CephFS, GFS2 or OCFS2, unless there is one host only';
    return [caution('leaseDirLocal', found, cure)];
  }
  const found = `${place}, of which it is not known whether hosts share it, and write it at once`;
  const cure = 'use NFS, GlusterFS, CephFS, GFS2 or OCFS2, or test it with two hosts';
  return [caution('leaseDirUnknown', found, cure)];
}

/** Whether permissions let that user do all that. @param wanted bits as of the owner: 4, 2, 1 */
export function mayUse({ mode, uid, gid }: Permissions, user: DaemonUser, wanted: number): boolean {
  if (user.overrides) return true;
  const shift = user.uid === uid ? 6 : user.gids.includes(gid) ? 3 : 0;
  return ((mode >> shift) & wanted) === wanted;
}

function permissionFindings(facts: LeaseDirFacts): readonly Finding[] {
  const { path, dir, lockspaceFile, daemon, isWritable } = facts;
  const found: Finding[] = [];
  if (isWritable === false) {
    const text = `root cannot make files in ${path}`;
    found.push(problem('leaseDirNotWritable', text, `${ROOT_CURE}; or it is mounted read-only`));
  }
  if (daemon === null || dir.kind !== 'there') return found;
  if (!mayUse(dir.permissions, daemon, X)) {
    const text = `sanlock runs as ${daemon.name}, which may not enter ${path}`;
    found.push(problem('leaseDirNotForDaemon', text, enterCure(daemon, path)));
  }
  const { kind } = lockspaceFile;
  if (kind === 'odd') {
    const text = `the lockspace in ${path} is no plain file`;
    found.push(problem('lockspaceOdd', text, 'move it away while no guest runs on any host'));
  } else if (kind === 'there' && !mayUse(lockspaceFile.permissions, daemon, RW)) {
    const text = `sanlock runs as ${daemon.name}, which may not read and write the lockspace in ${path}`;
    const cure = `chown ${daemon.name} ${path}/*, on one host`;
    found.push(problem('lockspaceNotForDaemon', text, cure));
  }
  return found;
}

/** Where Debian's package would set its own directory back at the next upgrade, dpkg is told. */
function enterCure({ name }: DaemonUser, path: string): string {
  return path === DEFAULT_LEASE_DIR
    ? `dpkg-statoverride --update --add ${name} ${name} 0700 ${path}`
    : `chown ${name} ${path}, on one host`;
}

/** Files that are made from now on. */
function ownerFindings({ daemon, user, group }: LeaseDirFacts): readonly Finding[] {
  if (daemon === null || daemon.overrides || user !== null || group !== null) return [];
  const found = `sanlock runs as ${daemon.name}, and lease files are made for root: it cannot use them`;
  const cure = `set user = "${daemon.name}" and group = "${daemon.name}" in guard.conf or qemu-sanlock.conf`;
  return [problem('leaseOwnerUnset', found, cure)];
}
