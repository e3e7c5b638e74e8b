import assert from 'node:assert/strict';
import { mkdtempSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import type { SanlockClient, SanlockSession } from '../../src/client/sanlock.ts';
import { until } from '../../src/rig/run.ts';
import {
  readResource,
  readResourceOwners,
  writeLockspace,
  writeResource,
} from '../../src/wire/sanlock/area-calls.ts';
import { addLockspace, renewalHistory } from '../../src/wire/sanlock/daemon-calls.ts';
import { acquire, inquire, release } from '../../src/wire/sanlock/lease-calls.ts';
import type { Resource } from '../../src/wire/sanlock/types.ts';
import { noHungFile, startHungFile } from './hung-file.ts';
import { clientOf, lockspaceAt, must, resourceAt } from './sanlock-clients.ts';
import { makeArea, startDaemon, type TestDaemon, whyNot } from './sanlock-daemons.ts';

const T_S = 2;
const CLIENTS = 48;
/** Own expiry, 8·t, lies in them: the lockspace would be lost. */
const RENEWALS = 5;
/** Of 8 MiB areas with 4096 byte sectors: a read takes as much memory as there can be. */
const LARGE = 0x80 | 0x200;
const AT_ONCE = 40;
const ASKED_MS = 3000;
const hung = { skip: whyNot('ours') ?? noHungFile() ?? false };
const plain = { skip: whyNot('ours') ?? false };

function resource(name: string, path: string, offset: number, flags = 0): Resource {
  return resourceAt(path, { name, offset }, 'LS', flags);
}

async function joined(
  client: SanlockClient,
  path: string,
  { flags = 0, ioTimeoutS = T_S } = {},
): Promise<void> {
  const lockspace = lockspaceAt(path, 'LS', flags);
  await must(client, writeLockspace(lockspace, { ioTimeoutS }));
  await must(client, addLockspace(lockspace, { ioTimeoutS }));
}

async function sessions(client: SanlockClient, count: number): Promise<SanlockSession[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const registered = await client.registerProcess();
      assert.ok(registered.ok);
      return registered.value;
    }),
  );
}

async function withHungFile(
  body: (daemon: TestDaemon, file: Awaited<ReturnType<typeof startHungFile>>) => Promise<void>,
): Promise<void> {
  const file = await startHungFile(64 * MIB);
  const daemon = await startDaemon('ours', { hostName: 'one' });
  try {
    await body(daemon, file);
  } finally {
    file.close();
    await daemon.stop();
  }
}

test('a resource device that hangs costs nothing on a healthy one', hung, () =>
  withHungFile(async (daemon, file) => {
    const client = clientOf(daemon);
    const path = makeArea(`${daemon.directory}/a`, 8 * MIB);
    for (let n = 0; n < CLIENTS; n++) {
      await must(client, writeResource(resource(`H${n}`, file.path, n * MIB)));
    }
    for (const n of [1, 2]) await must(client, writeResource(resource(`R${n}`, path, n * MIB)));
    await joined(client, path);
    const all = await sessions(client, CLIENTS + 1);
    const own = all.pop();
    assert.ok(own !== undefined);
    assert.ok((await own.call(acquire([resource('R1', path, MIB)]))).ok);
    const renewals = async () => (await must(client, renewalHistory('LS'))).records.length;
    file.hang();
    let over = false;
    const loops = all.map(async (session, n) => {
      while (!over) {
        const answer = await session.call(acquire([resource(`H${n}`, file.path, n * MIB)]));
        assert.ok(over || !answer.ok, 'nothing is granted on a hung device');
        await sleep(10);
      }
    });
    const before = await renewals();
    const renewed = async () => (await renewals()) >= before + RENEWALS;
    await until(`${RENEWALS} renewals`, renewed, { withinMs: 10 * RENEWALS * T_S * 1000 });
    const healthy = [resource('R2', path, 2 * MIB)];
    assert.ok((await own.call(acquire(healthy))).ok, daemon.log().slice(-2000));
    assert.ok((await own.call(release(healthy))).ok);
    const held = await own.call(inquire());
    assert.ok(held.ok && held.value.count === 1, daemon.log().slice(-2000));
    over = true;
    file.recover();
    await Promise.all(loops);
    for (const session of [...all, own]) session.close();
  }),
);

