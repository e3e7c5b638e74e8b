import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { deviceKey, keyOfNumber } from './device-key.ts';

const VG = 'a'.repeat(32);
const LV = 'b'.repeat(32);

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
      '254:2': ['devices/virtual/block/dm-2', { 'dm/uuid': '' }],
      '9:0': ['devices/virtual/block/md0', { 'md/uuid': '1:2:3:4' }],
      '7:0': ['devices/virtual/block/loop0', loop('0')],
      '7:1': ['devices/virtual/block/loop1', loop('4096')],
      '147:0': ['devices/virtual/block/drbd0', {}],
    },
    (key) => {
      assert.equal(key('254:0'), `lvm:${VG}${LV}`);
      assert.equal(key('254:1'), 'dm:CRYPT-LUKS2-x');
      assert.equal(key('254:2'), null);
      assert.equal(key('9:0'), 'md:1:2:3:4');
      assert.equal(key('7:0'), '/srv/a.img');
      assert.equal(key('7:1'), 'loop:/srv/a.img:4096:0');
      assert.equal(key('147:0'), null);
      assert.equal(key('1:1'), null);
    },
  );
});

test('only block devices have a key', () => {
  assert.equal(deviceKey('/dev/null'), null);
  assert.equal(deviceKey('/nowhere'), null);
  assert.equal(deviceKey(tmpdir()), null);
});
