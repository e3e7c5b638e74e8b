import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import { reasonOf } from '../../src/platform/system-error.ts';
import { writeLockspace, writeResource } from '../../src/wire/sanlock/area-calls.ts';
import { addLockspace, getHosts } from '../../src/wire/sanlock/daemon-calls.ts';
import { acquire } from '../../src/wire/sanlock/lease-calls.ts';
import { HOST_STATES } from '../../src/wire/sanlock/socket.ts';
import type { Lockspace, Resource } from '../../src/wire/sanlock/types.ts';
import { compareAnswer } from './replay-compare.ts';
import { loadExchanges, movePaths, ReplayConnection, TWO_HOSTS } from './replay-exchanges.ts';
import { ReplayHarness } from './replay-harness.ts';
import { must, type RegisteredProcess, until } from './sanlock-clients.ts';
import { type Maker, whyNot } from './sanlock-daemons.ts';

const DATA2_AT = 28;
/** Processes registered with host 1 in 175–179. */
const RECORDED_PIDS = [21788, 22128] as const;
const T_S = { ioTimeoutS: 1 };
/**
 * The original follows a host's bit once in 6·t, and may lose one that comes sooner. A bit is out
 * for as long and two renewals more, and may be followed at its end.
 */
const BITS_FORGOTTEN_MS = (6 + 4 + 6) * T_S.ioTimeoutS * 1000;

/** Host 2 is a C daemon, host 1 is the one under test; both are in lockspace LM. */
class TwoHosts {
  readonly harness: ReplayHarness;
  readonly #pids = new Map<number, number>();

  private constructor(harness: ReplayHarness) {
    this.harness = harness;
  }

  static async start(maker: Maker): Promise<TwoHosts> {
    const hosts = new TwoHosts(await ReplayHarness.start(maker));
    const { client1, client2 } = hosts.harness;
    await must(client1, writeLockspace(hosts.#lockspace(0n), T_S));
    for (const [index, name] of ['A', 'B', 'C', 'D', 'E'].entries()) {
      await must(client1, writeResource(hosts.resource(name, index)));
    }
    await Promise.all([
      must(client1, addLockspace(hosts.#lockspace(1n), T_S)),
      must(client2, addLockspace(hosts.#lockspace(2n), T_S)),
    ]);
    await hosts.untilHostTwoIs(HOST_STATES.LIVE);
    return hosts;
  }

  #lockspace(hostId: bigint): Lockspace {
    return { name: 'LM', hostId, path: `${this.harness.folder}/ls`, offset: 0n };
  }

  resource(name: string, mebibyte: number): Resource {
    const disks = [{ path: `${this.harness.folder}/res`, offset: BigInt(mebibyte * MIB) }];
    return { lockspaceName: 'LM', name, disks, lver: 0n, flags: 0 };
  }

  untilHostTwoIs(state: number): Promise<void> {
    return until(`host 2 to be seen in state ${state}`, async () => {
      const hosts = await this.harness.client1.call(getHosts('LM', 2n));
      return hosts.ok && hosts.value[0]?.flags === state;
    });
  }

  async holdOnHostTwo(resource: Resource): Promise<RegisteredProcess> {
    const child = await this.harness.register(this.harness.host2);
    await must(this.harness.client2, acquire([resource], { target: child.pid }));
    return child;
  }

  async play(recordedPid: number): Promise<number> {
    const child = await this.harness.register(this.harness.host1);
    this.#pids.set(recordedPid, child.pid);
    return child.pid;
  }

  /** Its folder has eleven letters in the recording: one more than ours, so a second slash. */
  async replay(prefix: string): Promise<void> {
    const exchange = loadExchanges().find(({ name }) => name.startsWith(`${prefix}-`));
    assert.ok(exchange !== undefined && TWO_HOSTS.includes(exchange.name), `recording ${prefix}`);
    const { folder, host1 } = this.harness;
    const [sent, answer] = exchange.connections[0]?.events ?? [];
    assert.ok(sent?.dir === 'c2s' && answer?.dir === 's2c', `${exchange.name}: one question`);
    const move = (hex: string) => {
      const once = movePaths(hex, '/srv/sanlk5', `${folder}/`);
      return movePaths(once.toString('hex'), '/srv/sanlk7', `${folder}/`);
    };
    const request = move(sent.hex);
    const played = this.#pids.get(request.readInt32LE(DATA2_AT));
    if (played !== undefined) request.writeInt32LE(played, DATA2_AT);
    const connection = await ReplayConnection.open(host1.socketPath);
    try {
      connection.send(request);
      const received = await connection.receive(answer.len);
      const recorded = move(answer.hex);
      const { name } = exchange;
      compareAnswer({ name, maker: host1.maker, recorded, received, pids: new Map() });
    } finally {
      connection.close();
    }
  }
}

async function withTwoHosts(maker: Maker, body: (hosts: TwoHosts) => Promise<void>) {
  const hosts = await TwoHosts.start(maker);
  try {
    await body(hosts);
  } catch (thrown) {
    const said = reasonOf(thrown);
    const { host1, host2 } = hosts.harness;
    const logs = [host1, host2].map((host) => host.log().slice(-3000));
    throw new Error([said, ...logs].join('\n'));
  } finally {
    await hosts.harness.stop();
  }
}

for (const maker of ['c', 'ours'] as const) {
  test(`171, 172: ${maker} requests a lease that host 2 holds, gracefully and by force`, async (t) => {
    const reason = whyNot('c', maker);
    if (reason !== null) return t.skip(reason);
    await withTwoHosts(maker, async (hosts) => {
      const a = hosts.resource('A', 0);
      const forced = await hosts.holdOnHostTwo(a);
      await hosts.replay('171'); // FORCE: SIGKILL
      await until('the forced holder to be killed', async () => forced.signalCode === 'SIGKILL');
      let asked: RegisteredProcess | null = null;
      await until('its lease to be free', async () => {
        asked ??= await hosts.harness.register(hosts.harness.host2);
        const target = asked.pid;
        return (await hosts.harness.client2.call(acquire([a], { target }))).ok;
      });
      await sleep(BITS_FORGOTTEN_MS);
      await hosts.replay('172'); // GRACEFUL: SIGTERM
      await until('the asked holder to end', async () => asked?.signalCode === 'SIGTERM');
    });
  });

  test(`175–179: ${maker} meets a dead owner, and is busy waiting for it`, async (t) => {
    const reason = whyNot('c', maker);
    if (reason !== null) return t.skip(reason);
    await withTwoHosts(maker, async (hosts) => {
      const d = hosts.resource('D', 3);
      await hosts.holdOnHostTwo(d);
      await hosts.harness.host2.stop();
      await hosts.untilHostTwoIs(HOST_STATES.FAIL);
      const waiting = await hosts.play(RECORDED_PIDS[0]);
      await hosts.play(RECORDED_PIDS[1]);
      await hosts.replay('175');

      let isAnswered = false;
      const answered = hosts.harness.client1.call(acquire([d], { target: waiting })).then(() => {
        isAnswered = true;
      });
      await sleep(500);
      for (const prefix of ['176', '177', '178', '179']) await hosts.replay(prefix);
      assert.equal(isAnswered, false, 'the acquire still waits for the dead owner');
      await hosts.harness.host1.stop();
      await answered;
    });
  });
}
