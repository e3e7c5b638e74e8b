import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isZero } from '../../src/base/bytes.ts';
import { MODE_BLOCK_OFFSET } from '../../src/format/geometry.ts';
import { HOLDER_NOTE_OFFSET } from '../../src/format/holder-note.ts';
import { debian13Obstacle } from '../../src/rig/debian-root.ts';
import { until } from '../../src/rig/run.ts';
import { readResourceOwners } from '../../src/wire/sanlock/area-calls.ts';
import { request } from '../../src/wire/sanlock/lease-calls.ts';
import { type Original, Pair, type Peer } from './holder-note-peer.ts';
import { clientOf, must } from './sanlock-clients.ts';
import { run, SANLOCK, startDaemon, whyNot } from './sanlock-daemons.ts';

// What the original makes of a holder note of ours (spec 10 §4.7).

const LIVE = -243;
const SHARED_BY_OTHERS = -11;
const NAMES = ['ASKED', 'EX', 'SH', 'UP', 'FILLED', 'DEAD', 'DEADSH'];

/** The same calls, whatever stands behind our blocks; and their results. */
async function useBeside(original: Peer, pair: Pair, name: string): Promise<unknown[]> {
  const results: unknown[] = [];
  results.push(await original.acquire(name, 'ex'));
  results.push(await original.acquire(name, 'sh'));
  results.push(await original.convert(name, 'ex'));
  const { hosts } = await must(clientOf(original.daemon), readResourceOwners(pair.resource(name)));
  results.push(hosts.map(({ hostId, generation }) => `${hostId}.${generation}`));
  results.push(await original.release(name));
  return results;
}

async function heldExclusively(pair: Pair, ours: Peer, original: Peer): Promise<void> {
  assert.equal(await ours.acquire('EX', 'ex'), 0);
  assert.deepEqual(pair.shown('EX'), ['1 exclusive guest-EX']);
  assert.equal(pair.state('EX').holders[0]?.note?.pid, ours.holder.pid);
  const before = pair.sector('EX', 1);
  assert.equal(await original.acquire('EX', 'ex'), LIVE);
  assert.equal(await original.acquire('EX', 'sh'), LIVE);
  const { daemon } = original;
  const { hosts } = await must(clientOf(daemon), readResourceOwners(pair.resource('EX')));
  assert.deepEqual(
    hosts.map(({ hostId }) => hostId),
    [1n],
  );
  const at = `${pair.leasesPath}:${pair.offset('EX')}:1M`;
  const dumps = [];
  for (const maker of ['c', 'ours'] as const) {
    const dump = await run(SANLOCK[maker], ['direct', 'dump', at, '-f', '2'], { env: daemon.env });
    dumps.push(dump.stdout);
  }
  assert.equal(dumps[0], dumps[1], 'its dump shows no more than ours');
  assert.deepEqual(pair.sector('EX', 1), before, 'nothing of it was written');
  assert.equal(await ours.release('EX'), 0);
  assert.ok(isZero(pair.sector('EX', 1).subarray(HOLDER_NOTE_OFFSET)), 'a release writes none');
  assert.equal(await original.acquire('EX', 'ex'), 0);
  assert.deepEqual(pair.shown('EX'), ['2 exclusive -']);
  assert.equal(await original.release('EX'), 0);
}

/** A request of the original reaches the holder, which ends by it. */
async function asked(pair: Pair, ours: Peer, original: Peer): Promise<void> {
  assert.equal(await ours.acquire('ASKED', 'ex'), 0);
  const call = request(pair.resource('ASKED'), { forceMode: 1, nextLver: true });
  assert.equal(await original.result(call), 0);
  const isFree = () => pair.shown('ASKED').length === 0;
  await until('the holder was stopped for the original', isFree, { withinMs: 60_000 });
}

