import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { DatagramReceiver } from '../../src/platform/datagram.ts';
import {
  clientCommand,
  killAtExit,
  removeRunFolder,
  run,
  SANLOCK,
  serves,
  startDaemon,
  whyNot,
} from './sanlock-daemons.ts';
import { FakeWatchdog, statusOf, WDMD, WdmdHost, waitFor, whyNoWdmd } from './wdmd-host.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const missing = whyNot('ours');
const where = missing === null ? { timeout: 120_000 } : { skip: missing };
const withWdmd = missing ?? whyNoWdmd();
const whereWdmd = withWdmd === null ? { timeout: 120_000 } : { skip: withWdmd };
const SERVED = /another daemon serves it/;
const REFUSED = /is another daemon running\?|another daemon serves it/;

const LONG_MS = 50_000;

/** A daemon in the foreground, and what it says on stderr. */
function start(program: string, args: readonly string[], env: NodeJS.ProcessEnv) {
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  killAtExit(child);
  return child;
}

function textOf(stream: Readable | null): () => string {
  let text = '';
  stream?.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
  });
  return () => text;
}

async function ended(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM');
  await statusOf(child);
}

async function inScratch(scenario: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync('/var/tmp/holdfast-second-');
  try {
    await scenario(directory);
  } finally {
    await removeRunFolder(directory);
  }
}

test('a second lvmlockd with another pid file leaves the first its socket', where, async () => {
  await inScratch(async (directory) => {
    const program = `${ROOT}/bin/lvmlockd`;
    const path = join(directory, 'lvmlockd.socket');
    const of = (n: number) => ['-f', '--test', '-s', path, '-p', join(directory, `${n}.pid`)];
    const first = start(program, [...of(1), '--adopt-file', join(directory, 'adopt')], process.env);
    try {
      await waitFor('the first lvmlockd', () => serves(path));
      const { ino } = statSync(path);
      const second = await run(program, of(2), { env: process.env });
      assert.equal(second.status, 1);
      assert.match(second.stderr, SERVED);
      assert.equal(statSync(path).ino, ino);
      assert.ok(await serves(path));
      assert.ok(!existsSync(join(directory, '2.pid')), 'its own pid file goes with it');
    } finally {
      await ended(first);
    }
    assert.ok(!existsSync(path), 'the first takes its socket along');
    assert.ok(!existsSync(join(directory, '1.pid')));
  });
});

test('a second sanlock, the pid file removed, leaves the first its socket', where, async () => {
  const first = await startDaemon('ours', { hostName: 'first' });
  try {
    rmSync(join(first.directory, 'run/sanlock.pid'));
    const again = ['daemon', '-D', '-w', '0', '-U', 'root', '-G', 'root', '-e', 'second'];
    const second = await run(SANLOCK.ours, again, { env: first.env });
    assert.equal(second.status, 1);
    assert.match(second.stderr, SERVED);
    const status = await clientCommand(first, ['status']);
    assert.match(status.stdout, /^daemon first/);
    assert.ok(!existsSync(join(first.directory, 'run/sanlock.pid')), 'no pid of who never served');
  } finally {
    await first.stop();
  }
});

test(
  'of three sanlock that are started at one moment one serves, and the others say why',
  where,
  async () => {
    await inScratch(async (directory) => {
      const runDir = join(directory, 'run');
      mkdirSync(runDir);
      const env = { ...process.env, SANLOCK_RUN_DIR: runDir, SANLOCK_PRIVILEGED: '0' };
      const args = ['daemon', '-D', '-w', '0', '-U', 'root', '-G', 'root', '-e', 'host'];
      // The second time they find what a killed daemon has left.
      for (let round = 0; round < 2; round++) {
        const children = [1, 2, 3].map(() => start(SANLOCK.ours, args, env));
        const texts = children.map(({ stderr }) => textOf(stderr));
        const hasEnded = ({ exitCode }: ChildProcess) => exitCode !== null;
        await waitFor('two of them', () => children.filter(hasEnded).length === 2, LONG_MS);
        const winner = children.find((child) => !hasEnded(child));
        assert.ok(winner !== undefined);
        await waitFor('the third', () => serves(join(runDir, 'sanlock.sock')));
        assert.equal(readFileSync(join(runDir, 'sanlock.pid'), 'utf8'), `${winner.pid}\n`);
        for (const [n, child] of children.entries()) {
          if (child === winner) continue;
          assert.equal(child.exitCode, 1);
          await waitFor('its sentence', () => REFUSED.test(texts[n]?.() ?? ''));
        }
        winner.kill('SIGKILL');
        await statusOf(winner);
      }
    });
  },
);

