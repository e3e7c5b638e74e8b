import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Maker } from './sanlock-daemons.ts';
import {
  FakeWatchdog,
  nowS,
  statusOf,
  WDMD,
  WdmdClient,
  WdmdHost,
  waitFor,
  whyNoWdmd,
} from './wdmd-host.ts';

const missing = whyNoWdmd();
const where = missing === null ? { timeout: 240_000 } : { skip: missing };
const MAKERS: readonly Maker[] = ['c', 'ours'];

async function withWdmdHost<T>(
  work: (host: WdmdHost, device: FakeWatchdog) => Promise<T>,
): Promise<T> {
  const device = await FakeWatchdog.start();
  const host = await WdmdHost.start();
  try {
    return await work(host, device);
  } finally {
    host.close();
    device.close();
  }
}

/** Runs one scenario with each maker at the same time; both must show the same. */
async function alike<T>(
  work: (maker: Maker, host: WdmdHost, device: FakeWatchdog) => Promise<T>,
): Promise<T> {
  const [theirs, ours] = await Promise.all(
    MAKERS.map((maker) => withWdmdHost((host, device) => work(maker, host, device))),
  );
  assert.deepEqual(ours, theirs);
  assert.ok(theirs !== undefined);
  return theirs;
}

/** A dump without what differs from run to run. */
function comparable(dump: string, startS: number): string {
  return dump
    .replace(/^wdmd \d+/, 'wdmd PID')
    .replace(/ pid [1-9]\d*/g, ' pid PID')
    .replace(/ fd (-?\d+)/g, (_, fd: string) => ` fd ${Number(fd) >= 0 ? 'FD' : fd}`)
    .replace(/ (now|last_keepalive) \d+/g, ' $1 N')
    .replace(/^(client [01] name \w+ pid 0) fd \S+/gm, '$1 fd FD')
    .replace(/ (renewal|expire|last_closeunclean) ([1-9]\d*)/g, (_, word: string, s: string) => {
      return ` ${word} T+${Number(s) - startS}`;
    });
}

test('probe: the same lines, streams and status', where, async () => {
  const small = await FakeWatchdog.start(30, 30);
  try {
    const ran = await alike(async (maker, host, device) => {
      writeFileSync(host.path('/run/plain'), '');
      const results = [];
      for (const path of [device.path, small.path, '/run/plain', '/run', '/dev/watchdog1']) {
        const { stdout, stderr, status } = await host.run(WDMD[maker], ['-p', '-w', path]);
        const shown = stdout.replace(device.path, 'DEVICE');
        results.push([shown, stderr, status]);
      }
      return { results, calls: device.words() };
    });
    assert.deepEqual(ran.calls, ['open', 'getTimeout 60', 'write V', 'close']);
    assert.deepEqual(ran.results[0], ['DEVICE\n', '', 0]);
  } finally {
    small.close();
  }
});

test('the usage text has the options of the original, in our own words', where, async () => {
  const host = await WdmdHost.start();
  try {
    const [theirs, ours] = await Promise.all(
      MAKERS.map(async (maker) => (await host.run(WDMD[maker], ['-h'])).stdout),
    );
    const named = (text = '') => [...text.matchAll(/(?<=^|, )-{1,2}\w+/gm)].map(([one]) => one);
    const options = named(theirs);
    assert.ok(options.length >= 11, theirs);
    const found = named(ours);
    assert.deepEqual(
      options.filter((one) => !found.includes(one)),
      [],
    );
    const words = (text = '') => text.split('\n').filter((line) => line.startsWith('-'));
    assert.deepEqual(
      words(theirs).filter((line) => words(ours).includes(line)),
      [],
    );
  } finally {
    host.close();
  }
});

test('a device that is none: no daemon, status 255, no file left over', where, async () => {
  await alike(async (maker, host) => {
    writeFileSync(host.path('/run/plain'), '');
    const ran = await host.run(WDMD[maker], ['-D', '-w', '/run/plain']);
    assert.match(ran.stderr, /no watchdog device, load a watchdog driver\n$/);
    return [ran.status, existsSync(host.path('/dev/shm/wdmd'))];
  });
});

test('files, modes, and what a second daemon and a probe answer', where, async () => {
  await alike(async (maker, host, device) => {
    const child = await host.wdmd(maker, device);
    const modes = ['/run/wdmd', '/run/wdmd/wdmd.sock', '/run/wdmd/wdmd.pid', '/dev/shm/wdmd'].map(
      (path) => {
        const { mode, uid, gid, size } = statSync(host.path(path));
        return [path, mode.toString(8), uid, gid, path.includes('shm') ? size : 0];
      },
    );
    const pidText = readFileSync(host.path('/run/wdmd/wdmd.pid'), 'ascii');
    assert.equal(pidText, `${child.pid}\n`);
    const probe = await host.run(WDMD[maker], ['-p']);
    const second = await host.run(WDMD[maker], ['-D', '-w', device.path]);
    const dump = await host.run(WDMD[maker], ['-d']);
    child.kill('SIGTERM');
    const status = await statusOf(child);
    const left = ['/run/wdmd/wdmd.pid', '/dev/shm/wdmd'].filter((path) =>
      existsSync(host.path(path)),
    );
    const noDaemon = await host.run(WDMD[maker], ['-d']);
    await waitFor('its last word', () => device.words().at(-1) === 'close');
    return {
      modes,
      probe,
      second: second.status,
      dump: comparable(dump.stdout, 0),
      status,
      left,
      calls: device.words().filter((what) => what !== 'keepalive'),
      noDaemon,
    };
  });
});

