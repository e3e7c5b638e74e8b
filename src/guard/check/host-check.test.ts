import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readGuardConfig } from '../config.ts';
import { hookScript } from '../hook-script.ts';
import { type HostSeen, hostFindings } from './host-check.ts';

const script = hookScript({ node: '/n', hook: '/h', socket: '/s', nodeArguments: [] });
const TEXT = script.ok ? script.value : '';
const PATH = '/srv/leases/__LIBVIRT__DISKS__';

function seen(own: string, qemu = '', more: Partial<HostSeen> = {}): HostSeen {
  const files = {
    qemu: { path: 'qemu.conf', text: qemu },
    plugin: { path: 'qemu-sanlock.conf', text: 'auto_disk_leases = 1\nhost_id = 1\n' },
    own: { path: 'guard.conf', text: own },
  };
  const config = readGuardConfig(files);
  const lockspace = { hostId: 1, path: PATH, phase: 'joined' } as const;
  const owner = { mode: 0o40700, uid: 0, gid: 0 };
  const mount = { mountPoint: '/srv', fsType: 'nfs4', source: 's:/a', options: ['rw'] };
  const report = { hostId: 1, leaseDir: '/srv/leases', lockspaceCode: 0, guests: [] };
  return {
    ...{ files, config: config.ok ? config.value : null, unknownAccount: null },
    hook: {
      ...{ path: '/hook', changedMs: 1, wanted: TEXT, daemons: [] },
      hook: { kind: 'file', text: TEXT, mode: 0o755, uid: 0 },
    },
    ...{ service: { kind: 'report', report }, programs: [], guests: [], cronJobs: [] },
    sanlock: {
      ...{ hostId: 1, lockspacePath: PATH, usesPlugin: true, guardAnswers: true, hostLease: null },
      sanlock: { kind: 'answers', hostName: 'a', usesWatchdog: true, lockspace },
    },
    leaseDir: {
      ...{ path: '/srv/leases', dir: { kind: 'there', permissions: owner }, mount, fstab: null },
      ...{ lockspaceFile: { kind: 'absent' }, daemon: null, isWritable: true },
      ...{ user: null, group: null },
    },
    confinement: { appArmor: [], seLinux: null, usesPlugin: true, fsType: 'nfs4' },
    namingDigest: '0123456789ab',
    ...more,
  };
}

test('a host on which nothing is wrong, and what its hosts must have alike', () => {
  const findings = hostFindings(seen('', 'lock_manager = "sanlock"\n'));
  assert.deepEqual(
    findings.map(({ kind }) => kind),
    ['sameOnAllHosts'],
  );
  assert.match(
    `${findings[0]?.found}`,
    /network_names \(uri\), clusters \(0\) and readonly_disks \(none\).* is 0123456789ab$/,
  );
});

test('what is wrong in each of its parts is found, what keeps the guard from starting first', () => {
  const all = seen('', 'lock_manager = "sanlock"\n', {
    unknownAccount: 'there is no user x',
    service: { kind: 'absent' },
    cronJobs: [{ path: '/c', text: 'virt-sanlock-cleanup\n' }],
    programs: [{ name: 'libvirtd', startedMs: 1, reads: [{ path: '/f', changedMs: 99_999 }] }],
  });
  const { leaseDir, sanlock } = all;
  assert.ok(leaseDir !== null && sanlock !== null);
  const mount = { mountPoint: '/srv', fsType: 'nfs4', source: 's:/a', options: ['soft'] };
  const findings = hostFindings({
    ...all,
    hook: { ...all.hook, hook: { kind: 'absent' } },
    leaseDir: { ...leaseDir, dir: { kind: 'absent' }, mount },
    sanlock: { ...sanlock, sanlock: { kind: 'absent' } },
    confinement: { ...all.confinement, seLinux: new Map([['virt_use_sanlock', false]]) },
  });
  assert.deepEqual(
    findings.map(({ kind }) => kind),
    [
      ...['accountUnknown', 'leaseDirMissing', 'nfsSoft', 'sanlockAbsent', 'hookAbsent'],
      ...['serviceAbsent', 'confNotRead', 'seLinuxBoolean', 'cleanupRuns', 'sameOnAllHosts'],
    ],
  );
});

test('without a configuration the rest is still looked at', () => {
  const findings = hostFindings(seen('host id\n', '', { sanlock: null, leaseDir: null }));
  assert.deepEqual(
    findings.map(({ kind }) => kind),
    ['confWrong', 'autoLeasesWithoutPlugin'],
  );
});
