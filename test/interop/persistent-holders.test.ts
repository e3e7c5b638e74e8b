import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { writeLockspace, writeResource } from '../../src/wire/sanlock/area-calls.ts';
import { addLockspace, status } from '../../src/wire/sanlock/daemon-calls.ts';
import { acquire } from '../../src/wire/sanlock/lease-calls.ts';
import { textField } from '../../src/wire/sanlock/records.ts';
import { RES_FLAGS, STATE_TYPES } from '../../src/wire/sanlock/socket.ts';
import {
  clientOf,
  lockspaceAt,
  must,
  type RegisteredProcess,
  registerProcess,
  resourceAt,
  until,
} from './sanlock-clients.ts';
import { type Maker, makeArea, startDaemon, type TestDaemon, whyNot } from './sanlock-daemons.ts';

const { SHARED, PERSISTENT } = RES_FLAGS;

/** Shared by `early`, which ends first, and `late`: who asked first, and what each asked for. */
interface Shared {
  readonly name: string;
  readonly isEarlyFirst: boolean;
  readonly early: number;
  readonly late: number;
}

const SHARED_LEASES: readonly Shared[] = [true, false].flatMap((isEarlyFirst) =>
  [0, PERSISTENT].flatMap((early) =>
    [0, PERSISTENT].map((late) => {
      const name = `${isEarlyFirst ? 'EL' : 'LE'}-${early}-${late}`;
      return { name, isEarlyFirst, early, late };
    }),
  ),
);

/** Of `early` alone, and persistent. */
const EXCLUSIVE_LEASES = ['EX-0', 'EX-1'];

/** A daemon with a lockspace, and a place for each lease. */
class Scene {
  readonly #daemon: TestDaemon;
  readonly #names = [...SHARED_LEASES.map(({ name }) => name), ...EXCLUSIVE_LEASES];

  constructor(daemon: TestDaemon) {
    this.#daemon = daemon;
  }

  get #client() {
    return clientOf(this.#daemon);
  }

  async prepare(): Promise<void> {
    const lockspace = lockspaceAt(makeArea(`${this.#daemon.directory}/ls`, MIB));
    makeArea(`${this.#daemon.directory}/res`, this.#names.length * MIB);
    await must(this.#client, writeLockspace(lockspace, { ioTimeoutS: 1 }));
    await must(this.#client, addLockspace(lockspace, { ioTimeoutS: 1 }));
    for (const name of this.#names) await must(this.#client, writeResource(this.#at(name)));
  }

  #at(name: string, flags = 0) {
    const offset = this.#names.indexOf(name) * MIB;
    return resourceAt(`${this.#daemon.directory}/res`, { name, offset }, 'LS', flags);
  }

  process(): Promise<RegisteredProcess> {
    return registerProcess(this.#daemon);
  }

  async takes(
    { pid }: RegisteredProcess,
    name: string,
    flags: number,
    orphan = false,
  ): Promise<void> {
    await must(this.#client, acquire([this.#at(name, flags)], { target: pid, orphan }));
  }

  /** What is left when the daemon has seen it end: for each lease `held` or `orphan`. */
  async ends(process: RegisteredProcess): Promise<string[]> {
    process.kill('SIGKILL');
    let left: string[] = [];
    await until(`what process ${process.pid} had is free, or an orphan`, async () => {
      const records = await must(this.#client, status());
      const leases = records.filter(({ type }) => type === STATE_TYPES.RESOURCE);
      const lists = leases.map((one) => ({ ...one, list: textField(one, 'list') ?? '' }));
      left = lists.map(({ name, list }) => `${name} ${list}`).sort();
      return lists.every(({ data32: pid, list }) => {
        return list === 'orphan' || (list === 'held' && pid !== process.pid);
      });
    });
    return left;
  }
}

/** What each of three processes leaves, one after the other; the last one adopts the orphans. */
async function leftBy(maker: Maker): Promise<string[][]> {
  const daemon = await startDaemon(maker, { hostName: 'host1' });
  try {
    const scene = new Scene(daemon);
    await scene.prepare();
    const [early, late, adopter] = [
      await scene.process(),
      await scene.process(),
      await scene.process(),
    ];
    for (const of of SHARED_LEASES) {
      const asks = [
        () => scene.takes(early, of.name, SHARED | of.early),
        () => scene.takes(late, of.name, SHARED | of.late),
      ];
      for (const ask of of.isEarlyFirst ? asks : asks.reverse()) await ask();
    }
    for (const name of EXCLUSIVE_LEASES) await scene.takes(early, name, PERSISTENT);
    const first = await scene.ends(early);
    const second = await scene.ends(late);
    const orphans = second.map((line) => line.replace(/ .*/, ''));
    for (const [n, name] of orphans.entries()) {
      const mode = EXCLUSIVE_LEASES.includes(name) ? 0 : SHARED;
      await scene.takes(adopter, name, mode | (n % 2 === 0 ? 0 : PERSISTENT), true);
    }
    return [first, second, await scene.ends(adopter)];
  } finally {
    await daemon.stop();
  }
}

test('whether a lease outlives its last holder is what that one asked for, as the original has it', async (t) => {
  const reason = whyNot('c', 'ours');
  if (reason !== null) return t.skip(reason);
  const [theirs, ours] = await Promise.all([leftBy('c'), leftBy('ours')]);
  assert.deepEqual(ours, theirs);
  const [, second = [], third = []] = theirs;
  const kept = SHARED_LEASES.filter(({ late }) => late === PERSISTENT).map(({ name }) => name);
  const orphans = [...EXCLUSIVE_LEASES, ...kept].map((name) => `${name} orphan`).sort();
  assert.deepEqual(second, orphans);
  assert.deepEqual(
    third,
    orphans.filter((_, n) => n % 2 === 1),
  );
});
