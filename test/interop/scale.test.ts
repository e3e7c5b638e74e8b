import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Result } from '../../src/base/result.ts';
import { MIB } from '../../src/base/units.ts';
import type { SanlockClient, SanlockSession } from '../../src/client/sanlock.ts';
import { MonotonicClock } from '../../src/platform/clock.ts';
import { writeLockspace, writeResource } from '../../src/wire/sanlock/area-calls.ts';
import type { SanlockCall } from '../../src/wire/sanlock/call.ts';
import {
  addLockspace,
  getHosts,
  getLockspaces,
  removeLockspace,
  renewalHistory,
  status,
} from '../../src/wire/sanlock/daemon-calls.ts';
import type { SanlockFailure } from '../../src/wire/sanlock/failure.ts';
import { acquire, release } from '../../src/wire/sanlock/lease-calls.ts';
import { STATE_TYPES } from '../../src/wire/sanlock/socket.ts';
import type { Lockspace, Resource } from '../../src/wire/sanlock/types.ts';
import { allProcesses, cpuTicks, parentOf } from './proc-stat.ts';
import { clientOf } from './sanlock-clients.ts';
import {
  type Maker,
  makeArea,
  removeRunFolder,
  startDaemon,
  type TestDaemon,
  whyNot,
} from './sanlock-daemons.ts';

const LOCKSPACES = 32;
const RESOURCES = 500;
const CLIENTS = 100;
const PER_CLIENT = RESOURCES / CLIENTS;
const IO_TIMEOUT_S = 10;
const RENEWAL_MS = 2 * IO_TIMEOUT_S * 1000;
/** So many lockspaces are renewed late: well before the warning after 6 io timeouts is in time. */
const LATE_S = 10;
const WATCHED_MS = 30_000;
const WATCHED_C_MS = 10_000;
const AREAS = 1 + Math.ceil(RESOURCES / LOCKSPACES);
const LAST_HOST_ID = 2000;
const CLOCK_TICKS_PER_S = 100;
/**
 * Each join of the C daemon keeps one of its threads for 21 s. It starts a thread only while none
 * waits for work, and one that was just woken counts as waiting: requests that come together on a
 * busy machine share four threads or two, and are joined in rounds.
 */
const JOIN_MS = 400_000;
const APART_MS: Readonly<Record<Maker, number>> = { ours: 0, c: 100 };

test('32 lockspaces, 500 resources, 100 clients: granted, renewed, listed, released', {
  skip: whyNot('ours', 'c') ?? false,
  timeout: 900_000,
}, async () => {
  const directory = mkdtempSync('/var/tmp/holdfast-scale-');
  const ours = await startDaemon('ours', { hostName: 'ours', directory, runName: 'ours' });
  const theirs = await startDaemon('c', {
    ...{ hostName: 'theirs', directory, runName: 'theirs' },
    extra: ['-t', String(LOCKSPACES)], // each join keeps one of its threads
  });
  const load = { ours: new Load(ours, directory, 0), c: new Load(theirs, directory, 100) };
  try {
    await timed('areas formatted', () => load.ours.format());
    // At once: they are hosts of the same lockspaces.
    await Promise.all([
      timed('ours joined', () => load.ours.join()),
      timed('the C daemon joined', () => load.c.join()),
    ]);
    await load.ours.holdAll(WATCHED_MS);
    await load.c.holdAll(WATCHED_C_MS);
    const [last] = must(await load.c.client.call(getHosts('LS0', BigInt(LAST_HOST_ID))));
    assert.equal(last?.hostId, BigInt(LAST_HOST_ID));
    assert.ok((last?.timestampS ?? 0n) > 0n, 'host 2000 of ours is seen by the C daemon');
    await timed('ours left', () => load.ours.leave());
  } catch (error) {
    for (const { log } of [ours, theirs]) console.log(log().slice(-8000));
    throw error;
  } finally {
    await Promise.all([ours.stop(), theirs.stop()]);
    await removeRunFolder(directory);
  }
});

/** What one daemon serves: its lockspaces, and clients with their leases. */
class Load {
  readonly client: SanlockClient;
  readonly #daemon: TestDaemon;
  readonly #lockspaces: readonly Lockspace[];
  readonly #resources: readonly Resource[];

