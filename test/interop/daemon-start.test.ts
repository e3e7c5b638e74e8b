import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import {
  clientCommand,
  removeRunFolder,
  run,
  SANLOCK,
  startDaemon,
  whyNot,
} from './sanlock-daemons.ts';

const missing = whyNot('ours');
const where = missing === null ? {} : { skip: missing };
const LIMIT_MS = 20_000;
const AS_ROOT = ['-w', '0', '-U', 'root', '-G', 'root'];

test('a second daemon on one run directory leaves with 1, the first stays', where, async () => {
  const first = await startDaemon('ours', { hostName: 'first' });
  try {
    const startMs = performance.now();
    const second = await run(SANLOCK.ours, ['daemon', '-D', ...AS_ROOT], { env: first.env });
    assert.equal(second.status, 1);
    assert.match(second.stderr, /cannot lock .*sanlock\.pid/);
    assert.ok(performance.now() - startMs < 20_000, 'it does not wait for the first to end');
    const status = await clientCommand(first, ['status']);
    assert.match(status.stdout, /^daemon first/);
  } finally {
    await first.stop();
  }
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  test(
    `without a lockspace ${signal} ends it with 0, and its processes with it`,
    where,
    async () => {
      const daemon = await startDaemon('ours', { hostName: 'ends' });
      const pid = daemon.process.pid ?? -1;
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'ascii').trim().split(' ');
      assert.equal(await endOf(daemon.process, signal), 0);
      for (let waitedMs = 0; children.some(isRunning) && waitedMs < LIMIT_MS; waitedMs += 20)
        await sleep(20);
      for (const child of children) assert.equal(isRunning(child), false, `child ${child}`);
      await daemon.stop();
    },
  );
}

test('in the background: the command returns 0 when the daemon serves', where, async () => {
  const directory = mkdtempSync('/tmp/holdfast-start-');
  const env = { ...process.env, SANLOCK_RUN_DIR: directory };
  const started = spawnSync(SANLOCK.ours, ['daemon', ...AS_ROOT, '-e', 'hidden'], { env });
  assert.equal(started.status, 0, String(started.stderr));
  const pid = Number(readFileSync(join(directory, 'sanlock.pid'), 'ascii'));
  try {
    const status = await clientCommand({ env }, ['status']);
    assert.match(status.stdout, /^daemon hidden/);
    assert.equal(readFileSync(`/proc/${pid}/comm`, 'ascii'), 'sanlock\n');
    assert.equal(statSync(join(directory, 'sanlock.sock')).mode & 0o777, 0o660);
    const session = readFileSync(`/proc/${pid}/stat`, 'ascii').split(') ')[1]?.split(' ')[3];
    assert.equal(Number(session), pid, 'it leads a session of its own');
    const again = spawnSync(SANLOCK.ours, ['daemon', ...AS_ROOT], { env, encoding: 'utf8' });
    assert.equal(again.status, 1);
    assert.match(again.stderr, /cannot lock/);
  } finally {
    process.kill(pid, 'SIGKILL');
    await removeRunFolder(directory);
  }
});

test('privileges are dropped to the user sanlock, the helper keeps them', where, async (t) => {
  if (!readFileSync('/etc/passwd', 'utf8').includes('\nsanlock:')) return t.skip('no such user');
  const directory = mkdtempSync('/tmp/holdfast-start-');
  chmodSync(directory, 0o755); // the user sanlock must reach the run directory below
  const env = { ...process.env, SANLOCK_RUN_DIR: join(directory, 'run') };
  const daemon = spawn(SANLOCK.ours, ['daemon', '-D', '-w', '0'], { env, stdio: 'ignore' });
  const pid = daemon.pid ?? -1;
  try {
    const uid = () => /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'ascii'))?.[1];
    for (let waitedMs = 0; uid() === '0' && waitedMs < LIMIT_MS; waitedMs += 20) await sleep(20);
    const expected = /^sanlock:x:(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[1];
    assert.equal(uid(), expected);
    const children = () =>
      readFileSync(`/proc/${pid}/task/${pid}/children`, 'ascii').trim().split(' ');
    const findHelper = () => children().find((child) => commOf(child) === 'sanlock-helper');
    for (let waitedMs = 0; findHelper() === undefined && waitedMs < LIMIT_MS; waitedMs += 20)
      await sleep(20);
    const helper = findHelper();
    assert.ok(helper !== undefined);
    assert.match(readFileSync(`/proc/${helper}/status`, 'ascii'), /^Uid:\s+0\s/m);
  } finally {
    daemon.kill('SIGKILL');
    await removeRunFolder(directory);
  }
});

