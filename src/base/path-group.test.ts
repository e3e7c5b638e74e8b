import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathGroup } from './path-group.ts';

test('files of one folder and volumes of one group share, devices do not', () => {
  for (const [path, group] of [
    ['/dev/vg1/leases', '/dev/vg1'],
    ['/dev/vg1/lvmlock', '/dev/vg1'],
    ['/dev/mapper/vg1-lvmlock', '/dev/mapper/vg1-lvmlock'],
    ['/dev/sdb', '/dev/sdb'],
    ['/srv/images/a.img', '/srv/images'],
    ['/leases', ''],
    ['leases', ''],
  ] as const) {
    assert.equal(pathGroup(path), group);
  }
});
