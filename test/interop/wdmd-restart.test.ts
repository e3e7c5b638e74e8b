import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import {
  HAND_OVER_ANSWER,
  REGISTER_FLAGS,
  TAKE_OVER_ANSWER,
  WDMD_CMD,
} from '../../src/wire/wdmd/socket.ts';
import { type Maker, makeArea, removeRunFolder, SANLOCK, whyNot } from './sanlock-daemons.ts';
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

/** A wdmd that is killed, and another one that is started after it (spec 25 §8). */
const missing = whyNoWdmd() ?? whyNot('c');
const where = missing === null ? { timeout: 240_000 } : { skip: missing };
const NAME = 'sanlock_LS:1';
const GUARD = '/dev/shm/wdmd';
const DUTIES = '/run/wdmd/wdmd.duties';
const OURS = REGISTER_FLAGS.WAITS | REGISTER_FLAGS.RECONNECTS;
const REFUSAL = /other wdmd not cleanly stopped, shm_open error 17\n$/;

async function withHost(
  work: (host: WdmdHost, device: FakeWatchdog) => Promise<void>,
): Promise<void> {
  const device = await FakeWatchdog.start();
  const host = await WdmdHost.start();
  try {
    await work(host, device);
  } finally {
    host.close();
    device.close();
  }
}

/** As sanlock of holdfast begins a lockspace. */
async function joined(host: WdmdHost, expireS: number, flags: number = OURS): Promise<WdmdClient> {
  const client = await WdmdClient.connect(host.socketPath);
  client.send({ cmd: WDMD_CMD.REGISTER, name: NAME, flags });
  client.send({ cmd: WDMD_CMD.REFCOUNT_SET });
  client.live(nowS(), expireS);
  assert.equal((await client.status()).fireTimeout, 60);
  return client;
}

/** As it goes on with it after either daemon was started again. */
async function tookOver(host: WdmdHost, renewalS: number, expireS: number): Promise<WdmdClient> {
  const client = await WdmdClient.connect(host.socketPath);
  client.send({ cmd: WDMD_CMD.REGISTER, name: NAME, flags: OURS });
  client.send({ cmd: WDMD_CMD.REFCOUNT_SET });
  const answer = await client.ask({ cmd: WDMD_CMD.TAKE_OVER });
  assert.equal(answer.cmd, WDMD_CMD.TAKE_OVER);
  assert.equal(answer.flags, TAKE_OVER_ANSWER.READY);
  client.live(renewalS, expireS);
  await client.status();
  return client;
}

/** The calls that the device gets from now on, without questions. */
function callsFrom(device: FakeWatchdog): () => readonly string[] {
  const before = device.words().length;
  return () =>
    device
      .words()
      .slice(before)
      .filter((what) => !what.startsWith('getTimeout'));
}

async function killed(child: ChildProcess, device: FakeWatchdog): Promise<void> {
  const calls = callsFrom(device);
  child.kill('SIGKILL');
  await statusOf(child);
  await waitFor('the last word of the killed one', () => calls().includes('close'));
}

async function restarted(host: WdmdHost, device: FakeWatchdog, to = device): Promise<ChildProcess> {
  const calls = callsFrom(device);
  const child = host.spawn(WDMD.ours, ['-D', '-w', to.path]);
  await host.serves('a serving successor');
  await waitFor('a fed device', () => calls().includes('keepalive'));
  return child;
}

test('killed and started again: the device is fed on, and the duty is taken over', where, () =>
  withHost(async (host, device) => {
    const child = await host.wdmd('ours', device);
    const startS = nowS();
    const client = await joined(host, startS + 80);
    await killed(child, device);
    const calls = callsFrom(device);
    const other = await FakeWatchdog.start();
    // Another -w: its device is the one that counts.
    const successor = await restarted(host, device, other);
    assert.deepEqual(calls(), ['open', 'keepalive']);
    assert.deepEqual(other.words(), []);
    other.close();
    assert.match(await host.dump(), /name sanlock_LS:1 pid \d+ fd -1 dead 1 ref 1 /);
    successor.kill('SIGTERM'); // refused: a dead connection holds a refcount
    client.close();
    const heir = await tookOver(host, startS, startS + 80);
    assert.match(await host.dump(), /name sanlock_LS:1 pid \d+ fd \d+ dead 0 ref 1 /);
    assert.equal(successor.exitCode, null);
    heir.live(0, 0);
    heir.send({ cmd: WDMD_CMD.REFCOUNT_CLEAR });
    await heir.status();
    heir.close();
    successor.kill('SIGTERM');
    assert.equal(await statusOf(successor), 0);
    assert.deepEqual(device.words().slice(-2), ['write V', 'close']);
    assert.equal(existsSync(host.path(GUARD)), false);
    assert.equal(existsSync(host.path(DUTIES)), false);
  }),
);

