import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../src/rig/run.ts';
import {
  inquireLockspace,
  logDump,
  register,
  status,
  version,
} from '../../src/wire/sanlock/daemon-calls.ts';
import { acquire, inquire } from '../../src/wire/sanlock/lease-calls.ts';
import { connectMany, type Talk } from './client-connections.ts';
import { startCountedSanlock } from './counted-daemon.ts';
import { clientOf } from './sanlock-clients.ts';
import { whyNot } from './sanlock-daemons.ts';

const CONNECTIONS = Number(process.env['HOLDFAST_CONNECTIONS'] ?? 10_000);
/** So that everything is compiled, and has been allocated once. */
const WARM_UP = 1_000;
const where = { skip: whyNot('ours') ?? false };

const NOWHERE = { path: '/nowhere', offset: 0n };

function sanlockTalk(socketPath: string): Talk {
  const lockspace = { name: 'LS', hostId: 1n, ...NOWHERE };
  const resource = { lockspaceName: 'LS', name: 'R', disks: [NOWHERE], lver: 0n, flags: 0 };
  const calls = [
    version(),
    status(),
    logDump(),
    inquire(),
    inquireLockspace(lockspace),
    acquire([resource]),
  ];
  return {
    socketPath,
    hellos: [new Uint8Array(0), register().request],
    requests: calls.map((call) => call.request),
  };
}

test('connections of every kind leave nothing open in sanlock', where, async () => {
  const daemon = await startCountedSanlock();
  try {
    const talk = sanlockTalk(`${daemon.directory}/sanlock.sock`);
    await connectMany(talk, WARM_UP);
    const before = await daemon.counts();
    await connectMany(talk, CONNECTIONS);
    await daemon.isBackAt(before);
  } finally {
    await daemon.stop();
  }
});

const DESCRIPTOR_LIMIT = 64;
const SPIN_LOOK_MS = 1000;

test('with no descriptor left sanlock waits, and serves again with the first', where, async () => {
  const daemon = await startCountedSanlock(DESCRIPTOR_LIMIT);
  const sockets: Socket[] = [];
  try {
    const socketPath = `${daemon.directory}/sanlock.sock`;
    const before = await daemon.counts();
    let refused = 0;
    for (let n = 0; n < 2 * DESCRIPTOR_LIMIT; n++) {
      const socket = connect(socketPath).on('error', () => {});
      socket.once('close', () => refused++);
      sockets.push(socket.resume());
    }
    const full = () => daemon.descriptors() >= DESCRIPTOR_LIMIT - 1;
    await until('a full table of descriptors', full, { withinMs: 20_000 });
    await until('a client without a place', () => refused > 0, { withinMs: 20_000 });
    const cpuMs = daemon.cpuMs();
    await sleep(SPIN_LOOK_MS);
    const tookMs = daemon.cpuMs() - cpuMs;
    assert.ok(tookMs < SPIN_LOOK_MS / 5, `${tookMs} ms of processor time in ${SPIN_LOOK_MS} ms`);
    for (const socket of sockets) socket.destroy();
    await daemon.isBackAt(before);
    const answer = await clientOf({ socketPath }).call(version(), { timeoutMs: 20_000 });
    assert.ok(answer.ok, daemon.log());
  } finally {
    for (const socket of sockets) socket.destroy();
    await daemon.stop();
  }
});
