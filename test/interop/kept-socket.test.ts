import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findDaemon, REAL_PROCESSES } from '../../src/cli/observe/daemons.ts';
import { askLvmlockd } from '../../src/client/lvmlockd.ts';
import { callOnce } from '../../src/client/sanlock-link.ts';
import { MonotonicClock } from '../../src/platform/clock.ts';
import { daemonSockets } from '../../src/platform/daemon-sockets.ts';
import { ServiceManager } from '../../src/platform/test-service-manager.ts';
import { formatRequest } from '../../src/wire/lvmlockd/libdaemon.ts';
import { handOver } from '../../src/wire/sanlock/daemon-calls.ts';
import { type Maker, removeRunFolder, run, SANLOCK, whyNot } from './sanlock-daemons.ts';
import { waitFor } from './wdmd-host.ts';

/**
 * While no sanlock or lvmlockd runs, the service manager has its listening socket: who connects is
 * answered by the next one.
 */
const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const LONG_MS = 60_000;
const HANDED_OVER = 75;
const oursMissing = whyNot('ours');
const where = { skip: oursMissing ?? false, timeout: 180_000 };
const ports = { sockets: daemonSockets(), clock: new MonotonicClock() };

async function inScratch(scenario: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync('/var/tmp/holdfast-kept-');
  try {
    await scenario(directory);
  } finally {
    await removeRunFolder(directory);
  }
}

/** Connections to that name which nobody has accepted: they have no inode yet. */
function waitingAt(path: string): number {
  const lines = readFileSync('/proc/net/unix', 'latin1').split('\n');
  return lines.filter((line) => line.endsWith(` ${path}`) && line.split(/\s+/)[6] === '0').length;
}

test('sanlock clients wait for the next sanlock, until one ends for good', where, async () => {
  await inScratch(async (directory) => {
    const runDir = join(directory, 'run');
    mkdirSync(runDir);
    const path = join(runDir, 'sanlock.sock');
    const env = { ...process.env, SANLOCK_RUN_DIR: runDir, SANLOCK_PRIVILEGED: '0' };
    const args = ['daemon', '-D', '-w', '0', '-U', 'root', '-G', 'root', '-e', 'host'];
    const manager = new ServiceManager(join(directory, 'notify'), [SANLOCK.ours, ...args], env);
    const paths = { sanlock: path, wdmd: `${directory}/none`, lvmlockd: `${directory}/none` };
    const found = () => findDaemon({ ...ports, paths, processes: REAL_PROCESSES }, 'sanlock');
    const makers = (['ours', 'c'] as const).filter((maker) => whyNot(maker) === null);
    const status = (maker: Maker) => run(SANLOCK[maker], ['client', 'status'], { env });
    /** Clients begin while none runs, and the next one answers them. */
    const answersInGap = async (): Promise<void> => {
      assert.equal(await found(), null, 'the one that has ended is not taken for the next one');
      const asked = makers.map(status);
      await waitFor('they wait', () => waitingAt(path) >= makers.length, LONG_MS);
      const pid = await manager.startReady();
      for (const ran of await Promise.all(asked)) {
        assert.equal(ran.status, 0, ran.stderr);
        assert.match(ran.stdout, /^daemon host/);
      }
      assert.equal((await found())?.pid, pid);
    };
    try {
      await manager.startReady();
      assert.equal(await manager.kill('SIGKILL'), -9);
      await answersInGap();
      const endpoint = { ...ports, socketPath: path };
      callOnce(endpoint, handOver(), LONG_MS, () => {});
      assert.equal(await manager.heard('ended'), `${HANDED_OVER}`);
      await answersInGap();
      assert.equal(await manager.kill('SIGTERM'), 0);
      assert.ok(!existsSync(path));
      assert.notEqual((await status('ours')).status, 0, 'refused at once');
    } finally {
      await manager.close();
    }
  });
});

test('lvmlockd clients wait for the next lvmlockd', where, async () => {
  await inScratch(async (directory) => {
    const path = join(directory, 'lvm');
    const own = ['-p', join(directory, 'pid'), '--adopt-file', join(directory, 'adopt')];
    const command = [join(ROOT, 'bin/lvmlockd'), '-f', '--test', '-s', path, ...own];
    const manager = new ServiceManager(join(directory, 'notify'), command, process.env);
    const ask = (request: string) =>
      askLvmlockd({ ...ports, socketPath: path }, formatRequest(request), LONG_MS);
    const answersInGap = async (): Promise<void> => {
      const asked = ask('info');
      await waitFor('it waits', () => waitingAt(path) === 1, LONG_MS);
      await manager.startReady();
      assert.ok((await asked).ok);
    };
    try {
      await manager.startReady();
      assert.equal(await manager.kill('SIGKILL'), -9);
      await answersInGap();
      await ask('hand_over');
      assert.equal(await manager.heard('ended'), `${HANDED_OVER}`);
      await answersInGap();
      assert.equal(await manager.kill('SIGTERM'), 0);
      assert.ok(!existsSync(path));
    } finally {
      await manager.close();
    }
  });
});
