import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { writeLockspace, writeResource } from '../../src/wire/sanlock/area-calls.ts';
import { addLockspace, getHosts, setEvent } from '../../src/wire/sanlock/daemon-calls.ts';
import type { ReceivedEvent } from '../../src/wire/sanlock/events.ts';
import { HOST_STATES } from '../../src/wire/sanlock/socket.ts';
import { clientOf, lockspaceAt, must, until } from './sanlock-clients.ts';
import { type Maker, makeArea, run, startDaemon, whyNot } from './sanlock-daemons.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();

async function runExamples(maker: Maker): Promise<void> {
  const daemon = await startDaemon(maker, { hostName: 'host1' });
  try {
    const client = clientOf(daemon);
    const path = makeArea(`${daemon.directory}/leases`, 8 * MIB);
    const lockspace = lockspaceAt(path);
    const disks = [{ path, offset: BigInt(MIB) }];
    const resource = { lockspaceName: 'LS', name: 'mail', disks, lver: 0n, flags: 0 };
    await must(client, writeLockspace(lockspace, { ioTimeoutS: 2 }));
    await must(client, writeResource(resource));
    await must(client, addLockspace(lockspace, { ioTimeoutS: 2 }));
    await until('our host to be seen alive', async () => {
      const hosts = await client.call(getHosts('LS'));
      return hosts.ok && hosts.value.some((host) => host.flags === HOST_STATES.LIVE);
    });

    const example = (name: string, ...args: string[]) =>
      run(process.execPath, [`${ROOT}/scripts/run-script.mjs`, `examples/${name}`, ...args], {
        env: daemon.env,
      });
    const taken = await example('acquire-a-lease.ts', `LS:mail:${path}:${MIB}`);
    assert.deepEqual(taken.stdout.split('\n').slice(0, 2), [
      `held: LS:mail:${path}:${MIB}:1`,
      'released',
    ]);
    const refused = await example('acquire-a-lease.ts', `LS:other:${path}:${MIB}`);
    assert.match(refused.stdout, /LEADER_RESOURCE/);
    const hosts = await example('watch-hosts.ts', '1');
    assert.equal(hosts.stdout, 'LS: 1 LIVE\n');
  } finally {
    await daemon.stop();
  }
}

test('the examples do what they say, on the C daemon', async (t) => {
  const reason = whyNot('c');
  if (reason !== null) return t.skip(reason);
  await runExamples('c');
});

test('the examples do what they say, on our daemon', async (t) => {
  const reason = whyNot('ours');
  if (reason !== null) return t.skip(reason);
  await runExamples('ours');
});

test('an event set on one host reaches the watcher on another', async (t) => {
  const reason = whyNot('c');
  if (reason !== null) return t.skip(reason);
  const one = await startDaemon('c', { hostName: 'host1' });
  const two = await startDaemon('c', { hostName: 'host2' });
  try {
    const path = makeArea(`${one.directory}/leases`, MIB);
    const lockspace = lockspaceAt(path);
    await must(clientOf(one), writeLockspace(lockspace, { ioTimeoutS: 1 }));
    await Promise.all([
      must(clientOf(one), addLockspace(lockspace, { ioTimeoutS: 1 })),
      must(clientOf(two), addLockspace({ ...lockspace, hostId: 2n }, { ioTimeoutS: 1 })),
    ]);
    const events: ReceivedEvent[] = [];
    const handlers = { onEvent: (event: ReceivedEvent) => events.push(event), onClosed: () => {} };
    const watch = await clientOf(one).watchEvents('LS', handlers);
    assert.ok(watch.ok);
    await must(clientOf(two), setEvent('LS', { hostId: 1n, generation: 0n, event: 5n, data: 6n }));
    await until('the event', async () => events.length > 0);
    assert.deepEqual(events[0], {
      hostId: 1n,
      generation: 0n,
      event: 5n,
      data: 6n,
      fromHostId: 2n,
      fromGeneration: 1n,
    });
    watch.value.close();
    const none = await clientOf(one).watchEvents('NO', handlers);
    assert.ok(!none.ok && none.error.name === 'ENOENT');
  } finally {
    await one.stop();
    await two.stop();
  }
});
