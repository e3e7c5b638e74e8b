import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { deviceOfPartition, deviceOfUnit, linkIn, readPool } from './storage-pools.ts';

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-pools-'));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function make(path: string, text = ''): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

test('the XML of an active pool counts, and that of a defined one where it is not active', async () => {
  await inFolder(async (folder) => {
    const folders = { active: join(folder, 'run'), defined: join(folder, 'etc') };
    const read = async (name: string) => {
      const found = await readPool(name, folders);
      return found.ok ? found.value : `refused: ${found.error}`;
    };
    make(join(folders.active, 'img.xml'), 'active');
    make(join(folders.defined, 'img.xml'), 'defined');
    make(join(folders.defined, 'a b&ü.xml'), 'odd');
    make(join(folders.defined, '...xml'), 'two dots');
    assert.equal(await read('img'), 'active');
    assert.equal(await read('a b&ü'), 'odd');
    assert.equal(await read('..'), 'two dots', 'is no folder with its suffix');
    assert.match(await read('gone'), /^refused: this host has no storage pool of that name$/);

    make(join(folder, 'secret.xml'), 'secret');
    for (const name of ['', '../secret', '/etc/passwd', 'a\0b', 'x'.repeat(251)]) {
      assert.equal(await read(name), 'refused: a storage pool has no such name', name);
    }
    make(join(folders.active, 'large.xml'));
    truncateSync(join(folders.active, 'large.xml'), MIB + 1);
    assert.match(await read('large'), /^refused: its file cannot be read \(EFBIG\)$/);
    execFileSync('mkfifo', [join(folders.active, 'pipe.xml')]);
    assert.match(await read('pipe'), /^refused: its file cannot be read \(EINVAL\)$/);
    mkdirSync(join(folders.active, 'folder.xml'));
    assert.match(await read('folder'), /^refused: its file cannot be read \(EINVAL\)$/);
  });
});

test('a SCSI unit is found by its host, or by the session of its target', async () => {
  await inFolder((sys) => {
    make(join(sys, 'bus/scsi/devices/3:0:1:2/block/sdq/dev'), '65:0\n');
    make(join(sys, 'class/iscsi_session/session1/targetname'), 'iqn.x:other\n');
    make(join(sys, 'class/iscsi_session/session2/targetname'), 'iqn.x:disk\n');
    make(join(sys, 'class/iscsi_session/session2/device/power/control'));
    make(join(sys, 'class/iscsi_session/session2/device/target3:0:1/uevent'));
    const unit = { bus: 0, target: 1, lun: 2 };
    assert.equal(deviceOfUnit({ ...unit, host: 3 }, sys), '/dev/sdq');
    assert.equal(deviceOfUnit({ ...unit, host: { iqn: 'iqn.x:disk' } }, sys), '/dev/sdq');
    assert.equal(deviceOfUnit({ ...unit, host: { iqn: 'iqn.x:other' } }, sys), null);
    assert.equal(deviceOfUnit({ ...unit, host: 4 }, sys), null);
    return Promise.resolve();
  });
});

test('a partition is beside its disk, and a device goes by the link in the folder of its pool', async () => {
  await inFolder(async (folder) => {
    make(join(folder, 'dev/sdb'));
    symlinkSync(join(folder, 'dev/sdb'), join(folder, 'by-id'));
    assert.equal(deviceOfPartition(join(folder, 'by-id'), 'sdb1'), join(folder, 'dev/sdb1'));
    assert.equal(deviceOfPartition('/dev/mapper/mpatha', 'mpatha1'), '/dev/mapper/mpatha1');

    assert.equal(await linkIn('/dev', '/dev/null'), '/dev/null');
    assert.equal(await linkIn(folder, '/dev/null'), '/dev/null', 'no folder of /dev');
    assert.equal(await linkIn('/dev/no/such/folder', '/dev/null'), '/dev/null');
    const [link, own] = ['/dev/fd', '/proc/self/fd'];
    assert.equal(await linkIn('/dev/.', own), '/dev/./fd', link);
  });
});