test('without wdmd a lockspace is refused before its disk is touched', where, async () => {
  // The last -w counts.
  const daemon = await startDaemon('ours', { hostName: 'unfed', extra: ['-w', '1'] });
  const env = { ...daemon.env, WDMD_RUN_DIR: join(daemon.directory, 'nowhere') };
  const lockspace = `LS:1:${join(daemon.directory, 'area')}:0`;
  const sanlock = (...words: string[]) => clientCommand({ env }, words);
  try {
    writeFileSync(join(daemon.directory, 'area'), new Uint8Array(MIB));
    await sanlock('init', '-s', lockspace, '-o', '2');
    const before = readFileSync(join(daemon.directory, 'area'));
    const added = await sanlock('add_lockspace', '-s', lockspace);
    assert.match(added.stdout, /add_lockspace done -203/);
    assert.deepEqual(readFileSync(join(daemon.directory, 'area')), before);
    assert.match(daemon.log(), /watchdog\.failed .*wdmd cannot be reached/);
  } finally {
    await daemon.stop();
  }
});

test('a wrong option is refused where the C program prints it', where, async () => {
  const ran = await run(SANLOCK.ours, ['daemon', '-y', '1'], { env: process.env });
  assert.deepEqual([ran.status, ran.stdout], [1, 'unknown option: y\n']);
});

/** The daemon on an /etc of its own, where the user and group of the file and its keys are. */
function withConfig(conf: string, ...args: readonly string[]) {
  const directory = mkdtempSync('/tmp/holdfast-start-');
  try {
    mkdirSync(join(directory, 'etc/sanlock'), { recursive: true });
    for (const file of ['passwd', 'group', 'ld.so.cache']) {
      if (existsSync(`/etc/${file}`)) cpSync(`/etc/${file}`, join(directory, 'etc', file));
    }
    writeFileSync(join(directory, 'etc/sanlock/sanlock.conf'), conf);
    const script = 'mount --bind "$1" /etc && shift && exec "$@"';
    const command = [SANLOCK.ours, 'daemon', '-U', 'root', '-G', 'root', ...args];
    const words = ['-m', '/bin/sh', '-c', script, 'sh', join(directory, 'etc'), ...command];
    const env = { ...process.env, SANLOCK_RUN_DIR: join(directory, 'run') };
    const ran = spawnSync('unshare', words, { env, encoding: 'utf8', timeout: LIMIT_MS });
    return { ...ran, wasServing: existsSync(join(directory, 'run')) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const WRONG_WATCHDOG =
  '/etc/sanlock/sanlock.conf:2: use_watchdog: found "yes", wanted 0 or 1; the daemon does not start';

test('a mistyped watchdog setting does not turn the watchdog off', where, () => {
  const conf = '# ours\nuse_watchdog = yes\nio_timout = 5\n';
  const typo =
    '/etc/sanlock/sanlock.conf:3: found "io_timout", wanted perhaps io_timeout; the line is skipped';
  const behind = withConfig(conf);
  assert.deepEqual([behind.status, behind.stdout, behind.wasServing], [1, '', false]);
  const lines = [typo, WRONG_WATCHDOG].map((line) => `sanlock daemon: ${line}\n`);
  assert.equal(behind.stderr, lines.join(''));
  const front = withConfig(conf, '-D');
  assert.deepEqual([front.status, front.stdout, front.wasServing], [1, '', false]);
  assert.match(front.stderr, /setting\.refused place=\S+conf:2 key=use_watchdog found="yes"/);
  assert.match(front.stderr, /setting\.questionable place=\S+conf:3/);
  assert.equal(front.stderr.trim().split('\n').length, 2, 'once each');
  const option = withConfig('', '-w', 'yes');
  assert.deepEqual([option.status, option.wasServing], [1, false]);
  assert.match(option.stderr, /^sanlock daemon: option -w: found "yes", wanted 0 or 1;/);
});

test(
  '--check says what it finds and whether the daemon would start, and starts none',
  where,
  () => {
    const wrong = withConfig('# ours\nuse_watchdog = yes\n', '--check');
    assert.equal(wrong.stderr, `sanlock daemon: ${WRONG_WATCHDOG}\n`);
    assert.equal(wrong.stdout, 'The daemon would not start: 1 of its settings are refused.\n');
    assert.deepEqual([wrong.status, wrong.wasServing], [1, false]);
    const questionable = withConfig('mlock_level = 9\n', '--check', '-w', '0');
    assert.match(
      questionable.stderr,
      /conf:1: mlock_level: found "9", wanted a number from 0 to 2/,
    );
    assert.equal(questionable.stdout, 'The daemon would start, with 1 questionable settings.\n');
    assert.deepEqual([questionable.status, questionable.wasServing], [0, false]);
    const sound = withConfig('use_hugepages = none\n', '--check');
    assert.match(sound.stdout, /use_hugepages.*no effect here/);
    assert.match(sound.stdout, /^The daemon would start: its settings are sound\.$/m);
    assert.deepEqual([sound.status, sound.stderr], [0, '']);
  },
);

/** Waits by a timer: the daemons of this rig do not keep the test's event loop alive. */
async function endOf(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  child.kill(signal);
  for (let waitedMs = 0; child.exitCode === null && waitedMs < LIMIT_MS; waitedMs += 20)
    await sleep(20);
  return child.exitCode;
}

function isRunning(pid: string): boolean {
  return commOf(pid) !== null;
}

function commOf(pid: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'ascii').trim();
  } catch {
    return null;
  }
}