test('each prints the dump of the other', where, async () => {
  for (const [daemon, asker] of [
    ['c', 'ours'],
    ['ours', 'c'],
  ] as const) {
    await withWdmdHost(async (host, device) => {
      await host.wdmd(daemon, device);
      let ran = await host.run(WDMD[asker], ['-d']);
      const isFirst = async () => {
        ran = await host.run(WDMD[asker], ['-d']);
        return /\nclient 2 name dump [^\n]* expire 0\n$/.test(ran.stdout);
      };
      // A busy daemon takes a new connection before it sees that the one before has ended.
      await waitFor('a dump to the only client', isFirst);
      assert.match(ran.stdout, /^wdmd \d+ socket_gid .*\nclient 0 name signal .*\nclient 1 .*\n/);
      assert.equal(ran.status, 0);
    });
  }
});

test(
  'killed, its duties not known: the device stays armed, and no daemon starts before a reboot',
  where,
  async () => {
    await alike(async (maker, host, device) => {
      const child = await host.wdmd(maker, device);
      child.kill('SIGKILL');
      await statusOf(child);
      await waitFor('its last word', () => device.words().includes('close'));
      const calls = device.words().filter((what) => what !== 'keepalive');
      rmSync(host.path('/run/wdmd/wdmd.duties'), { force: true });
      const again = await host.run(WDMD[maker], ['-D', '-w', device.path]);
      assert.match(again.stderr, /other wdmd not cleanly stopped, shm_open error 17\n$/);
      return [calls, again.status];
    });
  },
);

/** A busy daemon takes a new connection before it sees that the one before has ended. */
async function onlyClient(host: WdmdHost): Promise<WdmdClient> {
  let client = await WdmdClient.connect(host.socketPath);
  await waitFor('a connection in the first place', async () => {
    const dump = await host.dump();
    if (/\nclient 2 name +pid .*\nclient 3 name dump [^\n]*\n$/.test(dump)) return true;
    client.close();
    client = await WdmdClient.connect(host.socketPath);
    return false;
  });
  return client;
}

test('a client from registration to death: expiry, reopening, SIGTERM', where, async () => {
  const scenario = await alike(async (maker, host, device) => {
    const child = await host.wdmd(maker, device);
    const dumps: string[] = [];
    const client = await onlyClient(host);
    await client.status(); // the first event tests
    await client.status(); // and has tested by now
    const startMs = Number(process.hrtime.bigint() / 1_000_000n);
    const startS = nowS();
    const takeDump = async () => dumps.push(comparable(await host.dump(), startS));
    client.send({ cmd: 1, name: 'sanlock_LS:1' });
    client.send({ cmd: 2 });
    client.live(startS, startS + 12); // closed 10 s after the first test: 2 s before the expiry
    client.send({ cmd: 99 });
    await client.status(); // C takes one message of a client at a time
    await takeDump();
    child.kill('SIGTERM'); // refused
    await sleep(12_500);
    dumps.push(String((await client.status()).testInterval));
    client.live(startS + 12, startS + 500);
    await waitFor('a device fed again', () => device.words().at(-1) === 'keepalive');
    dumps.push(String((await client.status()).testInterval));
    client.close();
    const bystander = await WdmdClient.connect(host.socketPath);
    bystander.send({ cmd: 1, name: 'bystander' });
    await sleep(300);
    await takeDump();
    child.kill('SIGTERM'); // refused: the dead one holds a refcount
    await sleep(500);
    await takeDump();
    // Ours asks a device that it opens again for its timeout.
    const calls = device
      .events()
      .filter(({ ms, what }) => ms > startMs && !what.startsWith('getTimeout'));
    const seconds = calls.map(({ ms }) => (ms - startMs) / 1000);
    return {
      dumps: dumps.map((text) => text.replace(/(closeunclean) T\+\d+/, '$1 T')),
      calls: calls.map(({ what }) => what),
      seconds: seconds.map((s) => (s < 12 ? 'first' : 'renewed')),
    };
  });
  assert.deepEqual(scenario.calls, ['close', 'open', 'keepalive']);
  assert.deepEqual(scenario.seconds, ['first', 'renewed', 'renewed']);
});
