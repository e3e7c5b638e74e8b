import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { pause, until } from '../../src/rig/run.ts';
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

test('a lease outlives its daemon with its holder, and ends with it', where, async () => {
  const directories = [1, 2].map(() => mkdtempSync('/var/tmp/holdfast-restart-'));
  const [own = '', other = ''] = directories;
  const area = makeArea(`${own}/area`, 2 * MIB);
  const resource = `LS:R:${area}:1M`;
  const lockspace = (hostId: number) => `LS:${hostId}:${area}:0`;
  const daemons = [];
  const processes: ChildProcess[] = [];
  try {
    const first = await startDaemon('ours', { hostName: 'one', directory: own });
    daemons.push(first);
    const rival = await startDaemon('ours', { hostName: 'two', directory: other });
    daemons.push(rival);
    const client = async (to: { env: NodeJS.ProcessEnv }, ...words: string[]) =>
      (await clientCommand(to, words)).stdout;
    await client(first, 'init', '-s', lockspace(1), '-o', `${T}`);
    await client(first, 'init', '-r', resource);
    for (const [n, daemon] of [first, rival].entries()) {
      const joined = await client(daemon, 'add_lockspace', '-s', lockspace(n + 1), '-o', `${T}`);
      assert.match(joined, /done 0/);
    }
    const holder = await hold(first, 'ours', resource);
    processes.push(holder);
    const pid = holder.pid ?? -1;

    let last = first;
    for (let restart = 0; restart < 3; restart++) {
      const { process: killed } = last;
      killed.kill('SIGKILL');
      const gone = () => killed.signalCode !== null;
      await until('the daemon is gone', gone, { withinMs: 5000 });
      last = await startDaemon('ours', { hostName: 'one', directory: own });
      daemons.push(last);
      const added = await client(last, 'add_lockspace', '-s', lockspace(1), '-o', `${T}`);
      assert.match(added, /done -17/);
      assert.match(last.log(), /lockspace\.handedOver .*generation="?1"? .*leases="?1/);
      await pause(2 * T * 1000);
    }
    await pause(8 * T * 1000);
    assert.equal(readFileSync(`/proc/${pid}/comm`, 'ascii'), 'sleep\n', 'it holds its lease');
    assert.match(await client(last, 'status'), new RegExp(`^r LS:R:.*:1 p ${pid}$`, 'm'));
    await assert.rejects(hold(rival, 'ours', resource), 'the other host does not get it');

    holder.kill('SIGKILL');
    const takesOver = async () => {
      const next = await hold(rival, 'ours', resource).catch(() => null);
      if (next !== null) processes.push(next);
      return next !== null;
    };
    await until('the lease of the process that has ended is free', takesOver, { withinMs: 10_000 });
  } finally {
    for (const one of processes) one.kill('SIGKILL');
    for (const daemon of daemons) await daemon.stop();
    for (const directory of directories) await removeRunFolder(directory);
  }
});

test('a daemon that is started too late stops the holder, and joins anew', where, async () => {
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
    first.process.kill('SIGKILL');
    await pause(8 * T * 1000 + 1000);
    assert.equal(holder.signalCode, null, 'nobody is there to stop it');
    daemons.push(await startDaemon('ours', { hostName: 'one', directory }));
    await until('it is stopped', () => holder?.signalCode !== null, { withinMs: 5000 });
    assert.equal(holder.signalCode, 'SIGTERM');
    const opens = async () =>
      /done (0|-17)/.test(await client('add_lockspace', '-s', lockspace, '-o', `${T}`));
    await until('the lockspace opens', opens, { withinMs: 60_000 });
  } finally {
    holder?.kill('SIGKILL');
    for (const daemon of daemons) await daemon.stop();
    await removeRunFolder(directory);
  }
});
