import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogFields } from '../base/log-fields.ts';
import type { Disk, DiskReply } from '../ports/disk.ts';
import type { Log } from '../ports/log.ts';
import { LeaseDevices } from './lease-devices.ts';
import { LoggedDisk } from './logged-disk.ts';

function logged(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = [];
  const note = (event: string, fields: LogFields = {}): void => {
    const words = Object.entries(fields).map(([name, value]) => `${name}=${value}`);
    lines.push([event, ...words].join(' '));
  };
  return { log: { error: note, warn: note, info: note, debug: note }, lines };
}

function diskThat(reply: DiskReply): Disk {
  return {
    read: (_at, _timeoutMs, answer) => answer(reply),
    write: (_at, _timeoutMs, answer) => answer(reply),
    close: () => {},
  };
}

test('a failed read or write is in the log with path, place and errno, and answered as before', () => {
  const { log, lines } = logged();
  const disk = new LoggedDisk(diskThat({ outcome: 'failed', errno: 5 }), '/dev/l\xc3\xbcn', log);
  const replies: DiskReply[] = [];
  disk.read({ offset: 512, length: 4096 }, 10_000, (reply) => replies.push(reply));
  disk.write({ offset: 0, bytes: new Uint8Array(512) }, 10_000, (reply) => replies.push(reply));
  assert.deepEqual(lines, [
    'disk.failed path=/dev/lün op=read offset=512 length=4096 errno=5 error=EIO',
    'disk.failed path=/dev/lün op=write offset=0 length=512 errno=5 error=EIO',
  ]);
  assert.equal(replies.length, 2);
});

test('no answer in time is not called a failure', () => {
  const { log, lines } = logged();
  const disk = new LoggedDisk(diskThat({ outcome: 'unknown' }), '/dev/x', log);
  disk.read({ offset: 0, length: 512 }, 10_000, () => {});
  assert.deepEqual(lines, ['disk.silent path=/dev/x op=read offset=0 length=512 timeoutMs=10000']);
});

test('what succeeds is not in the log', () => {
  const { log, lines } = logged();
  const done: DiskReply = { outcome: 'done', bytes: new Uint8Array(512), release: () => {} };
  new LoggedDisk(diskThat(done), '/dev/x', log).read({ offset: 0, length: 512 }, 10_000, () => {});
  assert.deepEqual(lines, []);
});

test('a device that cannot be opened is in the log with its true errno', () => {
  const { log, lines } = logged();
  const clock = { nowMs: () => 0, wallMs: () => 0, after: () => ({ cancel: () => {} }) };
  const devices = new LeaseDevices(
    { open: (_path, _timeoutMs, answer) => answer({ ok: false, errno: 13 }) },
    clock,
    log,
  );
  devices.open('/dev/x', 1000, () => {});
  assert.deepEqual(lines, ['disk.notOpened path=/dev/x errno=13 error=EACCES']);
});