test('killed ten times at any moment of a renewal', where, () =>
  withHost(async (host, device) => {
    let child = await host.wdmd('ours', device);
    let client = await joined(host, nowS() + 80);
    for (let round = 0; round < 10; round++) {
      for (let n = 0; n < 50 * round; n++) client.live(nowS(), nowS() + 80);
      await killed(child, device);
      client.close();
      child = await restarted(host, device);
      const renewedS = nowS();
      client = await tookOver(host, renewedS, renewedS + 80);
      assert.doesNotMatch(await host.dump(), / dead 1 /);
    }
  }),
);

test('an ordered end for a successor: the device is not disarmed, the status is 75', where, () =>
  withHost(async (host, device) => {
    const child = await host.wdmd('ours', device);
    const startS = nowS();
    const client = await joined(host, startS + 80);
    const calls = callsFrom(device);
    const asked = await WdmdClient.connect(host.socketPath);
    const answer = await asked.ask({ cmd: WDMD_CMD.HAND_OVER });
    assert.equal(answer.flags, HAND_OVER_ANSWER.ENDS);
    assert.equal(await statusOf(child), 75);
    await waitFor('a closed device', () => calls().includes('close'));
    assert.deepEqual(calls(), ['close']);
    asked.close();
    client.close();
    await restarted(host, device);
    await tookOver(host, startS, startS + 80);
  }),
);

test('no ordered end where a client would not come back, or for another user', where, () =>
  withHost(async (host, device) => {
    const child = await host.wdmd('ours', device);
    const client = await joined(host, nowS() + 80, 0);
    const answer = await client.ask({ cmd: WDMD_CMD.HAND_OVER });
    assert.equal(answer.flags, HAND_OVER_ANSWER.CLIENT_STAYS);
    assert.equal(answer.name, NAME);
    assert.equal(child.exitCode, null);
  }),
);

test('past an expiry no successor starts, and none touches the device', where, () =>
  withHost(async (host, device) => {
    const child = await host.wdmd('ours', device);
    const expireS = nowS() + 13;
    await joined(host, expireS);
    await killed(child, device);
    const calls = callsFrom(device);
    await waitFor('the expiry', () => nowS() >= expireS, 20_000);
    const again = await host.run(WDMD.ours, ['-D', '-w', device.path]);
    assert.equal(again.status, 255);
    assert.match(again.stderr, /the expiry of sanlock_LS:1 \(pid \d+\) has passed/);
    assert.match(again.stderr, REFUSAL);
    assert.deepEqual(calls(), []);
  }),
);

test('near an expiry it serves, and opens the device only for a renewal', where, () =>
  withHost(async (host, device) => {
    const child = await host.wdmd('ours', device);
    const startS = nowS();
    const expireS = startS + 14;
    await joined(host, expireS);
    await waitFor('the last seconds', () => nowS() >= expireS - 9, 20_000);
    await killed(child, device);
    const calls = callsFrom(device);
    host.spawn(WDMD.ours, ['-D', '-w', device.path]);
    await host.serves('a serving successor');
    await host.dump(); // it has tested by now
    assert.deepEqual(calls(), []);
    await tookOver(host, nowS(), nowS() + 80);
    await waitFor('a fed device', () => calls().includes('keepalive'));
    assert.ok(nowS() < expireS + 2);
  }),
);

/** Whose wdmd is killed, whose is started: only ours after ours goes on. */
const PAIRS: readonly (readonly [Maker, Maker])[] = [
  ['c', 'ours'],
  ['ours', 'c'],
];

for (const [first, second] of PAIRS) {
  test(`wdmd of ${first} is killed: that of ${second} does not start`, where, () =>
    withHost(async (host, device) => {
      const child = await host.wdmd(first, device);
      await killed(child, device);
      const calls = callsFrom(device);
      const again = await host.run(WDMD[second], ['-D', '-w', device.path]);
      assert.match(again.stderr, REFUSAL);
      assert.notEqual(again.status, 0);
      assert.deepEqual(calls(), []);
    }),
  );
}

test("a journal of ours says nothing of C's wdmd that came after it", where, () =>
  withHost(async (host, device) => {
    await killed(await host.wdmd('ours', device), device);
    assert.equal(existsSync(host.path(DUTIES)), true);
    rmSync(host.path(GUARD)); // an administrator, who should not
    const calls = callsFrom(device);
    const theirs = host.spawn(WDMD.c, ['-D', '-w', device.path]);
    await host.serves('the original');
    await waitFor('a fed device', () => calls().includes('keepalive'));
    await killed(theirs, device);
    const again = await host.run(WDMD.ours, ['-D', '-w', device.path]);
    assert.match(again.stderr, /it left no record of its duties/);
    assert.equal(again.status, 255);
  }),
);

