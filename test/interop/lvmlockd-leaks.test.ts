import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { until } from '../../src/rig/run.ts';
import { formatRequest, textToBytes } from '../../src/wire/lvmlockd/libdaemon.ts';
import { connectMany, type Talk } from './client-connections.ts';
import { CountedDaemon } from './counted-daemon.ts';
import { floods } from './flooding-client.ts';
import { whyNot } from './sanlock-daemons.ts';

const CONNECTIONS = Number(process.env['HOLDFAST_CONNECTIONS'] ?? 10_000);
/** So that everything is compiled, and has been allocated once. */
const WARM_UP = 1_000;
const where = { skip: whyNot('ours') ?? false };
const FLOOD_ROUNDS = 50;
/** A loaded machine is slow; without a turn for each client it would be many seconds. */
const MAX_ANSWER_MS = 5000;

const socketOf = (directory: string) => `${directory}/lvmlockd.socket`;

function request(name: string, fields: Parameters<typeof formatRequest>[1] = []): Uint8Array {
  return textToBytes(formatRequest(name, fields));
}

/** Without a lock manager: requests to sanlock fail, as no daemon answers. */
function startLvmlockd(): Promise<CountedDaemon> {
  return CountedDaemon.start({
    program: 'lvmlockd',
    args: (directory) => [
      ...['-D', '-s', socketOf(directory), '-p', `${directory}/lvmlockd.pid`],
      ...['--adopt-file', `${directory}/lvmlockd.adopt`],
    ],
    env: (directory) => ({ SANLOCK_RUN_DIR: directory }),
    socket: socketOf,
  });
}

function lvmTalk(socketPath: string): Talk {
  const vg = [
    ['vg_name', 'none'],
    ['vg_lock_type', 'sanlock'],
    ['vg_lock_args', '1.0.0:lvmlock'],
  ] as const;
  const lv = [...vg, ['lv_uuid', 'uuid'], ['lv_lock_args', '1.0.0:70254592']] as const;
  return {
    socketPath,
    hellos: [new Uint8Array(0), request('hello')],
    requests: [
      request('hello'),
      request('info'),
      request('lock_gl', [['mode', 'ex']]),
      request('lock_vg', [...vg, ['mode', 'ex']]),
      request('lock_lv', [...lv, ['mode', 'ex'], ['opts', 'persistent']]),
      request('start_wait'),
      request('no_such_request'),
    ],
  };
}

test('connections of every kind leave nothing open in lvmlockd', where, async () => {
  const daemon = await startLvmlockd();
  try {
    const talk = lvmTalk(socketOf(daemon.directory));
    await connectMany(talk, WARM_UP);
    const before = await daemon.counts();
    await connectMany(talk, CONNECTIONS);
    await daemon.isBackAt(before);
  } finally {
    await daemon.stop();
  }
});

test('a client that floods lvmlockd does not hold up another one', where, async () => {
  const daemon = await startLvmlockd();
  const sockets: Socket[] = [];
  try {
    const path = socketOf(daemon.directory);
    const before = await daemon.counts();
    for (const name of ['hello', 'info', 'no_such_request']) {
      for (const how of ['reads', 'deaf'] as const) {
        sockets.push(floods(path, { flood: request(name) }, how));
      }
    }
    let worstMs = 0;
    for (let round = 0; round < FLOOD_ROUNDS; round++) {
      const sentMs = performance.now();
      let isAnswered = false;
      const one = connect(path).once('data', () => {
        isAnswered = true;
      });
      one.on('error', () => {});
      one.write(request('hello'));
      await until('an answer in a flood', () => isAnswered, { withinMs: 60_000, everyMs: 5 });
      worstMs = Math.max(worstMs, performance.now() - sentMs);
      one.destroy();
    }
    assert.ok(worstMs < MAX_ANSWER_MS, `answered after ${worstMs} ms`);
    for (const socket of sockets) socket.destroy();
    await daemon.isBackAt(before);
  } finally {
    for (const socket of sockets) socket.destroy();
    await daemon.stop();
  }
});
