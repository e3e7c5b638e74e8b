import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { debian13Folder, debian13Obstacle } from '../../src/rig/debian-root.ts';
import type { Host } from '../../src/rig/host.ts';
import { ALL_ORIGINAL, ALL_OURS, Rig, rigObstacle } from '../../src/rig/rig.ts';
import { makeArea } from './sanlock-daemons.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const skip = rigObstacle() ?? debian13Obstacle() ?? false;

/** What a program of Debian 13 sees that uses libsanlock, line by line. */
async function seenOn(host: Host, folder: string): Promise<readonly string[]> {
  await host.startSanlock();
  makeArea(join(folder, 'ls'), MIB);
  makeArea(join(folder, 'res'), 16 * MIB);
  const ran = await host.run('/usr/bin/python3', [`${ROOT}/test/interop/python-client.py`, folder]);
  assert.equal(ran.code, 0, `${host.name}: ${ran.stdout}${ran.stderr}`);
  return ran.stdout.trimEnd().split('\n');
}

test('libsanlock 3.9.5 shows the same of its own daemon and of ours', { skip }, async (t) => {
  const root = debian13Folder();
  const roots = [root];
  const hostNames = ['host1'];
  const hosts = [ALL_ORIGINAL, ALL_OURS];
  const rigs = await Promise.all(
    hosts.map((makers) =>
      Rig.create({ hosts: [makers], bin: join(ROOT, 'bin'), roots, hostNames }),
    ),
  );
  t.after(() => Promise.all(rigs.map((rig) => rig.close())));
  const seen = await Promise.all(
    rigs.map(async (rig) => {
      const folder = join(rig.dir, 'host1', 'leases');
      await mkdir(folder);
      return seenOn(rig.host(1), folder);
    }),
  );
  const [theirs = [], ours = []] = seen;
  assert.ok(theirs.length > 10, `${theirs.length} steps`);
  assert.deepEqual(ours, theirs);
});
