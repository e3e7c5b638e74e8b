import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { blockDeviceNumber, keyOfNumber } from './device-key.ts';

const VG = 'a'.repeat(32);
const LV = 'b'.repeat(32);
const LUKS = '0123456789abcdef'.repeat(2);

/** A sysfs with these devices: by number, their folder and attributes. */
function withSys(
  devices: Readonly<Record<string, readonly [string, Readonly<Record<string, string>>]>>,
  look: (key: (number: string) => string | null) => void,
): void {
  const sys = mkdtempSync(join(tmpdir(), 'holdfast-sys-'));
  try {
    mkdirSync(join(sys, 'dev/block'), { recursive: true });
    for (const [number, [at, attributes]] of Object.entries(devices)) {
      mkdirSync(join(sys, at), { recursive: true });
      for (const [name, value] of Object.entries(attributes)) {
        mkdirSync(dirname(join(sys, at, name)), { recursive: true });
        writeFileSync(join(sys, at, name), `${value}\n`);
      }
      symlinkSync(join(sys, at), join(sys, 'dev/block', number));
    }
    look((number) => keyOfNumber(number, sys));
  } finally {
    rmSync(sys, { recursive: true, force: true });
  }
}

test('one drive has one name, with multipath or without, and so have its partitions', () => {
  withSys(
    {
      '8:0': ['devices/a/block/sda', { 'device/wwid': 'naa.60014051a' }],
      '8:1': ['devices/a/block/sda/sda1', { partition: '1' }],
      '254:0': ['devices/virtual/block/dm-0', { 'dm/uuid': 'mpath-360014051a' }],
      '254:1': ['devices/virtual/block/dm-1', { 'dm/uuid': 'part1-mpath-360014051a' }],
      '8:16': ['devices/b/block/sdb', { 'device/wwid': 't10.ATA     DISK   S1' }],
      '254:2': ['devices/virtual/block/dm-2', { 'dm/uuid': 'mpath-1ATA_DISK_S1' }],
      '259:0': ['devices/c/block/nvme0n1', { wwid: 'eui.0025388b' }],
      '254:3': ['devices/virtual/block/dm-3', { 'dm/uuid': 'mpath-eui.0025388b' }],
    },
    (key) => {
      assert.equal(key('8:0'), 'wwid:360014051a');
      assert.equal(key('254:0'), key('8:0'));
      assert.equal(key('8:1'), 'wwid:360014051a-part1');
      assert.equal(key('254:1'), key('8:1'));
      assert.equal(key('8:16'), 'wwid:1ATA_DISK_S1');
      assert.equal(key('254:2'), key('8:16'));
      assert.equal(key('259:0'), 'wwid:eui.0025388b');
      assert.equal(key('254:3'), key('259:0'));
    },
  );
});

test('volumes, arrays, loop devices, and what says nothing of itself', () => {
  const loop = (offset: string) => ({
    ...{ 'loop/backing_file': '/srv/a.img', 'loop/offset': offset, 'loop/sizelimit': '0' },
  });
  withSys(
    {
      '254:0': ['devices/virtual/block/dm-0', { 'dm/uuid': `LVM-${VG}${LV}` }],
      '254:1': ['devices/virtual/block/dm-1', { 'dm/uuid': 'CRYPT-LUKS2-x' }],
      '254:2': ['devices/virtual/block/dm-2', { 'dm/uuid': '', 'dm/name': 'my map' }],
      '254:3': ['devices/virtual/block/dm-3', { 'dm/uuid': `CRYPT-LUKS2-${LUKS}-my_name` }],
      '9:0': ['devices/virtual/block/md0', { 'md/uuid': '1:2:3:4' }],
      '7:0': ['devices/virtual/block/loop0', loop('0')],
      '7:1': ['devices/virtual/block/loop1', loop('4096')],
    },
    (key) => {
      assert.equal(key('254:0'), `lvm:${VG}${LV}`);
      assert.equal(key('254:1'), 'dm:CRYPT-LUKS2-x');
      assert.equal(key('254:2'), '/dev/mapper/my map');
      assert.equal(key('254:3'), `dm:CRYPT-LUKS2-${LUKS}`);
      assert.equal(key('9:0'), 'md:1:2:3:4');
      assert.equal(key('7:0'), '/srv/a.img');
      assert.equal(key('7:1'), 'loop:/srv/a.img:4096:0');
      assert.equal(key('1:1'), null);
    },
  );
});

test('an image of Ceph, a replica, a drive of a virtual machine', () => {
  const image = (name: string, more: Readonly<Record<string, string>> = {}) => ({
    ...{ 'device/cluster_fsid': 'F1', 'device/pool': 'vms', 'device/name': name },
    ...{ 'device/current_snap': '-', 'device/pool_ns': '', ...more },
  });
  withSys(
    {
      '250:0': ['devices/rbd/0/block/rbd0', image('disk1')],
      '250:16': ['devices/rbd/1/block/rbd1', image('disk1', { 'device/pool_ns': 'ns' })],
      '250:32': ['devices/rbd/2/block/rbd2', image('disk1', { 'device/current_snap': 's1' })],
      '250:48': ['devices/rbd/3/block/rbd3', image('', {})],
      '147:3': ['devices/virtual/block/drbd3', {}],
      '253:0': ['devices/virtio2/block/vda', { serial: 'volume-7' }],
      '253:1': ['devices/virtio2/block/vda/vda1', { partition: '1' }],
      '253:16': ['devices/virtio3/block/vdb', { serial: '' }],
      '43:0': ['devices/virtual/block/nbd0', {}],
    },
    (key) => {
      assert.equal(key('250:0'), 'rbd:F1/vms/disk1');
      assert.equal(key('250:16'), 'rbd:F1/vms/ns/disk1');
      assert.equal(key('250:32'), 'rbd:F1/vms/disk1@s1');
      assert.equal(key('250:48'), null);
      assert.equal(key('147:3'), '/dev/drbd3');
      assert.equal(key('253:0'), 'virtio:volume-7');
      assert.equal(key('253:1'), 'virtio:volume-7-part1');
      assert.equal(key('253:16'), null);
      assert.equal(key('43:0'), null);
    },
  );
});

test('the number of a device, as the kernel writes it', () => {
  const block = 0o060660;
  assert.equal(blockDeviceNumber({ mode: block, rdev: 0x801 }), '8:1');
  assert.equal(blockDeviceNumber({ mode: block, rdev: 0x100103 + 0x2000 }), '33:259');
  assert.equal(blockDeviceNumber({ mode: 0o020666, rdev: 0x103 }), null);
});
