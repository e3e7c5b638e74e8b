import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SysfsActiveLvs } from './active-lvs.ts';

const VG = 'v'.repeat(32);
const LV = 'l'.repeat(32);

function sysfs(devices: Readonly<Record<string, readonly [string, string]>>): string {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-sysfs-'));
  mkdirSync(join(root, 'class/misc/device-mapper'), { recursive: true });
  mkdirSync(join(root, 'block/sda'), { recursive: true });
  for (const [device, [name, uuid]] of Object.entries(devices)) {
    const folder = join(root, 'block', device, 'dm');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'name'), `${name}\n`);
    writeFileSync(join(folder, 'uuid'), `${uuid}\n`);
  }
  return root;
}

test('the devices of lvm are found by their uuid, hidden layers too', (t) => {
  const root = sysfs({
    'dm-0': ['vg-lv', `LVM-${VG}${LV}`],
    'dm-1': ['vg-pool-tpool', `LVM-${VG}${LV}-tpool`],
    'dm-2': ['crypt', 'CRYPT-LUKS2-0123'],
    'dm-3': ['none', ''],
  });
  t.after(() => rmSync(root, { recursive: true }));
  assert.deepEqual(new SysfsActiveLvs(root).read(), [
    { deviceName: 'vg-lv', vgUuid: VG, lvUuid: LV },
    { deviceName: 'vg-pool-tpool', vgUuid: VG, lvUuid: LV },
  ]);
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
