import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VolumeSource } from './domain.ts';
import { placeOfVolume } from './pools.ts';

/** As libvirt 9.0 and 11.3 write them, but for what no place depends on. */
const COMMENT = `<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
OVERWRITTEN AND LOST. Changes to this xml configuration should be made using:
  virsh pool-edit img
or other application using the libvirt API.
-->

`;

function pool(type: string, within: string): string {
  return `${COMMENT}<poolstate>
  <pool type='${type}'>
    <name>img</name>
    <uuid>909a129b-519d-46a0-881a-4769f12e4d85</uuid>
    <capacity unit='bytes'>0</capacity>
    ${within}
  </pool>
</poolstate>
`;
}

function target(path: string): string {
  return `<target><path>${path}</path><permissions><mode>0700</mode></permissions></target>`;
}

function place(xml: string, volume = 'a.img', mode: VolumeSource['mode'] = 'host'): string {
  const found = placeOfVolume(xml, { kind: 'volume', pool: 'img', volume, mode });
  if (!found.ok) return `refused: ${found.error}`;
  if (found.value.kind === 'known') {
    const { source } = found.value;
    if (source.kind === 'network') {
      return `${source.protocol} ${source.name} ${source.hosts.map(({ name }) => name)}`;
    }
    return 'path' in source ? `${source.kind} ${source.path}` : source.kind;
  }
  const { device, folder } = found.value;
  if (device.kind === 'partition') return `partition ${device.name} of ${device.disk} in ${folder}`;
  const host = typeof device.host === 'number' ? device.host : device.host.iqn;
  return `unit ${host}:${device.bus}:${device.target}:${device.lun} in ${folder}`;
}

const ISCSI = `<source><host name='san' port='3260'/><device path='iqn.2013-06.com.example:x'/>
  <initiator><iqn name='iqn.2013-06.com.example:me'/></initiator></source>`;

test('a volume that is a path is the path of its pool and its name, byte for byte', () => {
  assert.equal(place(pool('dir', target('/srv/../images'))), 'file /srv/../images/a.img');
  assert.equal(place(pool('fs', target('/mnt'))), 'file /mnt/a.img');
  const nfs = `<source><host name='h'/><dir path='/x'/><format type='nfs'/></source>`;
  assert.equal(place(pool('netfs', `${nfs}${target('/mnt/nfs')}`)), 'file /mnt/nfs/a.img');
  const lvm = `<source><name>vg1</name><format type='lvm2'/></source>${target('/dev/vg1')}`;
  assert.equal(place(pool('logical', lvm), 'lv-1'), 'block /dev/vg1/lv-1');
  const zfs = `<source><name>tank</name></source>${target('/dev/zvol/tank')}`;
  assert.equal(place(pool('zfs', zfs), 'v'), 'block /dev/zvol/tank/v');
});

test('a definition has no state around it', () => {
  const state = pool('dir', target('/srv'));
  const definition = state.replace('<poolstate>', '').replace('</poolstate>', '');
  assert.equal(place(definition), 'file /srv/a.img');
});

test('a volume that is a device is looked up on the host', () => {
  const disk = `<source><device path='/dev/sdb'/><format type='gpt'/></source>${target('/dev')}`;
  assert.equal(place(pool('disk', disk), 'sdb1'), 'partition sdb1 of /dev/sdb in /dev');
  const scsi = (adapter: string) =>
    pool('scsi', `<source>${adapter}</source>${target('/dev/disk/by-path')}`);
  const host = `<adapter type='scsi_host' name='host3'/>`;
  assert.equal(place(scsi(host), 'unit:0:1:2'), 'unit 3:0:1:2 in /dev/disk/by-path');
  const wwn = `<adapter type='fc_host' wwnn='20000000c9831b4b' wwpn='10000000c9831b4b'/>`;
  assert.match(place(scsi(wwn), 'unit:0:1:2'), /^refused: the SCSI host of that pool is not named/);
  assert.match(place(scsi(host), 'sda'), /^refused: a volume of a SCSI pool has no such name/);
  const iscsi = pool('iscsi', `${ISCSI}${target('/dev/disk/by-path')}`);
  assert.equal(
    place(iscsi, 'unit:0:0:1'),
    'unit iqn.2013-06.com.example:x:0:0:1 in /dev/disk/by-path',
  );
});

test('a volume that QEMU reaches by itself is a network disk', () => {
  const iscsi = pool('iscsi', `${ISCSI}${target('/dev/disk/by-path')}`);
  const wanted = 'iscsi iqn.2013-06.com.example:x/1 san';
  assert.equal(place(iscsi, 'unit:0:0:1', 'direct'), wanted);
  assert.equal(place(pool('iscsi-direct', ISCSI), 'unit:0:0:1'), wanted);
  const ceph = `<source><host name='mon1' port='6789'/><host name='mon2'/><name>vms</name>
    <auth type='ceph' username='admin'><secret uuid='2ec115d7-3a88-3ceb-bc12-0ac909a6fd87'/></auth>
    </source>`;
  assert.equal(place(pool('rbd', ceph), 'disk1'), 'rbd vms/disk1 mon1,mon2');
  const gluster = (dir: string) =>
    pool('gluster', `<source><host name='g1'/><dir path='${dir}'/><name>vol</name></source>`);
  assert.equal(place(gluster('/'), 'a.img'), 'gluster vol/a.img g1');
  assert.equal(place(gluster('/sub/deep/'), 'a.img'), 'gluster vol/sub/deep/a.img g1');
});

test('what is not known is refused, in half a sentence', () => {
  const good = pool('dir', target('/srv'));
  const cases: readonly (readonly [string, RegExp])[] = [
    [place('<pool'), /cannot be read/],
    [place(`<!DOCTYPE pool [<!ENTITY x "y">]>${good}`), /document type declaration/],
    [place('<domain/>'), /describes none/],
    [place(good.replace('img</name>', 'other</name>')), /names another/],
    [place(pool('mpath', target('/dev/mapper'))), /gives no guest a volume/],
    [place(pool('sheepdog', '')), /gives no guest a volume/],
    [place(pool('dir', '')), /has no target path/],
    [place(pool('dir', target('srv'))), /has no target path/],
    [place(pool('dir', target('/s&#10;v'))), /has no target path/],
    [place(pool('iscsi', target('/dev')), 'unit:0:0:1'), /names no iSCSI target/],
    [place(pool('iscsi-direct', ISCSI), '../1'), /has no such name/],
    [place(pool('iscsi-direct', ISCSI), 'unit:0:0:x'), /no LUN/],
    [place(pool('rbd', '<source/>')), /has no source/],
    ...['..', '.', '../a', 'a/b', '/etc/shadow'].map(
      (name) => [place(good, name), /a volume of a pool has no such name/] as const,
    ),
  ];
  for (const [said, wanted] of cases) {
    assert.match(said, /^refused: /);
    assert.match(said, wanted);
  }
});
