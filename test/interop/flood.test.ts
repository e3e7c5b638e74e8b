import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { until } from '../../src/rig/run.ts';
import { writeLockspace, writeResource } from '../../src/wire/sanlock/area-calls.ts';
import {
  addLockspace,
  logDump,
  register,
  renewalHistory,
  status,
  version,
} from '../../src/wire/sanlock/daemon-calls.ts';
import { acquire, inquire } from '../../src/wire/sanlock/lease-calls.ts';
import { floods } from './flooding-client.ts';
import { clientOf, lockspaceAt, must } from './sanlock-clients.ts';
import { makeArea, startDaemon, whyNot } from './sanlock-daemons.ts';

const T_S = 2;
/** Renewals that must be heard of while the flood goes on. */
const RENEWALS = 3;
/** A loaded machine is slow; without a turn for each client it would be minutes. */
const MAX_ANSWER_MS = 5000;
const where = { skip: whyNot('ours') ?? false };

test('a client that floods the daemon holds up neither others nor renewals', where, async () => {
  const daemon = await startDaemon('ours', { hostName: 'one' });
  const sockets: Socket[] = [];
  try {
    const client = clientOf(daemon);
    const path = makeArea(`${daemon.directory}/a`, 4 * MIB);
    const lockspace = lockspaceAt(path);
    const disks = [{ path, offset: BigInt(MIB) }];
    const resource = { lockspaceName: 'LS', name: 'R', disks, lver: 0n, flags: 0 };
    await must(client, writeLockspace(lockspace, { ioTimeoutS: T_S }));
    await must(client, writeResource(resource));
    await must(client, addLockspace(lockspace, { ioTimeoutS: T_S }));
    const session = await client.registerProcess();
    assert.ok(session.ok);
    assert.ok((await session.value.call(acquire([resource]))).ok);
    for (const request of [logDump().request, status().request, Buffer.alloc(32, 0xa5)]) {
      const requests = { first: register().request, flood: request };
      sockets.push(floods(daemon.socketPath, requests, 'reads'));
      sockets.push(floods(daemon.socketPath, requests, 'deaf'));
    }
    const renewals = async () => (await must(client, renewalHistory('LS'))).records.length;
    const before = await renewals();
    let worstMs = 0;
    const renewed = async () => {
      const sentMs = performance.now();
      await must(client, version());
      worstMs = Math.max(worstMs, performance.now() - sentMs);
      return (await renewals()) >= before + RENEWALS;
    };
    await until(`${RENEWALS} renewals in a flood`, renewed, {
      withinMs: 10 * RENEWALS * T_S * 1000,
    });
    assert.ok(worstMs < MAX_ANSWER_MS, `answered after ${worstMs} ms`);
    const held = await session.value.call(inquire());
    assert.ok(held.ok && held.value.count === 1, daemon.log().slice(-2000));
    session.value.close();
  } finally {
    for (const socket of sockets) socket.destroy();
    await daemon.stop();
  }
});
