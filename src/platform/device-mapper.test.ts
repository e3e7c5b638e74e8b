import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ERRNO } from '../base/errno.ts';
import { LinuxDeviceMapper } from './device-mapper.ts';
import { errorTableMessage, swapMessage, tableMessage, tableOf } from './dm-ioctl.ts';

const UUID = `LVM-${'v'.repeat(32)}${'l'.repeat(32)}`;

/** A sysfs with these files. */
function sysfs(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-sysfs-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'class/misc/device-mapper'), { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    if (text === 'folder') mkdirSync(join(root, path), { recursive: true });
    else writeFileSync(join(root, path), `${text}\n`);
  }
  return root;
}

const DEVICE = {
  'block/dm-3/dev': '253:3',
  'block/dm-3/size': '8192',
  'block/dm-3/dm/name': 'vg-lv',
  'block/dm-3/dm/uuid': UUID,
  'block/dm-3/slaves/sda': 'folder',
  'block/dm-3/holders/dm-4': 'folder',
  'block/sda/dev': '8:0',
  'dev/block/8:0': 'folder',
};

test('each device is listed with what is below and above it', (t) => {
  const mapper = new LinuxDeviceMapper(sysfs(t, DEVICE));
  assert.deepEqual(mapper.list(), [
    {
      kernelName: 'dm-3',
      number: '253:3',
      name: 'vg-lv',
      uuid: UUID,
      sectors: 8192n,
      slaves: ['sda'],
      holders: ['dm-4'],
    },
  ]);
  assert.equal(mapper.hasDevice('8:0'), true);
  assert.equal(mapper.hasDevice('8:16'), false);
});

test('a device that is removed meanwhile is left out', (t) => {
  const mapper = new LinuxDeviceMapper(sysfs(t, { ...DEVICE, 'block/dm-4': 'folder' }));
  assert.equal(mapper.list()?.length, 1);
});

test('without device-mapper nothing is known, and its control device is not opened', async () => {
  const mapper = new LinuxDeviceMapper('/nowhere', '/dev/null');
  assert.equal(mapper.list(), null);
  const table = await new Promise((resolve) => mapper.table(UUID, resolve));
  assert.equal(table, ERRNO.ENODEV);
});

test('a control device that is none answers with the errno of the call, later', async (t) => {
  const mapper = new LinuxDeviceMapper(sysfs(t, DEVICE), '/dev/null');
  t.after(() => mapper.close());
  const errno = await new Promise((resolve) =>
    mapper.fail({ uuid: UUID, sectors: 8n, isReadOnly: false }, resolve),
  );
  assert.equal(errno, ERRNO.ENOTTY);
});

/** As the kernel of Debian 12 takes it from `dmsetup load` with the table `0 8192 error`. */
test('the message that loads an error table has the layout of the kernel', () => {
  const bytes = errorTableMessage({ uuid: UUID, sectors: 8192n, isReadOnly: true });
  const view = new DataView(bytes.buffer);
  assert.equal(bytes.length, 312 + 40 + 8);
  assert.equal(view.getUint32(0, true), 4, 'interface version');
  assert.equal(view.getUint32(12, true), bytes.length, 'whole message');
  assert.equal(view.getUint32(16, true), 312, 'where the lines begin');
  assert.equal(view.getUint32(20, true), 1, 'one line');
  assert.equal(view.getUint32(28, true), 1, 'read only');
  assert.equal(Buffer.from(bytes.subarray(176, 176 + UUID.length)).toString(), UUID);
  assert.equal(view.getBigUint64(312, true), 0n, 'first sector');
  assert.equal(view.getBigUint64(320, true), 8192n, 'sectors');
  assert.equal(Buffer.from(bytes.subarray(336, 342)).toString('latin1'), 'error\0');
});

test('the swap flushes nothing and freezes no file system', () => {
  const flags = new DataView(swapMessage(UUID).buffer).getUint32(28, true);
  assert.equal(flags & (1 << 1), 0, 'it resumes');
  assert.equal(flags & (1 << 10), 1 << 10, 'no lockfs');
  assert.equal(flags & (1 << 11), 1 << 11, 'no flush');
});

test('the lines of a table are read; a full answer wants more room', () => {
  const answer = tableMessage(UUID, 256);
  const view = new DataView(answer.buffer);
  const line = (at: number, of: { start: bigint; length: bigint; next: number; text: string }) => {
    view.setBigUint64(312 + at, of.start, true);
    view.setBigUint64(312 + at + 8, of.length, true);
    view.setUint32(312 + at + 20, of.next, true);
    answer.set(Buffer.from('linear'), 312 + at + 24);
    answer.set(Buffer.from(`${of.text}\0`), 312 + at + 40);
  };
  view.setUint32(20, 2, true);
  view.setInt32(24, 3, true);
  view.setUint32(28, (1 << 5) | (1 << 1), true);
  line(0, { start: 0n, length: 8n, next: 56, text: '8:0 2048' });
  line(56, { start: 8n, length: 16n, next: 112, text: '8:16 0' });
  assert.deepEqual(tableOf(answer), {
    targets: [
      { start: 0n, length: 8n, type: 'linear', parameters: '8:0 2048' },
      { start: 8n, length: 16n, type: 'linear', parameters: '8:16 0' },
    ],
    isSuspended: true,
    isReadOnly: false,
    openCount: 3,
  });
  view.setUint32(28, (1 << 5) | (1 << 8), true);
  assert.equal(tableOf(answer), null);
  view.setUint32(28, 0, true);
  assert.deepEqual(tableOf(answer)?.targets, []);
});
