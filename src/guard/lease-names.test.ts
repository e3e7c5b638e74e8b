import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fail, ok } from '../base/result.ts';
import type { Access, DiskSource, NetworkHost } from './domain.ts';
import { type HostFacts, leasesOf, type Naming } from './lease-names.ts';

const NAMING: Naming = {
  network: 'uri',
  clusters: new Map(),
  readonlyIsShared: false,
  isBesidePlugin: false,
};
const LINKS: ReadonlyMap<string, string> = new Map([['/srv/link.img', '/data/a.img']]);
const DEVICES: ReadonlyMap<string, string> = new Map([
  ['/dev/vg/lv', 'lvm:U1'],
  ['/dev/mapper/vg-lv', 'lvm:U1'],
]);
/** The key itself in the place of its digest. */
const FACTS: HostFacts = {
  path: (path) => ({
    realPath: LINKS.get(path) ?? path,
    deviceKey: DEVICES.get(path) ?? null,
  }),
  volume: ({ pool, volume }) =>
    pool === 'images' ? ok({ kind: 'file', path: `/srv/${volume}` }) : fail('there is none'),
  md5: (text) => `<${text}>`,
};

function keys(
  source: DiskSource,
  naming: Partial<Naming> = {},
  access: Access = 'exclusive',
): string {
  const found = leasesOf([{ target: 'vda', source, access }], { ...NAMING, ...naming }, FACTS);
  if (!found.ok) return `refused: ${found.error}`;
  return found.value.map(({ key, mode }) => (mode === 'shared' ? `${key} shared` : key)).join(', ');
}

function volume(pool: string, name = 'a.img'): DiskSource {
  return { kind: 'volume', pool, volume: name, mode: 'host' };
}

function network(
  protocol: string,
  name: string,
  hosts: readonly Partial<NetworkHost>[] = [],
  config: string | null = null,
): DiskSource {
  const all = hosts.map((host) => ({ name: '', port: null, socket: null, ...host }));
  return { kind: 'network', protocol, name, hosts: all, config, snapshot: null };
}

test('a path has two names: as it is written, and what is behind it', () => {
  assert.equal(keys({ kind: 'file', path: '/data/a.img' }), '/data/a.img');
  assert.equal(keys({ kind: 'file', path: '/srv/link.img' }), '/srv/link.img, /data/a.img');
  assert.equal(keys({ kind: 'block', path: '/dev/vg/lv' }), '/dev/vg/lv, lvm:U1');
  assert.equal(keys({ kind: 'block', path: '/dev/mapper/vg-lv' }), '/dev/mapper/vg-lv, lvm:U1');
  assert.equal(keys({ kind: 'block', path: '/dev/sdz' }), '/dev/sdz');
});

test('beside the plugin only what it does not take', () => {
  const beside = { isBesidePlugin: true };
  assert.equal(keys({ kind: 'file', path: '/data/a.img' }, beside), '');
  assert.equal(keys({ kind: 'file', path: '/srv/link.img' }, beside), '/data/a.img');
  assert.equal(keys({ kind: 'block', path: '/dev/vg/lv' }, beside), 'lvm:U1');
  assert.equal(keys(volume('images'), beside), '');
  assert.equal(keys(network('rbd', 'p/i'), beside), 'rbd:default/p/i');
  const readOnly = { ...beside, readonlyIsShared: true };
  const image = { kind: 'file', path: '/data/a.img' } as const;
  assert.equal(
    keys(image, readOnly, 'readonly'),
    '/data/a.img shared',
    'it takes no read-only disk',
  );
});

test('network disks: by what is the same on every host', () => {
  const mon = { name: 'mon1', port: '6789' };
  assert.equal(keys(network('rbd', 'vms/disk1', [mon])), 'rbd:default/vms/disk1');
  assert.equal(
    keys(network('rbd', 'vms/disk1', [mon, { name: 'mon2' }]), {
      clusters: new Map([['rbd:mon2', 'ceph-a']]),
    }),
    'rbd:ceph-a/vms/disk1',
  );
  assert.equal(
    keys(network('rbd', 'vms/disk1', [], '/etc/ceph/b.conf'), {
      clusters: new Map([['rbd:/etc/ceph/b.conf', 'ceph-b']]),
    }),
    'rbd:ceph-b/vms/disk1',
  );
  assert.equal(keys(network('gluster', 'vol/dir/a.img', [mon])), 'gluster:default/vol/dir/a.img');
  const portal = { name: '10.0.0.9', port: '3260' };
  assert.equal(
    keys(network('iscsi', 'IQN.2013-07.com.example:x/2', [portal])),
    'iscsi:iqn.2013-07.com.example:x/2',
  );
  assert.equal(keys(network('iscsi', 'iqn.a:x', [portal])), 'iscsi:iqn.a:x/0');
  assert.equal(keys(network('nbd', 'vol0', [{ name: 'Srv', port: null }])), 'nbd:srv:10809/vol0');
  assert.equal(keys(network('nbd', '', [{ name: 'fe80::1', port: '1' }])), 'nbd:[fe80::1]:1/');
  assert.equal(keys(network('nbd', 'v', [{ socket: '/run/n.sock' }])), 'nbd:unix:/run/n.sock/v');
  assert.equal(
    keys(network('nbd', 'vol0', [{ name: '10.0.0.1', port: '10809' }]), {
      clusters: new Map([['nbd:10.0.0.1:10809', 'store']]),
    }),
    'nbd:store/vol0',
  );
  assert.equal(keys(network('https', '/a.img', [{ name: 'h' }])), 'https:h:443/a.img');
  assert.equal(keys(network('rbd', 'p/i'), { network: 'sourceName' }), 'p/i');
});

test('shared, read-only, and what no other host can have', () => {
  const file: DiskSource = { kind: 'file', path: '/data/a.img' };
  assert.equal(keys(file, {}, 'shared'), '/data/a.img shared');
  assert.equal(keys(file, {}, 'readonly'), '');
  assert.equal(keys(file, { readonlyIsShared: true }, 'readonly'), '/data/a.img shared');
  assert.equal(keys({ kind: 'local', type: 'nvme' }), '');
});

test('volumes of pools are what the pool says, or refused', () => {
  assert.equal(keys(volume('images')), '/srv/a.img');
  assert.equal(
    keys(volume('gone', 'a')),
    'refused: disk vda is volume a of pool gone, and there is none',
  );
});

test('a disk without a name is refused: it would have no lease', () => {
  assert.match(keys(network('nbd', 'vol0')), /^refused: disk vda of protocol nbd has no server$/);
  assert.match(keys(network('rbd', '')), /of protocol rbd has no name/);
  assert.match(keys(network('iscsi', 'iqn/1/2')), /which is no target, or target\/LUN/);
});

test('a lease that two disks need is needed once, exclusively if one of them does', () => {
  const source: DiskSource = { kind: 'file', path: '/data/a.img' };
  const disks = (['shared', 'exclusive', 'shared'] as const).map((access, n) => ({
    target: `vd${n}`,
    source,
    access,
  }));
  const found = leasesOf(disks, NAMING, FACTS);
  assert.deepEqual(found, {
    ok: true,
    value: [{ name: '</data/a.img>', mode: 'exclusive', key: '/data/a.img', target: 'vd1' }],
  });
});
