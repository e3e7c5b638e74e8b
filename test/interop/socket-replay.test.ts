import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import { writeLockspace, writeResource } from '../../src/wire/sanlock/area-calls.ts';
import { addLockspace, getHosts, setEvent, status } from '../../src/wire/sanlock/daemon-calls.ts';
import { acquire, release } from '../../src/wire/sanlock/lease-calls.ts';
import { HOST_STATES, RES_FLAGS, SM_HEADER_BYTES } from '../../src/wire/sanlock/socket.ts';
import type { Lockspace, Resource } from '../../src/wire/sanlock/types.ts';
import { canonical } from './replay-canonical.ts';
import { compareAnswer } from './replay-compare.ts';
import {
  type Exchange,
  loadExchanges,
  movePaths,
  ReplayConnection,
  TWO_HOSTS,
} from './replay-exchanges.ts';
import { ReplayHarness } from './replay-harness.ts';
import { must, until } from './sanlock-clients.ts';
import { type Maker, whyNot } from './sanlock-daemons.ts';

/** So that a daemon has seen the connections before end, and gives slots in the recorded order. */
const SETTLE_MS = 100;
const RECORDED_FOLDER = '/srv/sanlk';

/** Not replayed in order here, and why. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  '012-init-resource-bad-sector-align': 'nothing is sent: cli.test.ts types it',
  '308-no-daemon': 'nothing is sent: cli.test.ts types it',
  '400-wdmd-lockspace-life': 'a connection to wdmd: wdmd/messages.test.ts replays it',
  ...Object.fromEntries(
    TWO_HOSTS.map((name) => [
      name,
      'other daemons and another lockspace: two-hosts-replay.test.ts',
    ]),
  ),
};

/** The recorded pids, and the processes that stand for them. */
const RECORDED_PIDS = { relay: 13101, client: 14263, orphaner: 15501 } as const;

class Replay {
  readonly harness: ReplayHarness;
  readonly pids = new Map<number, number>([[process.pid, RECORDED_PIDS.relay]]);
  readonly processes = new Map<number, ChildProcess & { readonly pid: number }>();
  /** 060: the registered connection that stays open. */
  session: ReplayConnection | null = null;
  hostTwoPid = 0;

  constructor(harness: ReplayHarness) {
    this.harness = harness;
  }

  resource(name: string, mebibyte: number, flags = 0): Resource {
    const disks = [{ path: `${this.harness.folder}/res`, offset: BigInt(mebibyte * MIB) }];
    return { lockspaceName: 'LS1', name, disks, lver: 0n, flags };
  }

  lockspace(name: string, file: string, hostId: bigint): Lockspace {
    return { name, hostId, path: `${this.harness.folder}/${file}`, offset: 0n };
  }

  /** A registered process in the place of a recorded one. */
  async play(recordedPid: number): Promise<number> {
    const child = await this.harness.register(this.harness.host1);
    this.pids.set(child.pid, recordedPid);
    this.processes.set(recordedPid, child);
    return child.pid;
  }

  pidOf(recordedPid: number): number {
    return this.processes.get(recordedPid)?.pid ?? 0;
  }

  /** Every place in a request where a recorded pid stands is data2 of its header. */
  requestBytes(hex: string): Buffer {
    const bytes = movePaths(hex, RECORDED_FOLDER, this.harness.folder);
    if (bytes.length < SM_HEADER_BYTES) return bytes;
    const played = this.processes.get(bytes.readInt32LE(28));
    if (played !== undefined) bytes.writeInt32LE(played.pid, 28);
    return bytes;
  }

  /** Shared or exclusive on host 2, by its own registered process. */
  async holdOnHostTwo(shared: boolean): Promise<void> {
    const { host2, client2 } = this.harness;
    if (this.hostTwoPid === 0) this.hostTwoPid = (await this.harness.register(host2)).pid;
    const resource = this.resource('RE', 4, shared ? RES_FLAGS.SHARED : 0);
    const target = this.hostTwoPid;
    await must(client2, release([], { target, all: true }));
    await must(client2, acquire([resource], { target }));
  }

  async makeOrphans(names: readonly [string, number][]): Promise<void> {
    const child = await this.harness.register(this.harness.host1);
    const resources = names.map(([name, at]) => this.resource(name, at, RES_FLAGS.PERSISTENT));
    await must(this.harness.client1, acquire(resources, { target: child.pid }));
    await this.#end(child);
  }

  async endProcess(recordedPid: number): Promise<void> {
    const child = this.processes.get(recordedPid);
    if (child !== undefined) await this.#end(child);
  }

  async #end(child: ChildProcess & { readonly pid: number }): Promise<void> {
    child.kill('SIGKILL');
    const { client1 } = this.harness;
    await until('the daemon to see a process end', async () => {
      const records = await must(client1, status(2));
      return records.every((record) => record.data32 !== child.pid);
    });
  }
}

