import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { type Maker, makeArea, run, startDaemon, whyNot } from './sanlock-daemons.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const PYTHON = '/usr/bin/python3';
const MODULE = '/usr/lib/python3/dist-packages';

/** What a program sees that uses libsanlock, line by line. */
async function seenThroughLibrary(maker: Maker): Promise<readonly string[]> {
  const daemon = await startDaemon(maker, { hostName: 'host1' });
  try {
    makeArea(`${daemon.directory}/ls`, MIB);
    makeArea(`${daemon.directory}/res`, 16 * MIB);
    const script = `${ROOT}/test/interop/python-client.py`;
    const ran = await run(PYTHON, [script, daemon.directory], { env: daemon.env });
    assert.equal(ran.status, 0, `${ran.stderr}\n${daemon.log()}`);
    return ran.stdout.trimEnd().split('\n');
  } finally {
    await daemon.stop();
  }
}

test('programs that use libsanlock see the same from our daemon', async (t) => {
  const reason = whyNot('c', 'ours') ?? (existsSync(MODULE) ? null : 'python3-sanlock is absent');
  if (reason !== null) return t.skip(reason);
  const [theirs, ours] = await Promise.all([seenThroughLibrary('c'), seenThroughLibrary('ours')]);
  assert.equal(ours.length, theirs.length);
  for (const [index, line] of theirs.entries()) assert.equal(ours[index], line);
});
