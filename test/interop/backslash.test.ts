import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { clientCommand, type Maker, makeArea, startDaemon, whyNot } from './sanlock-daemons.ts';

for (const maker of ['ours', 'c'] as const satisfies readonly Maker[]) {
  test(`a path with a backslash is that path, over the daemon: ${maker}`, async (t) => {
    const missing = whyNot('ours', maker);
    if (missing !== null) return t.skip(missing);
    const daemon = await startDaemon(maker, { hostName: 'slash', extra: ['-h', '0', '-l', '0'] });
    const client = (...words: string[]) => clientCommand(daemon, words);
    try {
      const path = makeArea(join(daemon.directory, 'a\\b'), 4 * MIB);
      const other = makeArea(join(daemon.directory, 'ab'), 4 * MIB);
      const typed = path.replaceAll('\\', '\\\\');
      const lockspace = `LS:1:${typed}:0`;
      const refused = await client('init', '-s', `LS:0:${path}:0`);
      assert.equal(refused.status, 1);
      assert.match(refused.stderr, /a backslash stands only before/);
      assert.match((await client('init', '-s', lockspace, '-o', '2')).stdout, /done 0/);
      assert.match((await client('init', '-r', `LS:R:${typed}:1M`)).stdout, /done 0/);
      assert.match((await client('add_lockspace', '-s', lockspace, '-o', '2')).stdout, /done 0/);
      assert.ok((await client('status')).stdout.includes(`s ${lockspace}`), 'as it is typed');
      const held = ['command', '-r', `LS:R:${typed}:${MIB}`, '-c', '/bin/echo', 'got it'];
      assert.equal((await client(...held)).stdout, 'got it\n');
      assert.match((await client('rem_lockspace', '-s', lockspace)).stdout, /done 0/);
      assert.ok(
        readFileSync(other).every((byte) => byte === 0),
        'its neighbour is untouched',
      );
      assert.ok(existsSync(path));
    } finally {
      await daemon.stop();
    }
  });
}
