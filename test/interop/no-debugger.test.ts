import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import { treeOf } from '../../src/rig/processes.ts';
import { until } from '../../src/rig/run.ts';
import { caughtSignals, foreignVariables, isNode, openPorts } from './open-ports.ts';
import {
  clientCommand,
  killAtExit,
  makeArea,
  removeRunFolder,
  run,
  SANLOCK,
  serves,
  startDaemon,
  whyNot,
} from './sanlock-daemons.ts';
import { FakeWatchdog, whyNoWdmd } from './wdmd-host.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const missing = whyNot('ours');
process.setMaxListeners(50); // each process is ended at our exit
const where = missing === null ? { timeout: 300_000 } : { skip: missing };
const PATIENCE = { withinMs: 60_000 };
const { SIGUSR1 } = constants.signals;

/** Each program of ours, and words by which it says something and ends. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  sanlock: ['version'],
  wdmd: ['-V'],
  lvmlockd: ['-V'],
  lvmlockctl: ['--help'],
  'sanlk-reset': ['-V'],
  'sanlk-resetd': ['-V'],
  fence_sanlock: ['-o', 'metadata'],
  fence_sanlockd: ['-V'],
  holdfast: ['version'],
};

/** A plain Node, for comparison: it does all that our programs must never do. */
async function openPortOf(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const anyPort = '--inspect-port=0'; // another process of the machine may have the usual one
  const program = ['-e', 'setInterval(() => {}, 1000)', ...args];
  const control = spawn(process.execPath, [anyPort, ...program], { env, stdio: 'ignore' });
  killAtExit(control);
  const { pid = -1 } = control;
  try {
    await until('the control', () => caughtSignals(pid).includes(SIGUSR1), PATIENCE);
    control.kill('SIGUSR1');
    await until('the debugging port of the control', () => openPorts(pid).length > 0, PATIENCE);
  } finally {
    control.kill('SIGKILL');
  }
}

/** Everything that runs for long, with every kind of process that we start. */
async function startAll(directory: string, env: NodeJS.ProcessEnv): Promise<ChildProcess[]> {
  const daemon = await startDaemon('ours', { hostName: 'one', directory, env });
  const area = makeArea(join(directory, 'area'), 2 * MIB);
  const client = (...words: string[]) => clientCommand(daemon, words);
  await client('init', '-s', `LS:0:${area}:0`, '-o', '1');
  await client('init', '-r', `LS:R:${area}:1M`);
  const joined = await client('add_lockspace', '-s', `LS:1:${area}:0`, '-o', '1');
  assert.match(joined.stdout, /done 0/);
  const places = {
    FENCE_SANLOCKD_RUN_DIR: join(directory, 'fenced'),
    SANLK_RESETD_RUN_DIR: join(directory, 'resetd'),
    SANLK_RESETD_SYSRQ: join(directory, 'sysrq'),
    WDMD_RUN_DIR: join(directory, 'wdmd'),
    WDMD_SHM_DIR: directory,
  };
  const start = (program: string, ...args: string[]) => {
    const all = { ...daemon.env, ...places };
    const child = spawn(join(ROOT, 'bin', program), args, { env: all, stdio: 'ignore' });
    killAtExit(child);
    return child;
  };
  const socket = join(directory, 'lvmlockd.socket');
  const lvm = ['-f', '-T', '-p', join(directory, 'lvmlockd.pid'), '-s', socket];
  const others = [
    start('lvmlockd', ...lvm, '--adopt-file', join(directory, 'adopt')),
    start('sanlock', 'client', 'command', '-r', `LS:R:${area}:1M`),
    start('fence_sanlockd', '-D', '-w'),
    start('sanlk-resetd', '-f', '-w', '0', '-b', '1', 'LS'),
  ];
  await until('lvmlockd', () => serves(socket), PATIENCE);
  for (const ready of ['fenced/fence_sanlockd.fifo', 'resetd/sanlk-resetd.sock']) {
    await until(ready, () => existsSync(join(directory, ready)), PATIENCE);
  }
  const holds = async () => /^r LS:R/m.test((await client('status')).stdout);
  await until('the client that holds', holds, PATIENCE);
  const started = [daemon.process, ...others];
  for (const { exitCode, spawnargs } of started) assert.equal(exitCode, null, spawnargs.join(' '));
  return started;
}

