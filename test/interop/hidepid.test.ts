import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { until } from '../../src/rig/run.ts';
import {
  clientCommand,
  hold,
  makeArea,
  removeRunFolder,
  startDaemon,
  type TestDaemon,
  whyNot,
} from './sanlock-daemons.ts';

const missing = whyNot('ours');
const where = missing === null ? { timeout: 120_000 } : { skip: missing };
const T = 2;
const DAEMON_USER = 1; // of every Linux
/** A /proc that shows each user its own processes only. */
const APART = `
mount -t proc -o hidepid=2 proc /proc
mount -t tmpfs tmpfs /var/log
exec "$@"
`;

/** It gives up its privileges, and then sees no holder in /proc. */
function start(directory: string): Promise<TestDaemon> {
  const through = ['unshare', '-m', 'env', '-u', 'SANLOCK_PRIVILEGED', 'sh', '-c', APART, 'sh'];
  const extra = ['-U', 'daemon', '-G', 'daemon'];
  return startDaemon('ours', { hostName: 'one', directory, through, extra });
}

test('hidepid: holders are recorded, known again, and their end is seen', where, async () => {
  const directory = mkdtempSync('/var/tmp/holdfast-hidepid-');
  const runDir = join(directory, 'run');
  mkdirSync(runDir);
  const area = makeArea(join(directory, 'area'), 2 * MIB);
  for (const path of [directory, runDir, area]) chownSync(path, DAEMON_USER, DAEMON_USER);
  const daemons: TestDaemon[] = [];
  let holder: ChildProcess | null = null;
  try {
    const first = await start(directory);
    daemons.push(first);
    assert.match(readFileSync(`/proc/${first.process.pid}/status`, 'ascii'), /^Uid:\t1\t1/m);
    const client = async (...words: string[]) => (await clientCommand(first, words)).stdout;
    const join1 = ['add_lockspace', '-s', `LS:1:${area}:0`, '-o', `${T}`];
    await client('init', '-s', `LS:0:${area}:0`, '-o', `${T}`);
    await client('init', '-r', `LS:R:${area}:1M`);
    assert.match(await client(...join1), /done 0/);
    holder = await hold(first, 'ours', `LS:R:${area}:1M`);
    const journal = readFileSync(join(runDir, 'sanlock.holders'), 'latin1');
    assert.match(journal, new RegExp(`"pid":${holder.pid},"started":"[0-9]+"`));

    first.process.kill('SIGKILL');
    await until('its end', () => first.process.signalCode !== null, { withinMs: 5000 });
    daemons.push(await start(directory));
    assert.match(await client(...join1), /done -17/, 'the next daemon goes on with the lockspace');
    const second = daemons[1] ?? first;
    await assert.rejects(hold(second, 'ours', `LS:R:${area}:1M`), 'for the one that holds it');
    assert.equal(holder.signalCode, null);
    holder.kill('SIGKILL');
    const isFree = async () => {
      const held = await hold(second, 'ours', `LS:R:${area}:1M`).catch(() => null);
      held?.kill('SIGKILL');
      return held !== null;
    };
    await until('its end is seen, and its lease is free', isFree, { withinMs: 60_000 });
  } finally {
    holder?.kill('SIGKILL');
    for (const daemon of daemons) await daemon.stop();
    await removeRunFolder(directory);
  }
});