test('opens that hang keep no other device from being opened', hung, () =>
  withHungFile(async (daemon, file) => {
    const client = clientOf(daemon);
    const path = makeArea(`${daemon.directory}/a`, 4 * MIB);
    const second = makeArea(`${daemon.directory}/b`, 4 * MIB);
    await must(client, writeResource(resource('H', file.path, MIB)));
    await must(client, writeResource(resource('R', second, MIB)));
    await joined(client, path);
    const [session] = await sessions(client, 1);
    assert.ok(session !== undefined);
    file.hang();
    for (let n = 0; n < 5; n++) {
      const answer = await session.call(acquire([resource('H', file.path, MIB)]));
      assert.ok(!answer.ok, 'nothing is granted on a hung device');
    }
    const answer = await session.call(acquire([resource('R', second, MIB)]));
    assert.ok(answer.ok, daemon.log().slice(-2000));
    file.recover();
    const back = async () => (await session.call(acquire([resource('H', file.path, MIB)]))).ok;
    await until('a lease on the device that is back', back, { withinMs: 30_000 });
    session.close();
  }),
);

/** More than a pool of threads has as Node makes it. */
const PATHS = 8;

test(
  'opens that hang keep no other device from being opened, without a lockspace and with any timeout',
  hung,
  () =>
    withHungFile(async (daemon, file) => {
      const client = clientOf(daemon);
      const folder = mkdtempSync(`${daemon.directory}/hung-`);
      const path = makeArea(`${daemon.directory}/a`, 2 * MIB);
      await must(client, writeResource(resource('R', path, MIB)));
      const hanging = Array.from({ length: PATHS }, (_, n) => join(folder, `link${n}`));
      for (const link of hanging) symlinkSync(file.path, link);
      file.hang();
      let over = false;
      const loops = hanging.map(async (link) => {
        while (!over) await clientOf(daemon).call(readResource(resource('H', link, MIB)));
      });
      await Promise.all(hanging.map((link) => client.call(readResource(resource('H', link, MIB)))));
      for (let n = 0; n < 3; n++) await must(client, readResource(resource('R', path, MIB)));
      over = true;
      file.recover();
      await Promise.all(loops);
    }),
);

test(
  'more large areas at once than there is memory for are served one after another',
  plain,
  async () => {
    const daemon = await startDaemon('ours', { hostName: 'one' });
    try {
      const client = clientOf(daemon);
      const areaBytes = 8 * MIB;
      const path = makeArea(`${daemon.directory}/a`, (AT_ONCE + 1) * areaBytes);
      const at = (n: number) => resource(`R${n}`, path, (n + 1) * areaBytes, LARGE);
      for (let n = 0; n < AT_ONCE; n++) await must(client, writeResource(at(n)));
      // Each request has this time to wait for memory and to read, on a slow disk too.
      await joined(client, path, { flags: LARGE, ioTimeoutS: 10 });
      const all = await sessions(client, AT_ONCE);
      const endMs = performance.now() + ASKED_MS;
      const refused: string[] = [];
      const loops = all.map(async (session, n) => {
        while (performance.now() < endMs) {
          const owners = await clientOf(daemon).call(readResourceOwners(at(n)));
          const acquired = await session.call(acquire([at(n)]));
          for (const answer of [owners, acquired]) {
            if (!answer.ok) refused.push(answer.error.message);
          }
          if (acquired.ok) await session.call(release([at(n)]));
        }
      });
      await Promise.all(loops);
      assert.deepEqual(refused, []);
      for (const session of all) session.close();
    } finally {
      await daemon.stop();
    }
  },
);
