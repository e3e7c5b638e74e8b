import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import { writeLockspace, writeResource } from '../../src/wire/sanlock/area-calls.ts';
import { addLockspace, getHosts } from '../../src/wire/sanlock/daemon-calls.ts';
import { acquire } from '../../src/wire/sanlock/lease-calls.ts';
import { HOST_STATES } from '../../src/wire/sanlock/socket.ts';
import type { Lockspace, Resource } from '../../src/wire/sanlock/types.ts';
import { compareAnswer } from './replay-compare.ts';
import { loadExchanges, movePaths, ReplayConnection, TWO_HOSTS } from './replay-exchanges.ts';
import { must, type RegisteredProcess, ReplayWorld, until } from './replay-world.ts';
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
  readonly world: ReplayWorld;
  readonly #pids = new Map<number, number>();

  private constructor(world: ReplayWorld) {
    this.world = world;
  }

  static async start(maker: Maker): Promise<TwoHosts> {
    const scene = new TwoHosts(await ReplayWorld.start(maker));
    const { client1, client2 } = scene.world;
    await must(client1, writeLockspace(scene.#lockspace(0n), T_S));
    for (const [index, name] of ['A', 'B', 'C', 'D', 'E'].entries()) {
      await must(client1, writeResource(scene.resource(name, index)));
    }
    await Promise.all([
      must(client1, addLockspace(scene.#lockspace(1n), T_S)),
      must(client2, addLockspace(scene.#lockspace(2n), T_S)),
    ]);
    await scene.untilHostTwoIs(HOST_STATES.LIVE);
    return scene;
  }

  #lockspace(hostId: bigint): Lockspace {
    return { name: 'LM', hostId, path: `${this.world.folder}/ls`, offset: 0n };
  }

  resource(name: string, mebibyte: number): Resource {
    const disks = [{ path: `${this.world.folder}/res`, offset: BigInt(mebibyte * MIB) }];
    return { lockspaceName: 'LM', name, disks, lver: 0n, flags: 0 };
  }

  untilHostTwoIs(state: number): Promise<void> {
    return until(`host 2 to be seen in state ${state}`, async () => {
      const hosts = await this.world.client1.call(getHosts('LM', 2n));
      return hosts.ok && hosts.value[0]?.flags === state;
    });
  }

  async holdOnHostTwo(resource: Resource): Promise<RegisteredProcess> {
    const child = await this.world.register(this.world.host2);
    await must(this.world.client2, acquire([resource], { target: child.pid }));
    return child;
  }

  async play(recordedPid: number): Promise<number> {
    const child = await this.world.register(this.world.host1);
    this.#pids.set(recordedPid, child.pid);
    return child.pid;
  }

  /** Its folder has eleven letters in the recording: one more than ours, so a second slash. */
  async replay(prefix: string): Promise<void> {
    const exchange = loadExchanges().find(({ name }) => name.startsWith(`${prefix}-`));
    assert.ok(exchange !== undefined && TWO_HOSTS.includes(exchange.name), `recording ${prefix}`);
    const { folder, host1 } = this.world;
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

async function withTwoHosts(maker: Maker, body: (scene: TwoHosts) => Promise<void>) {
  const scene = await TwoHosts.start(maker);
  try {
    await body(scene);
  } catch (thrown) {
    const said = thrown instanceof Error ? thrown.message : String(thrown);
    const { host1, host2 } = scene.world;
    const logs = [host1, host2].map((host) => host.log().slice(-3000));
    throw new Error([said, ...logs].join('\n'));
  } finally {
    await scene.world.stop();
  }
}

for (const maker of ['c', 'ours'] as const) {
  test(`171, 172: ${maker} asks for a lease host 2 holds, politely and by force`, async (t) => {
    const reason = whyNot('c', maker);
    if (reason !== null) return t.skip(reason);
    await withTwoHosts(maker, async (scene) => {
      const a = scene.resource('A', 0);
      const forced = await scene.holdOnHostTwo(a);
      await scene.replay('171'); // FORCE: SIGKILL
      await until('the forced holder to be killed', async () => forced.signalCode === 'SIGKILL');
      let asked: RegisteredProcess | null = null;
      await until('its lease to be free', async () => {
        asked ??= await scene.world.register(scene.world.host2);
        const target = asked.pid;
        return (await scene.world.client2.call(acquire([a], { target }))).ok;
      });
      await sleep(BITS_FORGOTTEN_MS);
      await scene.replay('172'); // GRACEFUL: SIGTERM
      await until('the asked holder to end', async () => asked?.signalCode === 'SIGTERM');
    });
  });

  test(`175–179: ${maker} meets a dead owner, and is busy waiting for it`, async (t) => {
    const reason = whyNot('c', maker);
    if (reason !== null) return t.skip(reason);
    await withTwoHosts(maker, async (scene) => {
      const d = scene.resource('D', 3);
      await scene.holdOnHostTwo(d);
      await scene.world.host2.stop();
      await scene.untilHostTwoIs(HOST_STATES.FAIL);
      const waiting = await scene.play(RECORDED_PIDS[0]);
      await scene.play(RECORDED_PIDS[1]);
      await scene.replay('175');

      let isAnswered = false;
      const answered = scene.world.client1.call(acquire([d], { target: waiting })).then(() => {
        isAnswered = true;
      });
      await sleep(500);
      for (const prefix of ['176', '177', '178', '179']) await scene.replay(prefix);
      assert.equal(isAnswered, false, 'the acquire still waits for the dead owner');
      await scene.world.host1.stop();
      await answered;
    });
  });
}
