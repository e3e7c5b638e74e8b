import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type GuardConfig, readGuardConfig } from './config.ts';

function read(own: string, plugin: string | null = null, qemu = ''): GuardConfig | string {
  const config = readGuardConfig({
    qemu: { path: 'qemu.conf', text: qemu },
    plugin: { path: 'qemu-sanlock.conf', text: plugin },
    own: { path: 'guard.conf', text: own },
  });
  return config.ok ? config.value : config.error;
}

test('what the plugin is told counts for the guard as well, and its own file before it', () => {
  const plugin =
    'auto_disk_leases = 1\nhost_id = 2\ndisk_lease_dir = "/srv/l"\nio_timeout = 5\nuser = "sanlock"\n';
  const config = read('host_id = 7\non_conflict = "warn"\n', plugin, 'lock_manager = "sanlock"\n');
  assert.deepEqual(config, {
    ...{ hostId: 7, leaseDir: '/srv/l', ioTimeoutS: 5, user: 'sanlock', group: null },
    ...{ onConflict: 'warn', onReconnect: 'kill' },
    naming: {
      ...{ network: 'uri', clusters: new Map(), readonlyIsShared: false, isBesidePlugin: true },
    },
  });
});

test('the guard alone', () => {
  const config = read(
    'host_id = 1\nnetwork_names = "source-name"\nreadonly_disks = "shared"\n' +
      'clusters = [ "rbd:mon1=ceph-a", "nbd:10.0.0.1:10809=store", "rbd:/etc/ceph/b.conf=b" ]\n',
  );
  assert.ok(typeof config !== 'string', `${config}`);
  assert.equal(config.leaseDir, '/var/lib/libvirt/sanlock');
  assert.equal(config.ioTimeoutS, null);
  assert.deepEqual(config.naming, {
    ...{ network: 'sourceName', readonlyIsShared: true, isBesidePlugin: false },
    clusters: new Map([
      ['rbd:mon1', 'ceph-a'],
      ['nbd:10.0.0.1:10809', 'store'],
      ['rbd:/etc/ceph/b.conf', 'b'],
    ]),
  });
});

test('a plugin that makes no leases of its own leaves all disks to the guard', () => {
  const config = read('host_id = 1\n', 'auto_disk_leases = 0\n', 'lock_manager = "sanlock"\n');
  assert.ok(typeof config !== 'string' && !config.naming.isBesidePlugin);
});

test('owners of lease files by name or number', () => {
  const owners = (lines: string) => {
    const config = read(`host_id = 1\n${lines}`);
    return typeof config === 'string' ? config : `${config.user} ${config.group}`;
  };
  assert.equal(owners('user = "sanlock"\ngroup = 114\n'), 'sanlock +114');
  assert.equal(owners('user = 0\n'), '+0 null');
  assert.match(owners('user = ""\n'), /user is "", wanted a name or a number/);
  assert.match(owners('user = -1\n'), /user is -1, wanted a name or a number/);
});

test('what is wrong is said with its file and what is wanted', () => {
  assert.match(`${read('')}`, /^no host_id is set in guard\.conf or qemu-sanlock\.conf: give each/);
  assert.equal(
    read('host_id = 2001\n'),
    'guard.conf: host_id is 2001, wanted a whole number, 1 to 2000',
  );
  assert.equal(
    read('', 'host_id = "x"\n'),
    'qemu-sanlock.conf: host_id is "x", wanted a whole number, 1 to 2000',
  );
  assert.equal(read('hostid = 1\n'), 'guard.conf: there is no setting hostid');
  assert.match(`${read('host_id 1\n')}`, /^guard\.conf, line 1: found "1", wanted "="/);
  assert.match(`${read('host_id = 1\nnetwork_names = "x"\n')}`, /wanted "uri" or "source-name"/);
  assert.match(`${read('host_id = 1\nclusters = [ "mon1" ]\n')}`, /a list of texts such as/);
  assert.match(`${read('host_id = 1\ndisk_lease_dir = "srv"\n')}`, /wanted an absolute path/);
});