test("C's wdmd ignores TAKE_OVER, and the duty of the dead connection stays", where, () =>
  withHost(async (host, device) => {
    await host.wdmd('c', device);
    const first = await joined(host, nowS() + 80);
    first.close();
    await waitFor('its end', async () => (await host.dump()).includes(' dead 1 '));
    const client = await WdmdClient.connect(host.socketPath);
    client.send({ cmd: WDMD_CMD.REGISTER, name: NAME, flags: OURS });
    client.send({ cmd: WDMD_CMD.REFCOUNT_SET });
    client.send({ cmd: WDMD_CMD.TAKE_OVER });
    const status = await client.status();
    assert.equal(status.cmd, WDMD_CMD.STATUS, 'no other answer came before it');
    client.live(nowS(), nowS() + 80);
    await client.status();
    const dump = await host.dump();
    assert.match(dump, /name sanlock_LS:1 pid \d+ fd -1 dead 1 ref 1 /);
    assert.match(dump, /name sanlock_LS:1 pid \d+ fd \d+ dead 0 ref 1 /);
  }),
);

/** A sanlock in a lockspace whose claims are good for 16 s. */
async function withSanlock(
  maker: Maker,
  work: (host: WdmdHost, device: FakeWatchdog, wdmd: ChildProcess) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync('/var/tmp/holdfast-wdmd-');
  try {
    await withHost(async (host, device) => {
      const area = makeArea(`${directory}/area`, MIB);
      const wdmd = await host.wdmd('ours', device);
      const environment = { SANLOCK_RUN_DIR: '/run/sanlock', SANLOCK_PRIVILEGED: '0' };
      const daemon = ['daemon', '-D', '-w', '1', '-U', 'root', '-G', 'root', '-e', 'one'];
      host.spawn(SANLOCK[maker], daemon, environment);
      await host.sanlockServes();
      for (const action of ['init', 'add_lockspace']) {
        const words = ['SANLOCK_RUN_DIR=/run/sanlock', SANLOCK.c, 'client', action];
        const ran = await host.run('env', [...words, '-s', `LW:3:${area}:0`, '-o', '2']);
        assert.equal(ran.status, 0, ran.stderr);
      }
      // A client without an expiry may have sent one that a killed wdmd did not read: no successor.
      await waitFor('an expiry', async () => / expire [1-9]/.test(await host.dump()));
      await work(host, device, wdmd);
    });
  } finally {
    await removeRunFolder(directory);
  }
}

test("C's sanlock does not come back: its duty resets the host as ever", where, () =>
  withSanlock('c', async (host, device, wdmd) => {
    await killed(wdmd, device);
    await restarted(host, device);
    assert.match(await host.dump(), /name sanlock_LW:3 pid \d+ fd -1 dead 1 ref 1 /);
    await waitFor('the end of feeding', () => device.words().at(-1) === 'close', 30_000);
    const calls = callsFrom(device);
    await sleep(5000);
    assert.deepEqual(calls(), []);
  }),
);

test('our sanlock comes back, after a kill and after an ordered end', where, () =>
  withSanlock('ours', async (host, device, wdmd) => {
    const isWatched = async () => {
      const dump = await host.dump();
      return / sanlock_LW:3 pid \d+ fd \d+ dead 0 ref 1 /.test(dump) && !dump.includes(' dead 1 ');
    };
    await killed(wdmd, device);
    const second = await restarted(host, device);
    await waitFor('a duty that was taken over', isWatched);
    const asker = await WdmdClient.connect(host.socketPath);
    const answer = await asker.ask({ cmd: WDMD_CMD.HAND_OVER });
    assert.equal(answer.flags, HAND_OVER_ANSWER.ENDS, answer.name);
    assert.equal(await statusOf(second), 75);
    await restarted(host, device);
    await waitFor('a duty that was taken over again', isWatched);
    const calls = callsFrom(device);
    const laterS = nowS() + 20; // past each expiry that either wdmd had from a connection that died
    await waitFor('a later expiry', () => nowS() > laterS, 30_000);
    assert.ok(!calls().includes('close'), calls().join());
  }),
);

test('a full run directory: what is not recorded has no successor', where, () =>
  withHost(async (host, device) => {
    const child = await host.wdmd('ours', device);
    const small = await host.run('mount', ['-o', 'remount,size=256k', '/run']);
    assert.equal(small.status, 0, small.stderr);
    const filler = host.path('/run/filler');
    fill(filler);
    const client = await joined(host, nowS() + 80);
    // The last page of the journal has room for some lines; removed, it leaves room for others.
    await waitFor('a removed journal', async () => {
      for (let n = 0; n < 100; n++) client.live(nowS(), nowS() + 80 + n);
      await client.status();
      fill(filler);
      return !existsSync(host.path(DUTIES));
    });
    await killed(child, device);
    client.close();
    rmSync(filler);
    const again = await host.run(WDMD.ours, ['-D', '-w', device.path]);
    assert.equal(again.status, 255);
  }),
);

/** Writes until there is no room for a line. */
function fill(path: string): void {
  for (const bytes of [4096, 1]) {
    const piece = new Uint8Array(bytes);
    assert.throws(() => {
      for (let written = 0; written < 2 * MIB; written += bytes) appendFileSync(path, piece);
    }, /ENOSPC/);
  }
}
