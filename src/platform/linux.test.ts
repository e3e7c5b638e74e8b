import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MIB } from '../base/units.ts';
import { MonotonicClock } from './clock.ts';
import { DatagramReceiver } from './datagram.ts';
import { sendDatagram } from './datagram-sender.ts';
import { FdWatcher } from './fd-watcher.ts';
import { DaemonLog } from './log.ts';
import { lockPidFile } from './pid-file.ts';
import { setProcessName } from './process-name.ts';
import { notifyServiceManager } from './sd-notify.ts';
import { closeFd, eventfd, readInto } from './system-calls.ts';

const TEST_LOCK = `
import fcntl, sys
file = open(sys.argv[1], 'r+')
try:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print('free')
except OSError:
    print('locked')
`;

test('the pid file holds the pid under a POSIX lock that other programs meet', () => {
  const directory = mkdtempSync('/tmp/holdfast-pid-');
  const path = join(directory, 'x.pid');
  lockPidFile(path);
  const other = spawnSync('/usr/bin/python3', ['-c', TEST_LOCK, path], { encoding: 'ascii' });
  assert.equal(other.stdout, 'locked\n', other.stderr);
  // Reading goes through another process: closing a descriptor here would drop the lock.
  const content = spawnSync('cat', [path], { encoding: 'ascii' }).stdout;
  assert.equal(content, `${process.pid}\n`);
  rmSync(directory, { recursive: true });
});

test('timers never fire early, and a cancelled one never fires', async () => {
  const clock = new MonotonicClock();
  for (const delayMs of [0, 1.5, 10.4]) {
    const startMs = clock.nowMs();
    await new Promise<void>((done) => clock.after(delayMs, done));
    assert.ok(clock.nowMs() - startMs >= delayMs);
  }
  clock.after(5, () => assert.fail('cancelled')).cancel();
  await new Promise((done) => setTimeout(done, 15));
});

test('a watcher survives garbage collection', async () => {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  assert.ok(typeof collect === 'function');
  const fd = eventfd(0, 0x80800);
  let events = 0;
  // Deliberately not kept in a variable: nothing but the watcher's own registry refers to it.
  (() => {
    new FdWatcher(fd, () => {
      events++;
      readInto(fd, new Uint8Array(8), 8);
    });
  })();
  for (let i = 0; i < 5; i++) {
    collect();
    await new Promise((done) => setTimeout(done, 5));
  }
  const { write } = await import('node:fs');
  await new Promise<void>((done) =>
    write(fd, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]), () => done()),
  );
  for (let tries = 0; events === 0 && tries < 500; tries++) {
    await new Promise((done) => setTimeout(done, 10));
  }
  await new Promise((done) => setTimeout(done, 20));
  assert.equal(events, 1);
  FdWatcher.closeAll();
  closeFd(fd);
});

test('datagrams: abstract names of exact length, file names, and no listener', async () => {
  for (const name of [`@holdfast-test-${process.pid}`, `/tmp/holdfast-test-${process.pid}`]) {
    assert.equal(sendDatagram(name, Buffer.from('nobody')), false);
    const heard = new Promise<Uint8Array>((done) => {
      const receiver = new DatagramReceiver(name, (bytes) => {
        receiver.close();
        done(bytes);
      });
    });
    assert.equal(sendDatagram(name, Buffer.from('two words')), true);
    assert.equal(Buffer.from(await heard).toString(), 'two words');
    rmSync(name, { force: true });
  }
});

test('an abstract name carries no padding: /proc/net/unix shows it exactly', () => {
  const name = `@holdfast-exact-${process.pid}`;
  const receiver = new DatagramReceiver(name, () => {});
  const lines = readFileSync('/proc/net/unix', 'latin1').split('\n');
  receiver.close();
  assert.equal(lines.filter((line) => line.endsWith(` ${name}`)).length, 1);
});

test('the service manager is notified only when it wants to be, by a path or an abstract name', async () => {
  assert.equal(notifyServiceManager('READY=1'), false);
  const directory = mkdtempSync('/tmp/holdfast-notify-');
  for (const name of [`@holdfast-notify-${process.pid}`, join(directory, 'notify')]) {
    const heard = new Promise<Uint8Array>((done) => {
      const receiver = new DatagramReceiver(name, (bytes) => {
        receiver.close();
        done(bytes);
      });
    });
    process.env['NOTIFY_SOCKET'] = name;
    assert.equal(notifyServiceManager('READY=1'), true);
    delete process.env['NOTIFY_SOCKET'];
    assert.equal(Buffer.from(await heard).toString(), 'READY=1');
  }
  rmSync(directory, { recursive: true });
});

test('a service manager whose queue is full hears it all later, in order', async () => {
  const name = `@holdfast-notify-full-${process.pid}`;
  const heard: string[] = [];
  let all = (): void => {};
  const hasAll = new Promise<void>((done) => {
    all = done;
  });
  const receiver = new DatagramReceiver(name, (bytes) => {
    heard.push(Buffer.from(bytes).toString());
    if (heard.at(-1) === 'STATUS=b') all();
  });
  // It reads when this turn of the loop ends.
  let filled = 0;
  while (sendDatagram(name, Buffer.from('other'))) filled++;
  process.env['NOTIFY_SOCKET'] = name;
  notifyServiceManager('READY=1');
  notifyServiceManager('STATUS=a');
  notifyServiceManager('STATUS=b');
  delete process.env['NOTIFY_SOCKET'];
  await hasAll;
  receiver.close();
  assert.deepEqual(heard.slice(filled), ['READY=1', 'STATUS=a', 'STATUS=b']);
});

test('the process name is what ps shows, cut to 15 bytes', () => {
  const before = readFileSync('/proc/self/comm', 'ascii').trim();
  setProcessName('a-name-of-twenty-ch');
  assert.equal(readFileSync('/proc/self/comm', 'ascii'), 'a-name-of-twent\n');
  setProcessName(before);
});

test('the log keeps records, dumps lines in order, and quotes what would break a line', () => {
  const log = new DaemonLog({
    program: 'test',
    file: null,
    fileSeverity: 4,
    syslogSeverity: -1,
    stderr: false,
    utc: true,
  });
  log.info('lockspace.joined', { lockspace: 'LS1', hostId: 7, lver: 3n });
  log.error('disk.failed', { path: 'a b\nc' });
  const lines = log.dump().split('\n');
  assert.match(
    lines[0] ?? '',
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \d+ \[\d+\]: lockspace.joined lockspace=LS1 hostId=7 lver=3$/,
  );
  assert.match(lines[1] ?? '', /disk.failed path="a b\\nc"$/);
  for (let i = 0; i < 20_000; i++) log.debug('x.happened', { i, filler: 'y'.repeat(100) });
  const dump = log.dump();
  assert.ok(dump.length <= MIB);
  assert.match(dump, /i=19999 filler=y+\n$/);
});