test('a sanlock that a service manager starts waits for the one that runs', where, async () => {
  await inScratch(async (directory) => {
    const first = await startDaemon('ours', { hostName: 'first', directory });
    const heard: string[] = [];
    const path = join(directory, 'notify');
    const ear = new DatagramReceiver(path, (bytes) => {
      const text = Buffer.from(bytes).toString();
      if (!text.startsWith('FDSTORE')) heard.push(text); // its socket
    });
    const again = ['daemon', '-D', '-w', '0', '-U', 'root', '-G', 'root', '-e', 'second'];
    const second = start(SANLOCK.ours, again, { ...first.env, NOTIFY_SOCKET: path });
    try {
      const waits = `STATUS=waits for the end of the one that runs (pid ${first.process.pid})`;
      await waitFor('the second waits', () => heard.includes(waits), 30_000);
      assert.match((await clientCommand(first, ['status'])).stdout, /^daemon first/);
      assert.deepEqual(heard, [waits]);
      first.process.kill('SIGKILL');
      await waitFor('the second serves', () => heard.includes('READY=1'), 30_000);
      assert.match((await clientCommand(first, ['status'])).stdout, /^daemon second/);
      assert.deepEqual(heard, [waits, 'STATUS=', 'READY=1']);
    } finally {
      await ended(second);
      await first.stop();
      ear.close();
    }
  });
});

test(
  'a user who keeps the run directory locked keeps no sanlock from starting',
  where,
  async () => {
    await inScratch(async (directory) => {
      chmodSync(directory, 0o755);
      const runDir = join(directory, 'run');
      mkdirSync(runDir, { mode: 0o775 });
      const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups'];
      const words = [...nobody, 'flock', runDir, 'sh', '-c', 'echo locked; exec cat'];
      const user = spawn('setpriv', words, { stdio: ['pipe', 'pipe', 'inherit'] });
      await once(user.stdout, 'data');
      try {
        const daemon = await startDaemon('ours', { hostName: 'first', directory });
        await daemon.stop();
      } finally {
        user.stdin.end();
        await once(user, 'exit');
      }
    });
  },
);

test('a second wdmd, pid file and guard removed, leaves the first alone', whereWdmd, async () => {
  const device = await FakeWatchdog.start();
  const other = await FakeWatchdog.start();
  const host = await WdmdHost.start();
  try {
    const first = await host.wdmd('ours', device);
    for (const left of ['/run/wdmd/wdmd.pid', '/dev/shm/wdmd']) rmSync(host.path(left));
    const second = await host.run(WDMD.ours, ['-D', '-w', other.path]);
    assert.notEqual(second.status, 0);
    assert.match(second.stderr, SERVED);
    assert.match(await host.dump(), new RegExp(`^wdmd ${first.pid} `));
    await ended(first);
    assert.ok(!existsSync(host.socketPath));
  } finally {
    host.close();
    device.close();
    other.close();
  }
});

test('a second sanlk-resetd leaves the first its control socket', where, async () => {
  await inScratch(async (directory) => {
    const env = {
      ...process.env,
      SANLK_RESETD_RUN_DIR: join(directory, 'resetd'),
      SANLK_RESETD_SYSRQ: join(directory, 'sysrq'),
    };
    const args = ['-f', '-w', '0', '-b', '1'];
    const program = `${ROOT}/bin/sanlk-resetd`;
    const first = start(program, args, env);
    const path = join(directory, 'resetd/sanlk-resetd.sock');
    try {
      await waitFor('the first sanlk-resetd', () => existsSync(path));
      const { ino } = statSync(path);
      const second = await run(program, args, { env });
      assert.equal(second.status, 1);
      assert.match(second.stderr, SERVED);
      assert.equal(statSync(path).ino, ino);
    } finally {
      await ended(first);
    }
    assert.ok(!existsSync(path));
  });
});

test('a second fence_sanlockd, the pid file removed, leaves the FIFO', where, async () => {
  await inScratch(async (directory) => {
    const runDir = join(directory, 'fenced');
    const env = { ...process.env, FENCE_SANLOCKD_RUN_DIR: runDir };
    const program = `${ROOT}/bin/fence_sanlockd`;
    const first = start(program, ['-D', '-w'], env);
    const path = join(runDir, 'fence_sanlockd.fifo');
    try {
      await waitFor('the first fence_sanlockd', () => existsSync(path));
      rmSync(join(runDir, 'fence_sanlockd.pid'));
      const second = await run(program, ['-D', '-w'], { env });
      assert.equal(second.status, 1);
      assert.match(second.stderr, /read by another daemon/);
      assert.ok(existsSync(path));
    } finally {
      await ended(first);
    }
    assert.ok(!existsSync(path));
  });
});
