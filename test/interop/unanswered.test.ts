import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { until } from '../../src/rig/run.ts';
import { writeLockspace } from '../../src/wire/sanlock/area-calls.ts';
import { addLockspace, inquireLockspace, setEvent } from '../../src/wire/sanlock/daemon-calls.ts';
import { EVENT_FLAGS } from '../../src/wire/sanlock/socket.ts';
import { BEHAVIORS, connectMany } from './client-connections.ts';
import { startCountedSanlock } from './counted-daemon.ts';
import { noHungFile, startHungFile } from './hung-file.ts';
import { clientOf, lockspaceAt, must } from './sanlock-clients.ts';
import { makeArea, whyNot } from './sanlock-daemons.ts';

const CLIENTS = 5000;
const EVENTS = 3000;
/** Longer than the test takes: the join is under way all the time. */
const LONG_IO_TIMEOUT_S = 200;
const where = { skip: whyNot('ours') ?? noHungFile() ?? false };

test('a client that leaves while it waits for a join is forgotten', where, async () => {
  const file = await startHungFile(MIB);
  const daemon = await startCountedSanlock();
  try {
    const socketPath = `${daemon.directory}/sanlock.sock`;
    const client = clientOf({ socketPath });
    const lockspace = lockspaceAt(file.path);
    const { request } = inquireLockspace(lockspace, { wait: true });
    const talk = { socketPath, hellos: [new Uint8Array(0)], requests: [request] };
    const behavior = 'leaves before the answer';
    const behaviors = { [behavior]: BEHAVIORS[behavior] ?? assert.fail() };
    file.hang();
    const adding = client.call(addLockspace(lockspace, { ioTimeoutS: LONG_IO_TIMEOUT_S }));
    const isAdding = () => leaseProcessOf(daemon.pid, 'LS') !== null;
    await until('the lease process of the join', isAdding, { withinMs: 20_000 });
    await connectMany(talk, CLIENTS / 10, behaviors);
    const before = await daemon.counts();
    await connectMany(talk, CLIENTS, behaviors);
    await daemon.isBackAt(before);
    file.recover();
    await adding;
  } finally {
    file.close();
    await daemon.stop();
  }
});

/** The lease process of a lockspace, by its name among the children of a daemon. */
function leaseProcessOf(pid: number, lockspace: string): number | null {
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const children = readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ');
    for (const child of children.map(Number).filter((number) => number > 0)) {
      if (readFileSync(`/proc/${child}/comm`, 'latin1') === `slk ${lockspace}\n`) return child;
    }
  }
  return null;
}

test('events that a stopped lease process does not take are one', where, async () => {
  const daemon = await startCountedSanlock();
  let pid = 0;
  try {
    const client = clientOf({ socketPath: `${daemon.directory}/sanlock.sock` });
    const path = makeArea(`${daemon.directory}/a`, MIB);
    const lockspace = lockspaceAt(path);
    await must(client, writeLockspace(lockspace, { ioTimeoutS: 10 }));
    await must(client, addLockspace(lockspace, { ioTimeoutS: 10 }));
    const session = await client.registerProcess();
    assert.ok(session.ok);
    const flags = EVENT_FLAGS.REPLACE_EVENT | EVENT_FLAGS.ALL_HOSTS;
    const announce = async (count: number) => {
      for (let n = 1; n <= count; n++) {
        const event = { hostId: 2n, generation: 0n, event: BigInt(n), data: 0n };
        const set = await session.value.call(setEvent('LS', event, flags));
        assert.ok(set.ok);
      }
    };
    const found = () => leaseProcessOf(daemon.pid, 'LS') !== null;
    await until('the lease process', found, { withinMs: 20_000 });
    pid = leaseProcessOf(daemon.pid, 'LS') ?? 0;
    process.kill(pid, 'SIGSTOP');
    await announce(EVENTS / 10);
    const before = await daemon.counts();
    await announce(EVENTS);
    await daemon.isBackAt(before);
    session.value.close();
  } finally {
    if (pid > 0) process.kill(pid, 'SIGCONT');
    await daemon.stop();
  }
});
