import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fail } from '../base/result.ts';
import { parseGuest } from './domain.ts';
import { leasesOf, type Naming } from './lease-names.ts';

/**
 * Disks as libvirt 9.0 and 11.3 give them to the `start` hook, and what their leases are named by.
 * Exact: another key is another lease, and hosts of two releases would not exclude each other.
 */
const NAMING: Naming = {
  network: 'uri',
  clusters: new Map(),
  readonlyIsShared: false,
  isBesidePlugin: false,
};

function keysOf(disk: string, naming: Partial<Naming> = {}): string {
  const guest = parseGuest(
    `<domain type='qemu' id='1'><name>g</name><uuid>6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10</uuid>
    <devices>${disk}</devices></domain>`,
  );
  assert.ok(guest.ok, guest.ok ? '' : guest.error);
  assert.equal(guest.value.disks.length, 1);
  const leases = leasesOf(
    guest.value.disks,
    { ...NAMING, ...naming },
    {
      path: (path) => ({ realPath: path, deviceKey: null }),
      volume: () => fail('pools are not looked up here'),
      md5: (text) => text,
    },
  );
  if (!leases.ok) return `refused: ${leases.error}`;
  return leases.value.map(({ key, mode }) => `${mode} ${key}`).join(', ');
}

/** With what libvirt adds to each disk before it calls the hook. */
function network(source: string, more = ''): string {
  return `<disk type='network' device='disk'>
      <driver name='qemu' type='raw'/>
      ${source}
      <target dev='vda' bus='virtio'/>${more}
      <alias name='virtio-disk0'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x0'/>
    </disk>`;
}

function file(source: string, more = ''): string {
  return network(source, more).replace("type='network'", "type='file'");
}

test('rbd: pool, namespace and image; monitors and configurations differ from host to host', () => {
  const image = `<source protocol='rbd' name='vms/disk1' index='1'>
        <host name='mon1.example' port='6789'/><host name='10.0.0.2'/>
        <config file='/etc/ceph/b.conf'/>
      </source>`;
  assert.equal(keysOf(network(image)), 'exclusive rbd:default/vms/disk1');
  assert.equal(keysOf(network(image, '<shareable/>')), 'shared rbd:default/vms/disk1');
  assert.equal(keysOf(network(image), { network: 'sourceName' }), 'exclusive vms/disk1');
  const clusters = (place: string) => ({ clusters: new Map([[place, 'ceph-a']]) });
  for (const place of ['rbd:/etc/ceph/b.conf', 'rbd:mon1.example', 'rbd:10.0.0.2']) {
    assert.equal(keysOf(network(image), clusters(place)), 'exclusive rbd:ceph-a/vms/disk1', place);
  }
  const bare = `<source protocol='rbd' name='vms/ns1/disk1' index='1'/>`;
  assert.equal(keysOf(network(bare)), 'exclusive rbd:default/vms/ns1/disk1');
  const snapshot = `<source protocol='rbd' name='vms/disk1' index='1'>
        <host name='mon1'/><snapshot name='s1'/></source>`;
  assert.equal(keysOf(network(snapshot)), '', 'nobody can write a snapshot');
  assert.equal(
    keysOf(network(snapshot), { readonlyIsShared: true }),
    'shared rbd:default/vms/disk1',
  );
});

test('iscsi: target and LUN; portals are ways to them, and names of targets have no case', () => {
  const lun = (name: string, portal: string) =>
    `<source protocol='iscsi' name='${name}' index='1'>
        <host name='${portal}' port='3260'/></source>`;
  const wanted = 'exclusive iscsi:iqn.2013-07.com.example:iscsi-nopool/2';
  assert.equal(keysOf(network(lun('iqn.2013-07.com.example:Iscsi-Nopool/2', 'a'))), wanted);
  assert.equal(keysOf(network(lun('iqn.2013-07.com.example:iscsi-nopool/02', 'b'))), wanted);
  assert.equal(
    keysOf(network(lun('iqn.2013-07.com.example:iscsi-nopool/0', 'a'))),
    'exclusive iscsi:iqn.2013-07.com.example:iscsi-nopool/0',
    'libvirt adds the LUN where there is none',
  );
});

test('gluster and sheepdog: their names within the cluster, whichever server is asked', () => {
  const image = `<source protocol='gluster' name='Volume1/Image' index='1'>
        <host name='g1' port='6000'/><host transport='unix' socket='/run/g.sock'/></source>`;
  assert.equal(keysOf(network(image)), 'exclusive gluster:default/Volume1/Image');
  const slash = image.replace('Volume1', '/Volume1').replace("'g1'", "'g2'");
  assert.equal(keysOf(network(slash)), 'exclusive gluster:default/Volume1/Image');
  assert.equal(
    keysOf(network(image), { clusters: new Map([['gluster:g1', 'east']]) }),
    'exclusive gluster:east/Volume1/Image',
  );
  const dog = `<source protocol='sheepdog' name='image' index='1'>
        <host name='s1' port='6000'/></source>`;
  assert.equal(keysOf(network(dog)), 'exclusive sheepdog:default/image');
});

