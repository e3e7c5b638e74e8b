import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { SysfsActiveLvs } from './active-lvs.ts';

const VG = 'v'.repeat(32);
const LV = 'l'.repeat(32);
const lv = (deviceName: string, suffix: string) => ({
  deviceName,
  deviceUuid: `LVM-${VG}${LV}${suffix}`,
  vgUuid: VG,
  lvUuid: LV,
});

/** For each device its name, uuid, sectors and holders. */
type Device = readonly [string, string, number?, string?];

function sysfs(devices: Readonly<Record<string, Device>>): string {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-sysfs-'));
  mkdirSync(join(root, 'class/misc/device-mapper'), { recursive: true });
  mkdirSync(join(root, 'block/sda'), { recursive: true });
  for (const [device, [name, uuid, sectors, holder]] of Object.entries(devices)) {
    const folder = join(root, 'block', device, 'dm');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'name'), `${name}\n`);
    writeFileSync(join(folder, 'uuid'), `${uuid}\n`);
    if (sectors === undefined) continue;
    writeFileSync(join(root, 'block', device, 'size'), `${sectors}\n`);
    mkdirSync(join(root, 'block', device, 'holders'));
    if (holder !== undefined) writeFileSync(join(root, 'block', device, 'holders', holder), '');
  }
  return root;
}

test('the devices of lvm are found by their uuid, hidden layers too', (t) => {
  const root = sysfs({
    'dm-0': ['vg-lv', `LVM-${VG}${LV}`, 16384],
    'dm-1': ['vg-pool-tpool', `LVM-${VG}${LV}-tpool`, 8, 'dm-5'],
    'dm-2': ['crypt', 'CRYPT-LUKS2-0123'],
    'dm-3': ['none', ''],
  });
  t.after(() => rmSync(root, { recursive: true }));
  assert.deepEqual(new SysfsActiveLvs(root).read(), [
    { ...lv('vg-lv', ''), sizeBytes: 8 * MIB, isHeld: false },
    { ...lv('vg-pool-tpool', '-tpool'), sizeBytes: 4096, isHeld: true },
  ]);
});

test('a device whose size and holders cannot be read counts as held', (t) => {
  const root = sysfs({ 'dm-0': ['vg-lv', `LVM-${VG}${LV}`] });
  t.after(() => rmSync(root, { recursive: true }));
  const unknown = { ...lv('vg-lv', ''), sizeBytes: null, isHeld: true };
  assert.deepEqual(new SysfsActiveLvs(root).read(), [unknown]);
});

test('without device-mapper it is not known what is active', (t) => {
  const root = sysfs({ 'dm-0': ['vg-lv', `LVM-${VG}${LV}`] });
  t.after(() => rmSync(root, { recursive: true }));
  rmSync(join(root, 'class'), { recursive: true });
  assert.equal(new SysfsActiveLvs(root).read(), null);
});

test('a device that is removed meanwhile is left out; a sysfs that cannot be read is no answer', (t) => {
  const root = sysfs({ 'dm-0': ['vg-lv', `LVM-${VG}${LV}`] });
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'block/dm-1'));
  assert.equal(new SysfsActiveLvs(root).read()?.length, 1);
  rmSync(join(root, 'block'), { recursive: true });
  assert.equal(new SysfsActiveLvs(root).read(), null);
});