async function shared(pair: Pair, ours: Peer, original: Peer): Promise<void> {
  assert.equal(await ours.acquire('SH', 'sh'), 0);
  const before = pair.sector('SH', 1);
  assert.deepEqual(await useBeside(original, pair, 'SH'), [
    ...[SHARED_BY_OTHERS, 0, SHARED_BY_OTHERS],
    ['1.1', '2.1'],
    0,
  ]);
  assert.deepEqual(pair.sector('SH', 1), before, 'nothing of it was written');
  assert.deepEqual(pair.shown('SH'), ['1 shared guest-SH']);

  assert.equal(await ours.acquire('UP', 'ex'), 0);
  assert.equal(await ours.convert('UP', 'sh'), 0);
  assert.equal(await original.acquire('UP', 'sh'), 0);
  assert.deepEqual(pair.shown('UP'), ['1 shared guest-UP', '2 shared -']);
  assert.equal(await ours.convert('UP', 'ex'), SHARED_BY_OTHERS);
  assert.deepEqual(pair.shown('UP').sort(), ['1 shared guest-UP', '2 shared -']);
  assert.equal(await original.release('UP'), 0);
  assert.equal(await ours.convert('UP', 'ex'), 0);
  assert.equal(await original.acquire('UP', 'sh'), LIVE);
  assert.deepEqual(pair.shown('UP'), ['1 exclusive guest-UP']);
  assert.equal(await ours.release('UP'), 0);
}

/** The same with every byte beside the blocks set: none of them counts for the original. */
async function filled(pair: Pair, ours: Peer, original: Peer): Promise<void> {
  assert.equal(await ours.acquire('FILLED', 'sh'), 0);
  const expected = await useBeside(original, pair, 'FILLED');
  for (const byte of [0xff, 0x01]) {
    pair.fillBesideBlocks('FILLED', 1, byte);
    assert.deepEqual(await useBeside(original, pair, 'FILLED'), expected, `all bytes ${byte}`);
  }
  const kept = pair.sector('FILLED', 1).subarray(MODE_BLOCK_OFFSET + 16);
  assert.ok(
    kept.every((byte) => byte === 1),
    'and none of them was written',
  );
}

/** Our host loses its power: the original takes what it had, and it comes back. */
async function afterPowerLoss(pair: Pair, ours: Peer, original: Peer): Promise<void> {
  assert.equal(await ours.acquire('DEAD', 'ex'), 0);
  assert.equal(await ours.acquire('DEADSH', 'sh'), 0);
  const before = pair.sector('DEAD', 1);
  const pids = /leaseProcess\.started .*pid=(\d+)/g;
  const lease = [...ours.daemon.log().matchAll(pids)].map((found) => Number(found[1]));
  for (const pid of lease) process.kill(pid, 'SIGKILL');
  ours.daemon.process.kill('SIGKILL');
  for (const name of ['DEAD', 'DEADSH']) {
    const isTaken = async () => (await original.acquire(name, 'ex')) === 0;
    await until(`our host counts as dead, ${name} is free`, isTaken, { withinMs: 120_000 });
  }
  assert.deepEqual(pair.sector('DEAD', 1), before, 'the original leaves the sector of the dead');
  assert.deepEqual(pair.shown('DEAD'), ['2 exclusive -'], 'and its note is not believed any more');
  assert.ok(isZero(pair.sector('DEADSH', 1)), 'but empties that of a dead sharer');
  assert.deepEqual(pair.shown('DEADSH'), ['2 exclusive -']);
  assert.equal(await original.release('DEAD'), 0);
  assert.deepEqual(pair.shown('DEAD'), []);
  assert.deepEqual(pair.sector('DEAD', 1), before);

  const again = await pair.join(await startDaemon('ours', { hostName: 'host-1' }), 1);
  assert.deepEqual(pair.shown('DEAD'), [], 'nor after its host has joined again');
  assert.equal(await again.acquire('DEAD', 'ex'), 0);
  assert.equal(pair.state('DEAD').holders[0]?.note?.pid, again.holder.pid);
}

async function besideOriginal(which: Original): Promise<void> {
  const { pair, ours, original } = await Pair.create(which, NAMES);
  try {
    await heldExclusively(pair, ours, original);
    await shared(pair, ours, original);
    await filled(pair, ours, original);
    await asked(pair, await pair.another(ours), original);
    await afterPowerLoss(pair, ours, original);
  } finally {
    await pair.close();
  }
}

const none = whyNot('c', 'ours');
const ORIGINALS = { '3.8.5': none, '3.9.5': none ?? debian13Obstacle() } as const;

test('a holder note is nothing to the original, and survives what it does', {
  concurrency: 2,
}, async (t) => {
  const runs = (['3.8.5', '3.9.5'] as const).map((which) => {
    const how = { skip: ORIGINALS[which] ?? false, timeout: 300_000 };
    return t.test(`sanlock ${which}`, how, () => besideOriginal(which));
  });
  await Promise.all(runs);
});
