import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { pause, until } from '../../src/rig/run.ts';
import { handOver } from '../../src/wire/sanlock/daemon-calls.ts';
import {
  clientCommand,
  hold,
  makeArea,
  removeRunFolder,
  startDaemon,
  whyNot,
} from './sanlock-daemons.ts';

const missing = whyNot('ours');
const where = missing === null ? { timeout: 120_000 } : { skip: missing };
const T = 2;

test(
  'a daemon that hands over ends with status 75, and its successor grants at once',
  where,
  async () => {
    const directory = mkdtempSync('/var/tmp/holdfast-hand-over-');
    const area = makeArea(`${directory}/area`, 3 * MIB);
    const lockspace = `LS:1:${area}:0`;
    const daemons = [];
    const holders = [];
    try {
      const first = await startDaemon('ours', { hostName: 'one', directory });
      daemons.push(first);
      const { env } = first;
      const client = async (...words: string[]) => (await clientCommand({ env }, words)).stdout;
      await client('init', '-s', lockspace, '-o', `${T}`);
      for (const n of [1, 2]) await client('init', '-r', `LS:R${n}:${area}:${n}M`);
      assert.match(await client('add_lockspace', '-s', lockspace, '-o', `${T}`), /done 0/);
      const holder = await hold(first, 'ours', `LS:R1:${area}:1M`);
      holders.push(holder);

      const socket = connect({ path: first.socketPath });
      socket.on('error', () => {});
      socket.write(handOver().request);
      const hasEnded = () => first.process.exitCode !== null;
      await until('the daemon has ended', hasEnded, { withinMs: 5000 });
      assert.equal(first.process.exitCode, 75);

      const second = await startDaemon('ours', { hostName: 'one', directory });
      daemons.push(second);
      // By the end record of the lease process nothing that was refused may land: no wait for it.
      holders.push(await hold(second, 'ours', `LS:R2:${area}:2M`));
      await pause(8 * T * 1000);
      assert.equal(holder.signalCode, null);
    } finally {
      for (const one of holders) one.kill('SIGKILL');
      for (const daemon of daemons) await daemon.stop();
      await removeRunFolder(directory);
    }
  },
);
