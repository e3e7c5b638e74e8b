import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { clientCommand, type Maker, SANLOCK, startDaemon, whyNot } from './sanlock-daemons.ts';

const missing = whyNot('ours', 'c');
const where = missing === null ? { timeout: 120_000 } : { skip: missing };

/** What a lease there answers whoever acquires it through a daemon of that maker. */
async function acquiredBy(maker: Maker, offset: number): Promise<string> {
  const daemon = await startDaemon(maker, { hostName: 'one' });
  const client = (...words: string[]) => clientCommand(daemon, words, maker);
  try {
    const [area, leases] = [`${daemon.directory}/ls`, `${daemon.directory}/leases`];
    writeFileSync(area, '');
    truncateSync(area, MIB);
    writeFileSync(leases, '');
    truncateSync(leases, 3 * MIB);
    const resource = `LS:R:${leases}:${offset}`;
    const format = ['direct', 'init', '-r', resource];
    assert.match(spawnSync(SANLOCK.c, format, { encoding: 'utf8' }).stdout, /init done 0/);
    await client('init', '-s', `LS:0:${area}:0`, '-o', '1');
    const added = await client('add_lockspace', '-s', `LS:1:${area}:0`, '-o', '1');
    assert.match(added.stdout, /done 0/, daemon.log());
    const command = ['command', '-r', resource, '-c', '/bin/echo', 'got it'];
    return (await client(...command)).stdout;
  } finally {
    await daemon.stop();
  }
}

test('a lease at an offset that is no multiple of an area is acquired by both', where, async () => {
  for (const offset of [1024, MIB + 512]) {
    for (const maker of ['c', 'ours'] as const) {
      assert.match(await acquiredBy(maker, offset), /got it/, `${maker} at ${offset}`);
    }
  }
});
