import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  FakeWatchdog,
  statusOf,
  WDMD,
  WdmdClient,
  WdmdHost,
  waitFor,
  whyNoWdmd,
} from './wdmd-host.ts';

/** What wdmd makes of devices that are not what their timeout says, or no use at all. */
const missing = whyNoWdmd();
const where = missing === null ? { timeout: 120_000 } : { skip: missing };
const MAGIC_CLOSE = 0x0100;
const ALARM_ONLY = 0x0400;
const DOG = '/run/dog';

async function inHost(work: (host: WdmdHost) => Promise<void>): Promise<void> {
  const host = await WdmdHost.start();
  try {
    await work(host);
  } finally {
    host.close();
  }
}

async function withDevice(
  device: FakeWatchdog,
  work: (device: FakeWatchdog) => Promise<void>,
): Promise<void> {
  try {
    await work(device);
  } finally {
    device.close();
  }
}

test('a device that may fire at its second expiry gets half the timeout', where, async () => {
  const device = await FakeWatchdog.start(60, 600, { identity: 'iTCO_wdt', options: MAGIC_CLOSE });
  await withDevice(device, () =>
    inHost(async (host) => {
      const child = await host.wdmd('ours', device);
      const set = device.words().filter((what) => /Timeout/.test(what));
      assert.deepEqual(set.slice(-2), ['setTimeout 30', 'getTimeout 30']);
      const client = await WdmdClient.connect(host.socketPath);
      assert.equal((await client.status()).fireTimeout, 60);
      client.close();
      child.kill('SIGTERM');
      assert.equal(await statusOf(child), 0);
    }),
  );
});

const REFUSED = [
  [
    'takes no half of the timeout',
    20,
    { identity: 'iTCO_wdt', options: MAGIC_CLOSE },
    /invalid tim/,
  ],
  [
    'only raises an alarm',
    600,
    { identity: 'x', options: MAGIC_CLOSE | ALARM_ONLY },
    /only raises/,
  ],
  ['stops at any close', 600, { identity: 'x', options: 0 }, /stops when wdmd dies .*nowayout=1/],
] as const;

for (const [what, largestS, is, reason] of REFUSED) {
  test(`a device that ${what} is refused`, where, async () => {
    const device = await FakeWatchdog.start(60, largestS, is);
    await withDevice(device, () =>
      inHost(async (host) => {
        const ran = await host.run(WDMD.ours, ['-D', '-w', device.path]);
        assert.equal(ran.status, 255);
        assert.match(ran.stderr, reason);
        await waitFor('its last word', () => device.words().at(-1) === 'close');
        assert.ok(device.words().includes('write V'), 'disarmed');
        assert.equal(existsSync(host.path('/dev/shm/wdmd')), false, 'the next start is free');
      }),
    );
  });
}

test('an IPMI device does not say that it needs the magic close, and is used', where, async () => {
  const device = await FakeWatchdog.start(60, 600, { identity: 'IPMI', options: 0 });
  await withDevice(device, () =>
    inHost(async (host) => {
      const child = await host.wdmd('ours', device);
      child.kill('SIGTERM');
      assert.equal(await statusOf(child), 0);
      assert.deepEqual(device.words().slice(-2), ['write V', 'close']);
    }),
  );
});

/** A modprobe that makes the device a working one, and notes that it ran. */
function fakeModprobe(host: WdmdHost, device: FakeWatchdog): void {
  mkdirSync(host.path('/run/bin'));
  const program = host.path('/run/bin/modprobe');
  writeFileSync(
    program,
    `#!/bin/sh\necho "$@" > /run/loaded\nrm -f ${DOG}; ln -s ${device.path} ${DOG}\n`,
  );
  chmodSync(program, 0o755);
}

function fallingBack(host: WdmdHost) {
  const path = `PATH=/run/bin:${process.env['PATH'] ?? ''}`;
  return host.run('/usr/bin/env', [path, WDMD.ours, '--softdog', '-w', DOG]);
}

test('softdog takes the place of a device that is there and cannot be used', where, async () => {
  const device = await FakeWatchdog.start();
  await withDevice(device, () =>
    inHost(async (host) => {
      fakeModprobe(host, device);
      writeFileSync(host.path(DOG), '');
      const first = await fallingBack(host);
      assert.equal(first.status, 0, first.stderr);
      assert.ok(existsSync(host.path('/run/loaded')));
      assert.match(first.stderr, /^error 25 ioctl gettimeout \/run\/dog$/m);
      assert.match(first.stderr, /softdog was loaded \(\/run\/dog\)/);
      assert.equal(first.stdout, '');
      assert.ok(device.words().includes('write V'), 'disarmed');

      writeFileSync(host.path('/run/loaded'), 'not again');
      const second = await fallingBack(host);
      assert.deepEqual([second.status, second.stderr], [0, '']);
    }),
  );
});

test(
  'after a wdmd that did not end in order nothing is probed, for it would disarm',
  where,
  async () => {
    const device = await FakeWatchdog.start();
    await withDevice(device, () =>
      inHost(async (host) => {
        fakeModprobe(host, device);
        const child = await host.wdmd('ours', device);
        child.kill('SIGKILL');
        await statusOf(child);
        await waitFor('its last word', () => device.words().at(-1) === 'close');
        const before = device.words().length;
        const ran = await fallingBack(host);
        assert.equal(ran.status, 1);
        assert.match(ran.stderr, /^cannot probe watchdog devices while wdmd is in use\.$/m);
        assert.equal(device.words().length, before);
        assert.equal(existsSync(host.path('/run/loaded')), false);
      }),
    );
  },
);
