import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { Lun, lunObstacle } from '../../src/rig/lun.ts';
import { type Outcome, run, until } from '../../src/rig/run.ts';
import { FailingWay, noHungFile } from './hung-file.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const HOLDFAST = join(ROOT, 'bin/holdfast');
/** Its own deadline is ten seconds. */
const ENDS_MS = 60_000;
const obstacle = lunObstacle() ?? noHungFile();

/**
 * No signal ends a thread that waits for a block device, and its process is not gone before it: so
 * the one who asked would wait as well.
 */
test('a command that looks at a block device which hangs is gone before it answers', {
  skip: obstacle ?? false,
  timeout: 240_000,
}, async () => {
  const folder = mkdtempSync('/var/tmp/holdfast-hung-device-');
  const image = join(folder, 'image');
  writeFileSync(image, '');
  truncateSync(image, 300 * MIB);
  const way = new FailingWay();
  const lun = await Lun.over(await way.open(image));
  try {
    // An lvm that hangs with this device would keep those of other tests open.
    const filter = `filter = [ "a|^${lun.device}$|", "r|.*|" ]`;
    writeFileSync(join(folder, 'lvm.conf'), `devices { ${filter} }\n`);
    const env = { ...process.env, LVM_SYSTEM_DIR: folder };
    const asks = async () => await run(HOLDFAST, ['who', lun.device], { timeoutMs: ENDS_MS, env });
    assert.equal((await asks()).code, 2, 'there is no lease');
    way.hang();
    const ended: Outcome[] = [];
    void asks().then((outcome) => ended.push(outcome));
    await until('the end of holdfast who', () => ended.length > 0, { withinMs: ENDS_MS });
    assert.match(ended[0]?.stderr ?? '', /did not answer a read within 10 s/);
  } finally {
    way.recover();
    await lun.close();
    way.close();
    rmSync(folder, { recursive: true });
  }
});
