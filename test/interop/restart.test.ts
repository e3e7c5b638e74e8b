import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { until } from '../../src/rig/run.ts';
import { clientCommand, hold, makeArea, startDaemon, whyNot } from './sanlock-daemons.ts';

const missing = whyNot('ours');
const where = missing === null ? { timeout: 120_000 } : { skip: missing };
const T = 2;

test(
  'a holder that outlives its daemon keeps the lockspace closed until it is gone',
  where,
  async () => {
    const directory = mkdtempSync('/var/tmp/holdfast-restart-');
    const area = makeArea(`${directory}/area`, 2 * MIB);
    const lockspace = `LS:1:${area}:0`;
    const daemons = [];
    let holder: ChildProcess | null = null;
    try {
      const first = await startDaemon('ours', { hostName: 'one', directory });
      daemons.push(first);
      const { env } = first;
      const client = async (...words: string[]) => (await clientCommand({ env }, words)).stdout;
      await client('init', '-s', lockspace, '-o', `${T}`);
      await client('init', '-r', `LS:R:${area}:1M`);
      assert.match(await client('add_lockspace', '-s', lockspace, '-o', `${T}`), /done 0/);
      holder = await hold(first, 'ours', `LS:R:${area}:1M`);
      const pid = holder.pid ?? -1;

      first.process.kill('SIGKILL');
      const killedMs = performance.now();
      await until('the daemon is gone', () => first.process.signalCode !== null, {
        withinMs: 5000,
      });
      const second = await startDaemon('ours', { hostName: 'one', directory });
      daemons.push(second);
      assert.match(await client('add_lockspace', '-s', lockspace, '-o', `${T}`), /done -11/);
      assert.match(second.log(), new RegExp(`lockspace\\.stillHeld .*pids="?${pid}`));
      assert.equal(
        readFileSync(`/proc/${pid}/comm`, 'ascii'),
        'sleep\n',
        'its lease is still good',
      );

      await until('it is stopped', () => holder?.signalCode !== null, {
        withinMs: 8 * T * 1000 + 5000,
      });
      const aliveMs = performance.now() - killedMs;
      assert.equal(holder.signalCode, 'SIGTERM');
      assert.ok(aliveMs > (8 * T - 2 * T - 1) * 1000, `after ${Math.round(aliveMs)} ms`);
      const opens = async () =>
        (await client('add_lockspace', '-s', lockspace, '-o', `${T}`)).includes('done 0');
      await until('the lockspace opens', opens, { withinMs: 60_000 });
    } finally {
      holder?.kill('SIGKILL');
      for (const daemon of daemons) await daemon.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  },
);
