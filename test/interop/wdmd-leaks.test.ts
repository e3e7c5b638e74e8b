import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { until } from '../../src/rig/run.ts';
import { WDMD_CMD, type WdmdMessage, wdmdMessageBytes } from '../../src/wire/wdmd/socket.ts';
import { connectMany } from './client-connections.ts';
import { CountedDaemon } from './counted-daemon.ts';
import { floods } from './flooding-client.ts';
import { FakeWatchdog, WdmdClient, whyNoWdmd } from './wdmd-host.ts';

const CONNECTIONS = Number(process.env['HOLDFAST_CONNECTIONS'] ?? 10_000);
/** So that everything is compiled, and has been allocated once. */
const WARM_UP = 1_000;
const where = { skip: whyNoWdmd() ?? false };
/** Pings that must come in time while the flood goes on: one each 10 s. */
const PINGS = 2;
const PING_EVERY_MS = 10_000;
/** A loaded machine is slow; without a turn for each client a flood would be served first. */
const MAX_LATE_MS = 5000;

const socketOf = (directory: string) => `${directory}/wdmd.sock`;

function request(cmd: number, fields: Partial<WdmdMessage> = {}): Uint8Array {
  return wdmdMessageBytes({ cmd, ...fields });
}

async function withWdmd(
  work: (daemon: CountedDaemon, device: FakeWatchdog) => Promise<void>,
): Promise<void> {
  const device = await FakeWatchdog.start();
  const daemon = await CountedDaemon.start({
    program: 'wdmd',
    args: () => ['-D', '-G', 'root', '-w', device.path],
    env: (directory) => ({ WDMD_RUN_DIR: directory, WDMD_SHM_DIR: directory }),
    socket: socketOf,
  });
  try {
    await work(daemon, device);
  } finally {
    await daemon.stop();
    device.close();
  }
}

test('connections of every kind leave nothing open in wdmd', where, async () => {
  await withWdmd(async (daemon) => {
    const registered = Buffer.concat([
      request(WDMD_CMD.REGISTER, { name: 'client' }),
      request(WDMD_CMD.REFCOUNT_SET),
      request(WDMD_CMD.TEST_LIVE),
    ]);
    const talk = {
      socketPath: socketOf(daemon.directory),
      hellos: [new Uint8Array(0), registered],
      requests: [
        request(WDMD_CMD.STATUS),
        request(WDMD_CMD.DUMP_DEBUG),
        request(WDMD_CMD.OPEN_WATCHDOG, { fireTimeout: 60 }),
      ],
    };
    await connectMany(talk, WARM_UP);
    const before = await daemon.counts();
    await connectMany(talk, CONNECTIONS);
    await daemon.isBackAt(before);
    const client = await WdmdClient.connect(talk.socketPath);
    assert.deepEqual(
      (await client.dump()).match(/^client [2-9]/gm),
      ['client 2'],
      'only the asker',
    );
    client.close();
  });
});

test('a client that floods wdmd delays neither pings nor answers', where, async () => {
  await withWdmd(async (daemon, device) => {
    const sockets: Socket[] = [];
    const client = await WdmdClient.connect(socketOf(daemon.directory));
    try {
      for (const cmd of [WDMD_CMD.STATUS, WDMD_CMD.DUMP_DEBUG, 99]) {
        sockets.push(floods(socketOf(daemon.directory), { flood: request(cmd) }, 'reads'));
        sockets.push(floods(socketOf(daemon.directory), { flood: request(cmd) }, 'deaf'));
      }
      const pings = () => device.events().filter(({ what }) => what === 'keepalive');
      const before = pings().length;
      let worstMs = 0;
      const pinged = async () => {
        const sentMs = performance.now();
        await client.status();
        worstMs = Math.max(worstMs, performance.now() - sentMs);
        return pings().length >= before + PINGS;
      };
      const withinMs = 2 * PINGS * (PING_EVERY_MS + MAX_LATE_MS);
      await until(`${PINGS} pings in a flood`, pinged, { withinMs });
      assert.ok(worstMs < MAX_LATE_MS, `answered after ${worstMs} ms`);
      const times = pings().map(({ ms }) => ms);
      for (const [index, ms] of times.entries()) {
        const afterMs = ms - (times[index - 1] ?? ms);
        assert.ok(afterMs < PING_EVERY_MS + MAX_LATE_MS, `${afterMs} ms between two pings`);
      }
    } finally {
      client.close();
      for (const socket of sockets) socket.destroy();
    }
  });
});
