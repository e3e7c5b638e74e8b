import assert from 'node:assert/strict';
import test from 'node:test';
import { MIB } from '../../../base/units.ts';
import {
  lockLvOfArgs,
  lockLvOfPath,
  lockLvPath,
  maxHostIdOf,
  offsetOfArgs,
  SIZES_512,
  sanlockSpaceName,
  sectorSizeOf,
  sizesForSector,
  sizesOfFlags,
} from './layout.ts';

test('arguments of VGs and LVs', () => {
  assert.equal(lockLvOfArgs('1.0.0:lvmlock'), 'lvmlock');
  assert.equal(lockLvOfArgs('1.7.3:other'), 'other');
  for (const bad of ['', 'lvmlock', '2.0.0:lvmlock', '1.0.0:', '1.0:lvmlock', ':lvmlock']) {
    assert.equal(lockLvOfArgs(bad), null, bad);
  }
  assert.equal(offsetOfArgs('1.0.0:70254592'), 70254592);
  for (const bad of [
    '',
    '1.0.0:',
    '70254592',
    '1.0.0:x',
    '1.0.0:-1',
    '1.0.0:0',
    '2.0.0:70254592',
  ]) {
    assert.equal(offsetOfArgs(bad), null, bad);
  }
  assert.equal(offsetOfArgs(`1.0.0:${'9'.repeat(30)}`), null);
});

test('device-mapper names, there and back', () => {
  assert.equal(lockLvPath('vg-a', 'lvmlock'), '/dev/mapper/vg--a-lvmlock');
  assert.equal(lockLvPath('v g', 'lvmlock'), '/dev/mapper/v\\x20g-lvmlock');
  assert.equal(lockLvOfPath('vg-a', '/dev/mapper/vg--a-lvmlock'), 'lvmlock');
  assert.equal(lockLvOfPath('vg', '/dev/mapper/other-lvmlock'), null);
});

test('a lockspace name is cut as sanlock cuts it', () => {
  assert.equal(sanlockSpaceName('v'.repeat(60)).length, 48);
});

test('sizes by sector, and by the flags sanlock answers', () => {
  assert.equal(sizesForSector(512)?.alignBytes, MIB);
  assert.equal(sizesForSector(512, 8)?.alignBytes, MIB, 'the only size for such sectors');
  assert.equal(sizesForSector(4096)?.alignBytes, 8 * MIB);
  for (const [mebibytes, hosts] of [
    [1, 250],
    [2, 500],
    [4, 1000],
    [8, 2000],
  ] as const) {
    const sizes = sizesForSector(4096, mebibytes);
    assert.ok(sizes !== null);
    assert.equal(sizes.alignBytes, mebibytes * MIB);
    assert.deepEqual(sizesOfFlags(sizes.flags), sizes);
    assert.equal(maxHostIdOf(sizes), hosts);
  }
  assert.equal(sizesForSector(4096, 3), null);
  assert.equal(maxHostIdOf(SIZES_512), 2000);
  assert.equal(sizesOfFlags(0), null);
  assert.equal(sectorSizeOf(512, 512), 512);
  assert.equal(sectorSizeOf(4096, 512), 4096);
  assert.equal(sectorSizeOf(null, 512), 512);
  assert.equal(sectorSizeOf(4096, null), 4096);
  assert.equal(sectorSizeOf(null, null), null);
});