  constructor(daemon: TestDaemon, directory: string, firstHostId: number) {
    this.#daemon = daemon;
    this.client = clientOf(daemon);
    const path = (n: number) => `${directory}/area${n}`;
    this.#lockspaces = Array.from({ length: LOCKSPACES }, (_, n) => ({
      name: `LS${n}`,
      hostId: BigInt(firstHostId + n || LAST_HOST_ID),
      path: path(n),
      offset: 0n,
    }));
    this.#resources = Array.from({ length: RESOURCES }, (_, n) => {
      const space = n % LOCKSPACES;
      const offset = BigInt((1 + Math.floor(n / LOCKSPACES)) * MIB);
      const disks = [{ path: path(space), offset }];
      return { lockspaceName: `LS${space}`, name: `R${n}`, disks, lver: 0n, flags: 0 };
    });
  }

  async format(): Promise<void> {
    for (const { path } of this.#lockspaces) makeArea(path, AREAS * MIB);
    await this.#each(this.#lockspaces, (space) =>
      writeLockspace(space, { ioTimeoutS: IO_TIMEOUT_S }),
    );
    await this.#each(this.#resources, (resource) => writeResource(resource));
  }

  async join(): Promise<void> {
    const options = { ioTimeoutS: IO_TIMEOUT_S };
    const apartMs = APART_MS[this.#daemon.maker];
    const join = async (space: Lockspace, n: number) => {
      await sleep(n * apartMs);
      must(await this.client.call(addLockspace(space, options), { timeoutMs: JOIN_MS }));
    };
    await Promise.all(this.#lockspaces.map(join));
    assert.equal(must(await this.client.call(getLockspaces())).length, LOCKSPACES);
  }

  async leave(): Promise<void> {
    await this.#each(this.#lockspaces, (space) => removeLockspace(space));
    assert.deepEqual(must(await this.client.call(getLockspaces())), []);
  }

  async holdAll(watchedMs: number): Promise<void> {
    const { maker } = this.#daemon;
    const sessions = await Promise.all(
      Array.from({ length: CLIENTS }, async () => must(await this.client.registerProcess())),
    );
    const all = <T>(call: (session: SanlockSession, wanted: readonly Resource[]) => T) =>
      Promise.all(
        sessions.map((session, n) =>
          call(session, this.#resources.slice(n * PER_CLIENT, (n + 1) * PER_CLIENT)),
        ),
      );
    const take = async (session: SanlockSession, wanted: readonly Resource[]) =>
      must(await session.call(acquire(wanted)));
    const releaseAll = async (session: SanlockSession, wanted: readonly Resource[]) =>
      must(await session.call(release(wanted)));
    await timed(`${maker}: ${RESOURCES} leases granted`, () => all(take));
    await timed(`${maker}: released`, () => all(releaseAll));
    await timed(`${maker}: ${RESOURCES} leases granted again`, () => all(take));
    await this.#watch(watchedMs);
    await timed(`${maker}: listed`, () => this.#listed());
    await all(releaseAll);
    const left = must(await this.client.call(status()));
    assert.deepEqual(
      left.filter(({ type }) => type === STATE_TYPES.RESOURCE),
      [],
    );
    for (const session of sessions) session.close();
  }

  /** Memory and processor time while everything is held; each lockspace is renewed meanwhile. */
  async #watch(forMs: number): Promise<void> {
    const before = new Map(this.#pids().map((pid) => [pid, cpuTicks(pid)]));
    const sinceS = Math.floor(new MonotonicClock().nowMs() / 1000);
    await sleep(forMs);
    const pids = this.#pids().filter((pid) => before.has(pid));
    const ticks = pids.reduce((sum, pid) => sum + cpuTicks(pid) - (before.get(pid) ?? 0), 0);
    const percent = (ticks / CLOCK_TICKS_PER_S / (forMs / 1000)) * 100;
    const all = mib(pids);
    const first = mib(pids.slice(0, 1));
    const memory = `PSS ${all.pss} MiB, ${all.own} of them private, in ${pids.length} processes`;
    const found = `${memory} (the first ${first.pss}, ${first.own}), ${percent.toFixed(1)} % CPU`;
    console.log(`${this.#daemon.maker}: all granted, ${found}`);
    for (const { name } of this.#lockspaces) {
      const { records } = must(await this.client.call(renewalHistory(name)));
      const times = records.map(({ data64 }) => Number(data64));
      const last = Math.max(0, ...times);
      const text = `${name} was renewed at ${last}, watched from ${sinceS}`;
      assert.ok(last + RENEWAL_MS / 1000 + LATE_S >= sinceS + forMs / 1000, text);
    }
  }

  async #listed(): Promise<void> {
    const records = must(await this.client.call(status()));
    const count = (wanted: number) => records.filter(({ type }) => type === wanted).length;
    assert.equal(count(STATE_TYPES.LOCKSPACE), LOCKSPACES);
    assert.equal(count(STATE_TYPES.RESOURCE), RESOURCES);
    assert.ok(count(STATE_TYPES.CLIENT) >= CLIENTS);
  }

  /** All of them under way at once. */
  async #each<T>(items: readonly T[], call: (item: T) => SanlockCall<number>): Promise<void> {
    await Promise.all(
      items.map(async (item) => must(await this.client.call(call(item), { timeoutMs: 60_000 }))),
    );
  }

  /** The daemon first, then its children. */
  #pids(): readonly number[] {
    const pid = this.#daemon.process.pid ?? -1;
    const found = new Set([pid]);
    for (let before = 0; before < found.size; ) {
      before = found.size;
      for (const one of allProcesses()) if (found.has(parentOf(one))) found.add(one.pid);
    }
    return [...found];
  }
}

function must<T>(result: Result<T, SanlockFailure>): T {
  assert.ok(result.ok, result.ok ? '' : JSON.stringify(result.error));
  return result.value;
}

async function timed(what: string, work: () => Promise<unknown>): Promise<void> {
  const startMs = performance.now();
  await work();
  console.log(`${what}: ${((performance.now() - startMs) / 1000).toFixed(2)} s`);
}

function mib(pids: readonly number[]): { readonly pss: number; readonly own: number } {
  const texts = pids.map((pid) => readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'));
  const sum = (pattern: RegExp) =>
    texts.reduce((kib, text) => {
      for (const [, found] of text.matchAll(pattern)) kib += Number(found);
      return kib;
    }, 0);
  const own = sum(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm);
  return { pss: Math.round(sum(/^Pss:\s+(\d+) kB$/gm) / 1024), own: Math.round(own / 1024) };
}