function stopAll(children: readonly ChildProcess[]): void {
  for (const child of children) child.kill('SIGKILL');
}

const HOSTILE = (directory: string): NodeJS.ProcessEnv => ({
  ...process.env,
  NODE_OPTIONS: `--require ${directory}/planted.cjs --inspect=127.0.0.1:0`,
  NODE_PATH: directory,
  NODE_V8_COVERAGE: `${directory}/written/coverage`,
  NODE_COMPILE_CACHE: `${directory}/written/cache`,
  NODE_EXTRA_CA_CERTS: `${directory}/none`,
  NODE_ICU_DATA: directory,
  NODE_DEBUG: 'module,net',
  NODE_DEBUG_NATIVE: 'INSPECTOR_SERVER',
  NODE_REDIRECT_WARNINGS: `${directory}/written/warnings`,
  NODE_PENDING_DEPRECATION: '1',
  NODE_CHANNEL_FD: '99',
  OPENSSL_CONF: `${directory}/planted.cjs`,
  SSLKEYLOGFILE: `${directory}/written/keys`,
  UV_THREADPOOL_SIZE: '1',
  KOFFI_DEBUG: '1',
  GLIBC_TUNABLES: 'glibc.malloc.perturb=1',
  LD_LIBRARY_PATH: directory,
  ENV: `${directory}/planted.cjs`,
  BASH_ENV: `${directory}/planted.cjs`,
});

function plant(directory: string): void {
  mkdirSync(join(directory, 'written'));
  const code = `require('node:fs').writeFileSync(${JSON.stringify(`${directory}/written/code`)}, '')`;
  writeFileSync(join(directory, 'planted.cjs'), code);
}

test('no variable changes what a program of ours says, loads, opens or writes', where, async () => {
  const directory = mkdtempSync('/var/tmp/holdfast-ports-');
  try {
    plant(directory);
    assert.deepEqual(
      readdirSync(join(ROOT, 'bin')).sort(),
      [...Object.keys(PROGRAMS), 'package.json'].sort(),
    );
    for (const [program, words] of Object.entries(PROGRAMS)) {
      const path = join(ROOT, 'bin', program);
      const plain = await run(path, words, { env: process.env });
      const hostile = await run(path, words, { env: HOSTILE(directory) });
      assert.deepEqual(hostile, plain, program);
      assert.notEqual(plain.stdout + plain.stderr, '', program);
    }
    assert.deepEqual(readdirSync(join(directory, 'written')), []);
    const control = { ...process.env, NODE_OPTIONS: `--require ${directory}/planted.cjs` };
    await run(process.execPath, ['-e', '0'], { env: control });
    assert.deepEqual(readdirSync(join(directory, 'written')), ['code'], 'a plain Node obeys');
  } finally {
    await removeRunFolder(directory);
  }
});

test(
  'no variable reaches a daemon or a child; the program of a command gets its own',
  where,
  async () => {
    const directory = mkdtempSync('/var/tmp/holdfast-ports-');
    let children: readonly ChildProcess[] = [];
    try {
      plant(directory);
      children = await startAll(directory, HOSTILE(directory));
      const pids = children.flatMap((child) => treeOf(child.pid ?? -1));
      assert.ok(pids.length > children.length, 'lease process and script runner are among them');
      for (const pid of pids) {
        assert.deepEqual(foreignVariables(pid), [], `process ${pid}`);
        assert.deepEqual(openPorts(pid), []);
      }
      assert.deepEqual(readdirSync(join(directory, 'written')), []);
      const [daemon] = children;
      daemon?.ref();
      const area = join(directory, 'area');
      const env = { ...HOSTILE(directory), SANLOCK_RUN_DIR: join(directory, 'run') };
      await clientCommand({ env }, ['init', '-r', `LS:S:${area}:1M`]);
      const words = ['client', 'command', '-r', `LS:S:${area}:1M`, '-c', '/usr/bin/env'];
      const { stdout } = await run(SANLOCK.ours, words, { env });
      assert.match(stdout, /^NODE_CHANNEL_FD=99$/m);
      assert.match(stdout, /^OPENSSL_CONF=/m);
      assert.doesNotMatch(stdout, /HOLDFAST_KEPT/);
    } finally {
      stopAll(children);
      await removeRunFolder(directory);
    }
  },
);