test('nbd: server, port and export; TLS is a way to them', () => {
  const over = (name: string, host: string, tls = 'no') =>
    network(`<source protocol='nbd'${name} tls='${tls}' index='1'><host ${host}/></source>`);
  const wanted = 'exclusive nbd:nbd.example:10809/vol0';
  assert.equal(keysOf(over(` name='vol0'`, `name='Nbd.example' port='10809'`)), wanted);
  assert.equal(keysOf(over(` name='vol0'`, `name='nbd.example'`, 'yes')), wanted);
  assert.equal(
    keysOf(over('', `name='fe80::1' port='10810'`)),
    'exclusive nbd:[fe80::1]:10810/',
    'the default export has no name',
  );
  assert.equal(
    keysOf(over(` name='vol0'`, `transport='unix' socket='/run/nbd.sock'`)),
    'exclusive nbd:unix:/run/nbd.sock/vol0',
  );
});

test('http, ftp, ssh, nfs, vxhs: server and path, with the port that libvirt fills in', () => {
  const of = (protocol: string, name: string, rest = `<host name='w.example'/>`) =>
    keysOf(network(`<source protocol='${protocol}' name='${name}' index='1'>${rest}</source>`));
  assert.equal(of('http', 'a/b.img'), 'exclusive http:w.example:80/a/b.img');
  const more = `<host name='w.example' port='443'/><ssl verify='no'/><timeout seconds='6'/>`;
  assert.equal(of('https', 'a/b.img', more), 'exclusive https:w.example:443/a/b.img');
  const query = `a/b.img' query='x=1&amp;y=2`;
  assert.equal(of('https', query), 'exclusive https:w.example:443/a/b.img');
  assert.equal(of('ftp', 'a.img'), 'exclusive ftp:w.example:21/a.img');
  assert.equal(of('ftps', 'a.img'), 'exclusive ftps:w.example:990/a.img');
  assert.equal(of('tftp', 'a.img'), 'exclusive tftp:w.example:69/a.img');
  const keys = `<host name='w.example' port='22'/><knownHosts path='/k'/><identity username='u'/>`;
  assert.equal(of('ssh', '/srv/a.img', keys), 'exclusive ssh:w.example:22/srv/a.img');
  const as = `<host name='w.example'/><identity user='nobody' group='nogroup'/>`;
  assert.equal(of('nfs', '/export/a.img', as), 'exclusive nfs:w.example/export/a.img');
  const uuid = 'eb90327c-8302-4725-9e1b-4e85ed4dc251';
  assert.equal(of('vxhs', uuid), `exclusive vxhs:w.example:9999/${uuid}`);
});

test('nvme, vhostuser and vhostvdpa have no name on other hosts, and no lease', () => {
  const local = [
    `<disk type='nvme' device='disk'><driver name='qemu' type='raw'/>
      <source type='pci' managed='yes' namespace='1' index='1'>
        <address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source>
      <target dev='vda' bus='virtio'/></disk>`,
    `<disk type='vhostuser' device='disk' snapshot='no'><driver name='qemu' type='raw'/>
      <source type='unix' path='/tmp/vhost1.sock' index='1'/><target dev='vda' bus='virtio'/></disk>`,
    `<disk type='vhostvdpa' device='disk'><driver name='qemu' type='raw' cache='none'/>
      <source dev='/dev/vhost-vdpa-0' index='1'/><target dev='vda' bus='virtio'/></disk>`,
  ];
  for (const disk of local) assert.equal(keysOf(disk), '');
});

test('a path: the top image alone, whole, however the guest uses it', () => {
  const chain = `<source file='/srv/top.qcow2' index='2'/>
      <backingStore type='file' index='1'><format type='raw'/><source file='/srv/base.img'/>
        <backingStore/></backingStore>`;
  assert.equal(keysOf(file(chain)), 'exclusive /srv/top.qcow2');
  const slice = `<source file='/run/a.img' index='1'>
      <slices><slice type='storage' offset='0' size='512'/></slices></source><backingStore/>`;
  assert.equal(keysOf(file(slice)), 'exclusive /run/a.img');
  const top = `<source file='/srv/a.img' index='1'/><backingStore/>`;
  assert.equal(keysOf(file(top, '<transient/>')), 'exclusive /srv/a.img');
  const reserved = `<disk type='block' device='lun'><driver name='qemu' type='raw' cache='none'/>
      <source dev='/dev/loop0' index='1'><reservations managed='no'>
        <source type='unix' path='/run/pr.sock' mode='client'/></reservations></source>
      <backingStore/><target dev='sda' bus='scsi'/><shareable/></disk>`;
  assert.equal(keysOf(reserved), 'shared /dev/loop0');
  const folder = `<disk type='dir' device='disk'><driver name='qemu' type='fat'/>
      <source dir='/run/d' index='1'/><backingStore/><target dev='vda' bus='virtio'/></disk>`;
  assert.equal(keysOf(folder), 'exclusive /run/d');
});

test('a drive without a medium has no disk', () => {
  for (const source of ['', `<source index='1'/>`, `<source file='' index='1'/>`]) {
    const guest = parseGuest(
      `<domain><name>g</name><uuid>6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10</uuid><devices>
      <disk type='file' device='cdrom'>${source}<target dev='sda' bus='sata'/></disk>
      </devices></domain>`,
    );
    assert.ok(guest.ok && guest.value.disks.length === 0);
  }
});
