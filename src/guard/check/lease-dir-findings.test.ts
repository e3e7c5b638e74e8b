import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type DaemonUser,
  type LeaseDirFacts,
  leaseDirFindings,
  mayUse,
} from './lease-dir-findings.ts';
import { nfsFindings } from './nfs-findings.ts';

const SANLOCK: DaemonUser = { name: 'sanlock', uid: 102, gids: [109, 6], overrides: false };
const ROOT: DaemonUser = { name: 'root', uid: 0, gids: [0], overrides: true };
const NFS = { mountPoint: '/srv', fsType: 'nfs4', source: 'store:/a', options: ['rw', 'hard'] };
const OWN = { mode: 0o40700, uid: 102, gid: 109 };
const FACTS: LeaseDirFacts = {
  ...{ path: '/srv/leases', dir: { kind: 'there', permissions: OWN }, mount: NFS, fstab: null },
  lockspaceFile: { kind: 'there', permissions: { mode: 0o100600, uid: 102, gid: 109 } },
  ...{ daemon: SANLOCK, isWritable: true, user: 'sanlock', group: 'sanlock' },
};

function kinds(facts: Partial<LeaseDirFacts>): readonly string[] {
  return leaseDirFindings({ ...FACTS, ...facts }).map(({ kind, weight }) => `${weight} ${kind}`);
}

test('a directory that all hosts share, and the daemon may use', () => {
  assert.deepEqual(kinds({}), []);
  assert.deepEqual(kinds({ lockspaceFile: { kind: 'absent' } }), []);
  assert.deepEqual(kinds({ daemon: null, mount: null }), []);
  for (const fsType of ['nfs', 'gfs2', 'ocfs2', 'ceph', 'fuse.glusterfs']) {
    assert.deepEqual(kinds({ mount: { ...NFS, fsType } }), [], fsType);
  }
});

test('one that is not there, hangs, or is not mounted', () => {
  const not = { lockspaceFile: { kind: 'absent' } } as const;
  assert.deepEqual(kinds({ ...not, dir: { kind: 'absent' } }), ['problem leaseDirMissing']);
  assert.deepEqual(kinds({ ...not, dir: { kind: 'odd' } }), ['problem leaseDirMissing']);
  assert.deepEqual(kinds({ ...not, dir: { kind: 'silent' } }), ['problem leaseDirSilent']);
  assert.deepEqual(kinds({ ...not, dir: { kind: 'denied' } }), ['problem leaseDirDenied']);
  const fstab = { source: 'store:/a', mountPoint: '/srv', fsType: 'nfs', options: [] };
  const root = { mountPoint: '/', fsType: 'ext4', source: '/dev/sda1', options: [] };
  assert.deepEqual(kinds({ fstab, mount: root }), ['problem leaseDirNotMounted']);
  assert.deepEqual(kinds({ fstab }), []);
});

test('one that no other host sees, or maybe none', () => {
  for (const fsType of ['ext4', 'xfs', 'btrfs', 'tmpfs', 'overlay']) {
    assert.deepEqual(kinds({ mount: { ...NFS, fsType } }), ['caution leaseDirLocal'], fsType);
  }
  assert.deepEqual(kinds({ mount: { ...NFS, fsType: '9p' } }), ['caution leaseDirUnknown']);
});

test('the way Debian ships it: root has it alone, and sanlock is another user', () => {
  const shipped = { mode: 0o40700, uid: 0, gid: 0 };
  const dir = { kind: 'there', permissions: shipped } as const;
  const as = { dir, lockspaceFile: { kind: 'absent' }, user: null, group: null } as const;
  assert.deepEqual(kinds(as), ['problem leaseDirNotForDaemon', 'problem leaseOwnerUnset']);
  assert.deepEqual(kinds({ ...as, daemon: ROOT }), []);
  assert.deepEqual(kinds({ ...as, group: 'sanlock' }), ['problem leaseDirNotForDaemon']);
  const [first, second] = leaseDirFindings({ ...FACTS, ...as });
  assert.equal(first?.found, 'sanlock runs as sanlock, which may not enter /srv/leases');
  assert.equal(first?.cure, 'chown sanlock /srv/leases, on one host');
  const [own] = leaseDirFindings({ ...FACTS, ...as, path: '/var/lib/libvirt/sanlock' });
  assert.match(`${own?.cure}`, /^dpkg-statoverride --update --add sanlock sanlock 0700 \/var\/lib/);
  assert.match(`${second?.cure}`, /^set user = "sanlock" and group = "sanlock" in guard\.conf/);
});

test('files that the daemon cannot use, and a share that root cannot write', () => {
  const root = { mode: 0o100600, uid: 0, gid: 0 };
  const lockspaceFile = { kind: 'there', permissions: root } as const;
  assert.deepEqual(kinds({ lockspaceFile }), ['problem lockspaceNotForDaemon']);
  assert.deepEqual(kinds({ lockspaceFile: { kind: 'odd' } }), ['problem lockspaceOdd']);
  assert.deepEqual(kinds({ isWritable: false }), ['problem leaseDirNotWritable']);
});

test('permissions as the kernel takes them', () => {
  const may = (mode: number, uid: number, gid: number, wanted: number) =>
    mayUse({ mode, uid, gid }, SANLOCK, wanted);
  assert.ok(may(0o600, 102, 0, 6) && !may(0o060, 102, 109, 6), 'the owner by his bits alone');
  assert.ok(may(0o660, 0, 6, 6) && !may(0o606, 0, 6, 6), 'the group by its own');
  assert.ok(may(0o006, 0, 0, 6) && !may(0o005, 0, 0, 6));
  assert.ok(mayUse({ mode: 0, uid: 1, gid: 1 }, ROOT, 7));
});

function nfs(mounted: readonly string[], entered: readonly string[] | null): readonly string[] {
  const mount = { ...NFS, options: mounted };
  const fstab = entered && { source: 's', mountPoint: '/srv', fsType: 'nfs', options: entered };
  return nfsFindings(mount, fstab, '/srv/leases').map(({ kind, weight }) => `${weight} ${kind}`);
}

test('options of NFS that hang the boot, or lie', () => {
  const bounded = ['_netdev', 'x-systemd.mount-timeout=90'];
  assert.deepEqual(nfs(['rw', 'hard', 'local_lock=none'], bounded), []);
  assert.deepEqual(nfs(['rw', 'soft'], null), ['caution nfsSoft']);
  assert.deepEqual(nfs(['rw', 'softerr'], null), ['caution nfsSoft']);
  assert.deepEqual(nfs(['rw', 'nolock', 'local_lock=all'], null), ['caution nfsLocalLocks']);
  assert.deepEqual(nfs(['rw', 'local_lock=posix'], null), ['caution nfsLocalLocks']);
  assert.deepEqual(nfs(['ro'], null), ['problem nfsReadOnly']);
  assert.deepEqual(nfs([], ['bg', '_netdev']), ['caution nfsLate']);
  assert.deepEqual(nfs([], ['nofail', '_netdev']), ['caution nfsLate']);
  assert.deepEqual(nfs([], ['noauto', ...bounded]), ['caution nfsNoauto']);
  assert.deepEqual(nfs([], ['noauto', 'x-systemd.automount', ...bounded]), []);
  assert.deepEqual(nfs([], ['x-systemd.automount', 'retry=1']), ['caution nfsNetdev']);
  assert.deepEqual(nfs([], ['defaults']), ['note nfsHangsBoot']);
  const other = { ...NFS, fsType: 'fuse.glusterfs', options: ['soft', 'ro'] };
  assert.deepEqual(nfsFindings(other, null, '/srv'), []);
});
