import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { must } from '../../src/rig/run.ts';
import { clientCommand, makeArea, startDaemon, whyNot } from './sanlock-daemons.ts';

const missing = whyNot('ours');
/** Less than a refused write may take to land, for which a later one would wait. */
const where = missing === null ? { timeout: 50_000 } : { skip: missing };

test(
  'a lease past the end of its device is refused, and at once when it is asked for again',
  where,
  async () => {
    const daemon = await startDaemon('ours', { hostName: 'host1' });
    const image = makeArea(`/var/tmp/holdfast-past-end-${process.pid}`, 2 * MIB);
    const device = (await must('losetup', ['-f', '--show', image])).trim();
    try {
      for (let time = 1; time <= 3; time++) {
        const place = `LS:R:${device}:${2 * MIB}`;
        const ran = await clientCommand(daemon, ['init', '-r', place]);
        assert.match(ran.stdout + ran.stderr, /-28/, `time ${time}`);
      }
    } finally {
      await daemon.stop();
      await must('losetup', ['-d', device]);
      rmSync(image);
    }
  },
);