test('no signal makes a running program of ours open a debugging port', where, async () => {
  const directory = mkdtempSync('/var/tmp/holdfast-ports-');
  let children: readonly ChildProcess[] = [];
  try {
    children = await startAll(directory, process.env);
    const pids = children.flatMap((child) => treeOf(child.pid ?? -1)).filter(isNode);
    for (const pid of pids) assert.ok(caughtSignals(pid).includes(SIGUSR1), `process ${pid}`);
    const ending = new Set<number>([2, 15, 1].concat(faults()));
    for (const pid of pids) {
      for (const signal of caughtSignals(pid)) {
        if (!ending.has(signal)) process.kill(pid, signal);
      }
    }
    await openPortOf([], process.env);
    for (const pid of pids) assert.deepEqual(openPorts(pid), [], `process ${pid}`);
    for (const pid of pids) assert.ok(isNode(pid), `process ${pid} runs`);
    for (const signal of [1, 2, 15]) {
      for (const pid of pids) killQuietly(pid, signal);
      killQuietly(pids[0] ?? -1, SIGUSR1);
    }
    await openPortOf([], process.env);
    for (const pid of pids) assert.deepEqual(openPorts(pid), [], `process ${pid}`);
  } finally {
    stopAll(children);
    await removeRunFolder(directory);
  }
});

/** Signals that a broken program gets: they end it. */
function faults(): number[] {
  const { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP } = constants.signals;
  return [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP];
}

function killQuietly(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by the signal before.
  }
}

test('no signal makes a starting program of ours open a debugging port', where, async () => {
  const directory = mkdtempSync('/var/tmp/holdfast-ports-');
  const env = { ...process.env, SANLOCK_RUN_DIR: directory, LVM_LVMLOCKD_SOCKET: directory };
  let unharmed = 0;
  try {
    for (const program of Object.keys(PROGRAMS)) {
      for (let round = 0; round < 3; round++) {
        const child = spawn(join(ROOT, 'bin', program), PROGRAMS[program] ?? [], {
          ...{ env, stdio: 'ignore' },
        });
        killAtExit(child);
        const ended = () => child.exitCode !== null || child.signalCode !== null;
        const { pid = -1 } = child;
        while (!ended()) {
          // From the moment that Node listens to the signal; before, it would end by it.
          if (isNode(pid) && caughtSignals(pid).includes(SIGUSR1)) killQuietly(pid, SIGUSR1);
          assert.deepEqual(openPorts(pid), [], program);
          await sleep(1);
        }
        // At its very end it has no listener any more, and ends by the signal, as the original; or
        // Node 20 does itself, when its thread for the signal wakes up only then.
        const end = child.exitCode ?? child.signalCode;
        assert.ok(end === 0 || end === 'SIGUSR1' || end === 'SIGABRT', `${program}: ${end}`);
        if (child.exitCode === 0) unharmed++;
      }
    }
    assert.ok(unharmed > 0);
  } finally {
    await removeRunFolder(directory);
  }
});

const noWdmd = whyNoWdmd() ?? missing;
const withWdmd = noWdmd === null ? { timeout: 120_000 } : { skip: noWdmd };

test('SIGUSR1 neither ends wdmd nor opens a debugging port', withWdmd, async () => {
  const directory = mkdtempSync('/var/tmp/holdfast-ports-');
  const device = await FakeWatchdog.start();
  const env = { ...process.env, WDMD_RUN_DIR: directory, WDMD_SHM_DIR: directory };
  const args = ['-D', '-w', device.path];
  const child = spawn(join(ROOT, 'bin/wdmd'), args, { env, stdio: 'ignore' });
  killAtExit(child);
  try {
    await until('wdmd', () => serves(join(directory, 'wdmd.sock')), PATIENCE);
    const pid = child.pid ?? -1;
    child.kill('SIGUSR1');
    await openPortOf([], process.env);
    assert.deepEqual(openPorts(pid), []);
    assert.equal(await serves(join(directory, 'wdmd.sock')), true);
  } finally {
    child.kill('SIGKILL');
    device.close();
    await removeRunFolder(directory);
  }
});
