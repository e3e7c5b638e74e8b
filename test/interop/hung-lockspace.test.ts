import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import { MonotonicClock } from '../../src/platform/clock.ts';
import { UnixSockets } from '../../src/platform/unix-socket.ts';
import { until } from '../../src/rig/run.ts';
import { SM_CMD, SM_MAGIC, SM_PROTO } from '../../src/wire/sanlock/socket.ts';
import { type HungFile, noHungFile, startHungFile } from './hung-file.ts';
import { clientCommand, hold, startDaemon, type TestDaemon, whyNot } from './sanlock-daemons.ts';

const missing = noHungFile() ?? whyNot('ours');
const where = missing === null ? {} : { skip: missing };
const IO_TIMEOUT_S = 2;
const FAIL_MS = 8 * IO_TIMEOUT_S * 1000;
/** How late a busy machine may renew, check or wake us. */
const LATE_MS = 4000;
const clock = new MonotonicClock();

interface Fixture {
  readonly daemon: TestDaemon;
  readonly file: HungFile;
  /** A program that holds a lease on the file. */
  readonly holder: ChildProcess;
}

async function withFixture(body: (fixture: Fixture) => Promise<void>): Promise<void> {
  const file = await startHungFile(4 * MIB);
  const daemon = await startDaemon('ours', { hostName: 'hung-host' });
  const sanlock = async (...args: string[]) => {
    const ran = await clientCommand(daemon, args);
    assert.equal(ran.status, 0, `${args.join(' ')}: ${ran.stdout}\n${daemon.log()}`);
  };
  let holder: ChildProcess | null = null;
  try {
    const timeout = ['-o', String(IO_TIMEOUT_S)];
    await sanlock('init', '-s', `LS1:0:${file.path}:0`, ...timeout);
    await sanlock('init', '-r', `LS1:R1:${file.path}:1M`);
    await sanlock('add_lockspace', '-s', `LS1:1:${file.path}:0`, ...timeout);
    holder = await hold(daemon, 'ours', `LS1:R1:${file.path}:1M`);
    await body({ daemon, file, holder });
  } finally {
    holder?.kill('SIGKILL');
    const stopped = daemon.stop();
    file.close(); // requests that wait in the kernel are answered, so that everything can end
    await stopped;
  }
}

test('a hung disk: the front answers, the holder is killed on time', where, () =>
  withFixture(async ({ daemon, file, holder }) => {
    const hungMs = clock.nowMs();
    file.hang();
    const ended = new Promise<number>((done) => holder.once('exit', () => done(clock.nowMs())));
    const waits = await versionTimes(daemon.socketPath, 3000);
    // If the disk held up the front, none of them would be answered before the disk recovers.
    const most = waits.sort((a, b) => a - b)[Math.floor(waits.length * 0.8)] ?? Infinity;
    assert.ok(most < 500, `8 of 10 version calls within 500 ms, but ${most} ms`);

    // The last renewal began at most 2 io timeouts before the disk hung, and so much later.
    const tookMs = (await deadlined(ended, FAIL_MS + 10_000)) - hungMs;
    const earliestMs = FAIL_MS - 2 * IO_TIMEOUT_S * 1000 - LATE_MS;
    assert.ok(tookMs >= earliestMs, `killed ${tookMs} ms after the disk hung, too early`);
    assert.ok(
      tookMs <= FAIL_MS + 1000 + LATE_MS,
      `killed ${tookMs} ms after the disk hung, too late`,
    );
    file.recover();
    await servesAgain(daemon, file);
  }),
);

/** A guest can be started though no client added the lockspace; then one does, as libvirt would. */
async function servesAgain(daemon: TestDaemon, file: HungFile): Promise<void> {
  const lockspace = ['-s', `LS1:1:${file.path}:0`];
  const isJoined = async () => daemon.log().includes('lockspace.joinedAgain');
  await until('the lockspace is joined again', isJoined, { withinMs: 150_000 });
  const guest = await hold(daemon, 'ours', `LS1:R1:${file.path}:1M`);
  const added = async () => {
    const timeout = ['-o', String(IO_TIMEOUT_S)];
    return (await clientCommand(daemon, ['add_lockspace', ...lockspace, ...timeout])).stdout.trim();
  };
  assert.match(await added(), /add_lockspace_timeout .*\n?.*done 0$/);
  assert.match(await added(), /done -17$/);
  guest.kill('SIGKILL');
}

test('a hung disk: a killed front leaves neither socket nor pid file behind', where, () =>
  withFixture(async ({ daemon, file }) => {
    file.hang();
    await sleep(2 * IO_TIMEOUT_S * 1000 + 500); // until a renewal is stuck in the kernel
    daemon.process.kill('SIGTERM');
    await sleep(300);
    assert.equal(daemon.process.exitCode, null, 'with a lockspace, SIGTERM is refused');

    daemon.process.kill('SIGKILL');
    const isGone = async () => daemon.process.signalCode === 'SIGKILL';
    await until('the front leaves at once', isGone, { withinMs: 10_000 });
    const next = await startDaemon('ours', {
      hostName: 'hung-host-again',
      directory: daemon.directory,
    });
    try {
      const waits = await versionTimes(next.socketPath, 200);
      assert.ok(waits.length > 0, 'the next daemon serves on the same socket');
    } finally {
      await next.stop();
    }
  }),
);

/** How long each VERSION call took, one after another for `forMs`. */
async function versionTimes(path: string, forMs: number): Promise<number[]> {
  const times: number[] = [];
  const endMs = clock.nowMs() + forMs;
  while (clock.nowMs() < endMs) {
    const startMs = clock.nowMs();
    await deadlined(askVersion(path), 5000);
    times.push(clock.nowMs() - startMs);
    await sleep(10);
  }
  return times;
}

function askVersion(path: string): Promise<void> {
  const request = new Uint8Array(32);
  const view = new DataView(request.buffer);
  view.setUint32(0, SM_MAGIC, true);
  view.setUint32(4, SM_PROTO, true);
  view.setUint32(8, SM_CMD.VERSION, true);
  view.setUint32(16, request.length, true);
  return new Promise((done, fail) => {
    new UnixSockets().connect(path, 2000, (opened) => {
      if (!opened.ok) return void fail(new Error(`connect: errno ${opened.errno}`));
      opened.connection.onData(() => {
        opened.connection.close();
        done();
      });
      opened.connection.send(request);
    });
  });
}

function deadlined<T>(promise: Promise<T>, withinMs: number): Promise<T> {
  return Promise.race([
    promise,
    sleep(withinMs).then((): never => {
      throw new Error(`nothing happened within ${withinMs} ms`);
    }),
  ]);
}