/** What happened between the recordings: before the exchange of that number. */
const BEFORE: Readonly<Record<string, (replay: Replay) => Promise<unknown>>> = {
  '039b': ({ harness }) =>
    must(harness.client1, writeLockspace(lockspaceOf(harness, 'LS2', 'ls2'), { ioTimeoutS: 1 })),
  '047': async (replay) => {
    const { client1, client2 } = replay.harness;
    await must(client2, addLockspace(replay.lockspace('LS1', 'ls', 2n), { ioTimeoutS: 1 }));
    const live = async (name: string, count: number) => {
      const hosts = await client1.call(getHosts(name));
      const found = hosts.ok ? hosts.value.filter((h) => h.flags === HOST_STATES.LIVE) : [];
      return found.length === count;
    };
    await until('both hosts to be seen alive', async () => live('LS1', 2));
    await until('host 1 to be seen alive in LS2', async () => live('LS2', 1));
  },
  '060': async (replay) => {
    const names = ['RB', 'RC', 'RD', 'RE', 'RF'];
    for (const [index, name] of names.entries()) {
      await must(replay.harness.client1, writeResource(replay.resource(name, index + 1)));
    }
  },
  '080': (replay) => replay.play(RECORDED_PIDS.client),
  '100': async (replay) => {
    const { client2 } = replay.harness;
    await until('host 2 to see host 1', async () => (await client2.call(getHosts('LS1'))).ok);
    await replay.holdOnHostTwo(false);
  },
  '104': (replay) => replay.holdOnHostTwo(true),
  '108': async (replay) => {
    const target = replay.pidOf(RECORDED_PIDS.client);
    await must(replay.harness.client1, release([replay.resource('RE', 4)], { target }));
    await replay.holdOnHostTwo(false);
  },
  '120': (replay) =>
    must(replay.harness.client2, release([], { target: replay.hostTwoPid, all: true })),
  '140': (replay) => replay.play(RECORDED_PIDS.orphaner),
  '141': (replay) => replay.endProcess(RECORDED_PIDS.orphaner),
  '145': async (replay) => {
    const target = replay.pidOf(RECORDED_PIDS.client);
    await replay.harness.client1.call(release([replay.resource('RD2', 3)], { target }));
  },
  '147': async (replay) => {
    const target = replay.pidOf(RECORDED_PIDS.client);
    await must(replay.harness.client1, release([replay.resource('RF', 5)], { target }));
    await replay.makeOrphans([
      ['RF', 5],
      ['RA', 0],
    ]);
  },
  '301': async (replay) => {
    replay.session?.close();
    await until('the leases of the closed connection to be gone', async () => {
      const records = await must(replay.harness.client1, status());
      return records.every((record) => record.resource === null);
    });
  },
};

/** What host 2 does while host 1 waits for it: the second part of the answer of 130. */
function meanwhile(replay: Replay, name: string): Promise<unknown> {
  if (!name.startsWith('130')) return Promise.resolve();
  const event = { hostId: 1n, generation: 1n, event: 0x77n, data: 0x88n };
  return must(replay.harness.client2, setEvent('LS1', event));
}

/** The second part of 130 comes after two renewals. */
function silenceBefore(name: string): number {
  return name.startsWith('130') ? 15_000 : 1000;
}

function lockspaceOf(harness: ReplayHarness, name: string, file: string): Lockspace {
  return { name, hostId: 1n, path: `${harness.folder}/${file}`, offset: 0n };
}

async function playExchange(replay: Replay, exchange: Exchange): Promise<void> {
  for (const { events } of exchange.connections) {
    const connection = await ReplayConnection.open(replay.harness.host1.socketPath);
    const staysOpen = exchange.name.startsWith('060');
    if (staysOpen) replay.session = connection;
    try {
      await playConnection(replay, exchange, connection, events);
    } finally {
      if (!staysOpen) connection.close();
    }
  }
}

async function playConnection(
  replay: Replay,
  exchange: Exchange,
  connection: ReplayConnection,
  events: Exchange['connections'][number]['events'],
): Promise<void> {
  const { name, connection_after: after } = exchange;
  for (const [index, event] of events.entries()) {
    if (event.dir === 's2c') continue;
    connection.send(replay.requestBytes(event.hex));
    if (name.startsWith('214')) connection.end();
    const answer = events[index + 1];
    if (answer?.dir === 's2c') {
      const [received] = await Promise.all([
        connection.receive(answer.len, silenceBefore(name)),
        meanwhile(replay, name),
      ]);
      const { folder, host1 } = replay.harness;
      const recorded = movePaths(answer.hex, RECORDED_FOLDER, folder);
      compareAnswer({ name, maker: host1.maker, recorded, received, pids: replay.pids });
    } else {
      const received = await connection.receive(0);
      assert.deepEqual(canonical(received, replay.pids), [], `${name}: no answer is due`);
    }
  }
  if (after === undefined || name.startsWith('214')) return;
  // A connection that stays open is watched for a moment: a busy machine may be slow to close one.
  if (after === 'closed by daemon') await until(`${name}: ${after}`, () => connection.isEnded);
  else await connection.receive(0);
  assert.equal(connection.isEnded, after === 'closed by daemon', `${name}: ${after}`);
}

async function replayAll(maker: Maker): Promise<void> {
  const harness = await ReplayHarness.start(maker);
  const replay = new Replay(harness);
  const failures: Error[] = [];
  try {
    for (const exchange of loadExchanges()) {
      const number = exchange.name.split('-')[0] ?? '';
      if (exchange.name in ELSEWHERE) continue;
      try {
        await BEFORE[number]?.(replay);
        await sleep(SETTLE_MS);
        await playExchange(replay, exchange);
      } catch (thrown) {
        failures.push(thrown instanceof Error ? thrown : new Error(String(thrown)));
      }
    }
  } finally {
    await harness.stop();
  }
  const report = failures.map((failure) => failure.message).join('\n');
  assert.equal(
    failures.length,
    0,
    `${failures.length} exchanges differ:\n${report}\n${harness.host1.log().slice(-3000)}`,
  );
}

test('recorded exchanges against the C daemon: the replay itself is right', async (t) => {
  const reason = whyNot('c');
  if (reason !== null) return t.skip(reason);
  await replayAll('c');
});

test('recorded exchanges against our daemon: the same answers', async (t) => {
  const reason = whyNot('c', 'ours');
  if (reason !== null) return t.skip(reason);
  await replayAll('ours');
});
