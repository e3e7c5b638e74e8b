import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DeviceUserFacts } from '../ports/device-users.ts';
import { ProcDeviceUsers } from './device-users.ts';

const quiet = () => {};
const LOG = { error: quiet, warn: quiet, info: quiet, debug: quiet };
const DEVICES = [{ number: '253:3', kernelName: 'dm-3', name: 'vg-lv' }];
const MOUNTS = [
  '21 1 254:0 / / rw - ext4 /dev/vda rw',
  '30 21 253:3 / /srv/my\\040data rw - ext4 /dev/mapper/vg-lv rw',
  '31 30 254:0 /x /srv/my\\040data/inner rw - ext4 /dev/vda rw',
];

interface Process {
  readonly comm: string;
  readonly cwd?: string;
  /** By descriptor: where it leads, and the id of its mount. */
  readonly fds?: Readonly<Record<number, readonly [string, string]>>;
}

/** The pids are of processes that live, as they are asked for their start times. */
function usersAmong(t: TestContext, processes: ReadonlyMap<number, Process>) {
  const proc = mkdtempSync(join(tmpdir(), 'holdfast-proc-'));
  t.after(() => rmSync(proc, { recursive: true }));
  for (const [pid, { comm, cwd = '/', fds = {} }] of processes) {
    const folder = join(proc, `${pid}`);
    mkdirSync(join(folder, 'fd'), { recursive: true });
    mkdirSync(join(folder, 'fdinfo'));
    writeFileSync(join(folder, 'comm'), `${comm}\n`);
    writeFileSync(join(folder, 'mountinfo'), `${MOUNTS.join('\n')}\n`);
    symlinkSync(cwd, join(folder, 'cwd'));
    for (const [fd, [path, mount]] of Object.entries(fds)) {
      symlinkSync(path, join(folder, 'fd', fd));
      writeFileSync(join(folder, 'fdinfo', fd), `pos:\t0\nflags:\t02\nmnt_id:\t${mount}\n`);
    }
  }
  return new Promise<readonly DeviceUserFacts[] | null>((resolve) =>
    new ProcDeviceUsers(LOG, proc).find(DEVICES, resolve),
  );
}

const ALIVE = process.ppid;

async function useOf(t: TestContext, of: Process): Promise<string | null> {
  const users = await usersAmong(t, new Map([[ALIVE, of]]));
  return users?.[0]?.uses ?? null;
}

test('who has the device open uses it, by whatever of its names', async (t) => {
  for (const path of ['/dev/dm-3', '/dev/mapper/vg-lv']) {
    assert.equal(await useOf(t, { comm: 'dd', fds: { 3: [path, '5'] } }), 'vg-lv');
  }
  assert.equal(await useOf(t, { comm: 'dd', fds: { 3: ['/dev/dm-4', '5'] } }), null);
});

test('who has a file of its file system open, or works in it, uses the mount', async (t) => {
  const open = { comm: 'db', fds: { 3: ['/srv/my data/table', '30'] } } as const;
  assert.equal(await useOf(t, open), '/srv/my data');
  assert.equal(await useOf(t, { comm: 'sh', cwd: '/srv/my data/deep' }), '/srv/my data');
  assert.equal(await useOf(t, { comm: 'sh', cwd: '/srv/my data/inner/a' }), null);
  assert.equal(await useOf(t, { comm: 'sh', cwd: '/srv/my database' }), null);
  const elsewhere = { comm: 'db', fds: { 3: ['/srv/my data/inner/a', '31'] } } as const;
  assert.equal(await useOf(t, elsewhere), null);
});

test('those who hold leases, who guard them, and process 1 are spared', async (t) => {
  const fds = { 3: ['/dev/dm-3', '5'] } as const;
  for (const comm of ['sanlock', 'sanlock-helper', 'wdmd', 'lvmlockd', 'systemd']) {
    assert.equal(await useOf(t, { comm, fds }), null);
  }
  assert.deepEqual(await usersAmong(t, new Map([[1, { comm: 'boot', fds }]])), []);
});

test('a process that has ended meanwhile is passed over; without /proc nothing is known', async (t) => {
  const fds = { 3: ['/dev/dm-3', '5'] } as const;
  assert.deepEqual(await usersAmong(t, new Map([[0x7ffffff0, { comm: 'dd', fds }]])), []);
  const nowhere = new ProcDeviceUsers(LOG, '/nowhere');
  assert.equal(await new Promise((resolve) => nowhere.find(DEVICES, resolve)), null);
});
