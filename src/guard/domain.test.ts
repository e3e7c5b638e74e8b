import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Guest, parseGuest } from './domain.ts';

const UUID = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';

function domain(devices: string, name = 'web', more = ''): string {
  return `<domain type='kvm' id='7'>
  <name>${name}</name>
  <uuid>${UUID}</uuid>${more}
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>${devices}</devices>
</domain>`;
}

function guest(xml: string): Guest {
  const parsed = parseGuest(xml);
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.error);
  return parsed.value;
}

function refusal(xml: string): string {
  const parsed = parseGuest(xml);
  assert.ok(!parsed.ok, 'it is refused');
  return parsed.error;
}

/** As libvirt 9.0 gives them to a hook. */
const FILE = `<disk type='file' device='disk'>
  <driver name='qemu' type='qcow2'/><source file='/srv/a&amp;b.qcow2' index='1'/>
  <backingStore type='file'><format type='raw'/><source file='/srv/base.img'/></backingStore>
  <target dev='vda' bus='virtio'/></disk>`;
const BLOCK = `<disk type='block' device='lun'><source dev='/dev/vg/lv'/><target dev='sda'/>
  <shareable/></disk>`;
const CDROM = `<disk type='file' device='cdrom'><target dev='sdb' bus='sata'/><readonly/></disk>`;
const RBD = `<disk type='network' device='disk'>
  <auth username='admin'><secret type='ceph' uuid='${UUID}'/></auth>
  <source protocol='rbd' name='vms/disk1' index='2'><host name='mon1' port='6789'/>
    <host name='mon2' port='6789'/><config file='/etc/ceph/b.conf'/></source>
  <target dev='vdb' bus='virtio'/></disk>`;
const SNAPSHOT = `<disk type='network' device='disk'>
  <source protocol='rbd' name='vms/disk1'><snapshot name='s1'/></source>
  <target dev='vdc' bus='virtio'/></disk>`;
const NBD = `<disk type='network'><source protocol='nbd' name='vol0' tls='no'>
  <host name='10.0.0.1' port='10809'/></source><target dev='vdd'/></disk>`;
const POOL = `<disk type='volume'><source pool='default' volume='a.img'/><target dev='vde'/></disk>`;
const USER = `<disk type='vhostuser'><source type='unix' path='/run/x.sock'/><target dev='vdf'/></disk>`;

test('disks of each type, and how they are used', () => {
  const { name, uuid, disks, onLockFailure } = guest(
    domain([FILE, BLOCK, CDROM, RBD, SNAPSHOT, NBD, POOL, USER].join('')),
  );
  assert.deepEqual([name, uuid, onLockFailure], ['web', UUID, null]);
  const host = (at: string, port: string) => ({ name: at, port, socket: null });
  const rbd = { kind: 'network', protocol: 'rbd', name: 'vms/disk1' } as const;
  assert.deepEqual(disks, [
    { target: 'vda', source: { kind: 'file', path: '/srv/a&b.qcow2' }, access: 'exclusive' },
    { target: 'sda', source: { kind: 'block', path: '/dev/vg/lv' }, access: 'shared' },
    {
      target: 'vdb',
      source: {
        ...rbd,
        hosts: [host('mon1', '6789'), host('mon2', '6789')],
        config: '/etc/ceph/b.conf',
        snapshot: null,
      },
      access: 'exclusive',
    },
    {
      target: 'vdc',
      source: { ...rbd, hosts: [], config: null, snapshot: 's1' },
      access: 'readonly',
    },
    {
      target: 'vdd',
      source: {
        ...{ kind: 'network', protocol: 'nbd', name: 'vol0', config: null, snapshot: null },
        hosts: [host('10.0.0.1', '10809')],
      },
      access: 'exclusive',
    },
    {
      target: 'vde',
      source: { kind: 'volume', pool: 'default', volume: 'a.img', mode: 'host' },
      access: 'exclusive',
    },
    { target: 'vdf', source: { kind: 'local', type: 'vhostuser' }, access: 'exclusive' },
  ]);
});

test('a status file of libvirtd has the domain within', () => {
  const more = '<on_lockfailure>poweroff</on_lockfailure>';
  const status = `<domstatus state='running' pid='7'>${domain(FILE, 'db', more)}</domstatus>`;
  const { name, disks, onLockFailure } = guest(status);
  assert.deepEqual([name, disks.length, onLockFailure], ['db', 1, 'poweroff']);
});

test('what is odd is refused, in one line', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['<network/>', /describes no domain: its root is <network>/],
    ['<domstatus/>', /its root is <domstatus>/],
    [domain('', ''), /the name of the domain is empty/],
    [domain('', 'a\nb'), /the name of the domain has a control character: "a\?b"/],
    [domain('', 'x'.repeat(300)), /is 300 bytes long, more than 255/],
    [domain('').replace(UUID, '../../etc'), /has no UUID but "\.\.\/\.\.\/etc"/],
    [domain(FILE.replace("dev='vda'", '')), /the target of a disk is empty/],
    [domain(FILE.replace('/srv/a', '/srv/&#10;a')), /source of disk vda has a control character/],
    [domain(NBD.replace("'nbd'", "'N BD'")), /source of disk vdd has the protocol "N BD"/],
    [domain(NBD.replace('10.0.0.1', '&#9;')), /source of disk vdd has a control character/],
    [domain(POOL.replace("pool='default'", '')), /source of disk vde is empty/],
    [`<!DOCTYPE domain SYSTEM "http://x/">${domain('')}`, /document type declaration/],
    [domain(FILE.replace('/srv/a', 'srv/a')), /source of disk vda is no absolute path: "srv/],
    ['<domain>&x;</domain>', /cannot be read: .*undefined entity/],
  ];
  for (const [xml, sentence] of cases) {
    const said = refusal(xml);
    assert.match(said, sentence);
    assert.doesNotMatch(said, /\n/);
  }
});
