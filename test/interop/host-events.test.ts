import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { writeLockspace } from '../../src/wire/sanlock/area-calls.ts';
import { addLockspace, getHosts } from '../../src/wire/sanlock/daemon-calls.ts';
import { EVENT_FLAGS } from '../../src/wire/sanlock/socket.ts';
import { clientOf, must, until } from './sanlock-clients.ts';
import {
  killAtExit,
  type Maker,
  makeArea,
  removeRunFolder,
  run,
  startDaemon,
  type TestDaemon,
  whyNot,
} from './sanlock-daemons.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const PYTHON = '/usr/bin/python3';
const MODULE = '/usr/lib/python3/dist-packages';
const SCRIPT = `${ROOT}/test/interop/python-events.py`;
const T = 2;
/** The bit is carried for 6·t, the renewals are 2·t apart; and the last check of the receiver. */
const LISTEN_S = 6 * T + 3 * T;

/** One daemon of each maker, in one lockspace; `c` is host 1. */
async function twoHosts(
  scenario: (hosts: Readonly<Record<Maker, TestDaemon>>) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync('/var/tmp/holdfast-events-');
  const path = makeArea(`${directory}/ls`, MIB);
  const extra = ['-l', '0', '-h', '0'];
  const started: TestDaemon[] = [];
  const start = async (maker: Maker): Promise<TestDaemon> => {
    const options = { hostName: maker, directory, runName: `run-${maker}`, extra };
    const daemon = await startDaemon(maker, options);
    started.push(daemon);
    return daemon;
  };
  try {
    const hosts = { c: await start('c'), ours: await start('ours') };
    const area = (hostId: bigint) => ({ name: 'LS', hostId, path, offset: 0n });
    await must(clientOf(hosts.c), writeLockspace(area(0n), { ioTimeoutS: T }));
    await Promise.all([
      must(clientOf(hosts.c), addLockspace(area(1n), { ioTimeoutS: T })),
      must(clientOf(hosts.ours), addLockspace(area(2n), { ioTimeoutS: T })),
    ]);
    await until('both hosts to see each other', async () => {
      const seen = await Promise.all(started.map((host) => clientOf(host).call(getHosts('LS'))));
      return seen.every((hosts) => hosts.ok && hosts.value.length === 2);
    });
    await scenario(hosts);
  } finally {
    for (const daemon of started) await daemon.stop();
    await removeRunFolder(directory);
  }
}

async function setEvent(host: TestDaemon, numbers: readonly number[]): Promise<string> {
  const args = [SCRIPT, 'set', 'LS', ...numbers.map(String)];
  return (await run(PYTHON, args, { env: host.env })).stdout.trim();
}

interface Listener {
  /** Once it is registered. */
  readonly ready: Promise<void>;
  readonly events: Promise<unknown[]>;
}

function listen(host: TestDaemon): Listener {
  const child = spawn(PYTHON, [SCRIPT, 'listen', 'LS', `${LISTEN_S}`], {
    env: host.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  killAtExit(child);
  child.ref();
  let said = '';
  let isReady = () => {};
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes.toString();
    if (said.includes('listening\n')) isReady();
  });
  const events = new Promise<unknown[]>((resolve, reject) => {
    child.on('close', () => {
      isReady();
      const line = said.split('\n')[1];
      if (line === undefined || line === '') reject(new Error(`the listener said: ${said}`));
      else resolve(JSON.parse(line) as unknown[]); // our own script
    });
  });
  return { ready, events };
}

test('events go both ways between a C host and ours, read through libsanlock', async (t) => {
  const reason = whyNot('c', 'ours') ?? (existsSync(MODULE) ? null : 'python3-sanlock is absent');
  if (reason !== null) return t.skip(reason);
  await twoHosts(async (hosts) => {
    const listeners = { c: listen(hosts.c), ours: listen(hosts.ours) };
    await Promise.all([listeners.c.ready, listeners.ours.ready]);
    const { CUR_GENERATION, ALL_HOSTS, REPLACE_EVENT } = EVENT_FLAGS;
    assert.equal(await setEvent(hosts.c, [2, 0, 0x11, 0x12, CUR_GENERATION]), '0');
    assert.equal(await setEvent(hosts.ours, [1, 0, 0x21, 0x22, CUR_GENERATION]), '0');
    for (const host of [hosts.c, hosts.ours]) {
      assert.equal(await setEvent(host, [1, 0, 0x31, 0, 0]), '-16', host.maker);
      assert.equal(await setEvent(host, [2001, 0, 0x31, 0, ALL_HOSTS]), '-22', host.maker);
    }
    const [atC, atOurs] = await Promise.all([listeners.c.events, listeners.ours.events]);
    const fromC = { from_host_id: 1, from_generation: 1, host_id: 2, generation: 1 };
    const fromOurs = { from_host_id: 2, from_generation: 1, host_id: 1, generation: 1 };
    assert.ok(atC.length >= 2 && atC.length <= 4, `${atC.length} events at the C host`);
    assert.ok(atOurs.length >= 2 && atOurs.length <= 4, `${atOurs.length} events at ours`);
    for (const event of atC) assert.deepEqual(event, { ...fromOurs, event: 0x21, data: 0x22 });
    for (const event of atOurs) assert.deepEqual(event, { ...fromC, event: 0x11, data: 0x12 });

    const again = { c: listen(hosts.c), ours: listen(hosts.ours) };
    await Promise.all([again.c.ready, again.ours.ready]);
    const all = ALL_HOSTS | REPLACE_EVENT;
    assert.equal(await setEvent(hosts.ours, [1, 0, 0x41, 0, all]), '0');
    const [heardAtC, heardAtOurs] = await Promise.all([again.c.events, again.ours.events]);
    assert.ok(heardAtC.length > 0);
    assert.deepEqual(heardAtOurs, [], 'no listener gets its own events');
  });
});
