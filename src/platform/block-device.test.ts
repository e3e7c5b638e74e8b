import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { deviceNumbers, SysfsDevices } from './block-device.ts';

test('device numbers as the kernel packs them', () => {
  assert.deepEqual(deviceNumbers(0x0800n), { major: 8n, minor: 0n });
  assert.deepEqual(deviceNumbers(0x10fd12n), { major: 253n, minor: 0x112n });
  assert.deepEqual(deviceNumbers(0x0700n | 3n), { major: 7n, minor: 3n });
});

test('a file exists but has no sector size; nothing is nothing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
  try {
    mkdirSync(join(folder, 'dev'));
    writeFileSync(join(folder, 'file'), '');
    const devices = new SysfsDevices(folder);
    const nothing = { physicalBytes: null, logicalBytes: null, sizeBytes: null };
    assert.deepEqual(devices.probe(join(folder, 'file')), { exists: true, ...nothing });
    assert.deepEqual(devices.probe(join(folder, 'none')), { exists: false, ...nothing });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
