import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import type { LogFields } from '../base/log-fields.ts';
import { Helper } from './helper.ts';
import { identityOf, KernelProcess, type Surroundings } from './kernel-process.ts';
import { peerCredentialsOf } from './peer-credentials.ts';
import { socketFd } from './socket-fd.ts';
import { withoutDescriptors } from './testing/without-descriptors.ts';

/** Set in the process that runs this file in a pid namespace of its own. */
const IS_APART = process.env['KERNEL_PROCESS_APART'] === '1';
const PID_FOR_NEXT = '/proc/sys/kernel/ns_last_pid';
/** Above every pid of this kernel's default limit. */
const NO_PID = 0x3ffffe;

function surroundings(deputy: Surroundings['deputy'] = null) {
  const logged: string[] = [];
  const note = (event: string, fields: LogFields = {}) =>
    logged.push([event, ...Object.values(fields)].join(' '));
  return { logged, deputy, log: { error: note, warn: note, info: note, debug: note } };
}

function sleeper(): { child: ChildProcess; pid: number; ended: Promise<NodeJS.Signals | null> } {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const ended = new Promise<NodeJS.Signals | null>((done) =>
    child.once('exit', (_status, signal) => done(signal)),
  );
  return { child, pid: child.pid ?? -1, ended };
}

async function until(what: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!what()) {
    assert.ok(Date.now() < deadline, 'in time');
    await new Promise((done) => setTimeout(done, 10));
  }
}

function bound(pid: number, around: Surroundings): KernelProcess {
  const process = KernelProcess.ofChild(pid, around);
  assert.ok(process !== null);
  return process;
}

if (IS_APART) {
  await pidComesRound();
  process.exit(0);
}

test('a process is signalled, its end is reported once, and afterwards no process is signalled', async () => {
  const around = surroundings();
  const { pid, ended } = sleeper();
  const process = bound(pid, around);
  assert.equal(process.identity, identityOf(pid));
  let ends = 0;
  process.onEnded(() => ends++);
  assert.equal(process.hasEnded, false);
  process.signal('SIGTERM');
  assert.equal(await ended, 'SIGTERM');
  await until(() => ends === 1);
  assert.equal(process.hasEnded, true);
  process.signal('SIGKILL');
  process.close();
  assert.deepEqual(around.logged, []);
});

test('what is gone is not found, and another process of that pid neither', async () => {
  const around = surroundings();
  assert.equal(KernelProcess.ofChild(NO_PID, around), null);
  assert.equal(KernelProcess.ofChild(0, around), null);
  assert.equal(KernelProcess.find(NO_PID, '1', around), null);
  const { child, pid, ended } = sleeper();
  const identity = identityOf(pid) ?? '';
  assert.equal(KernelProcess.find(pid, `${Number(identity) + 1}`, around), null);
  const found = KernelProcess.find(pid, identity, around);
  assert.equal(found?.identity, identity);
  found?.signal('SIGKILL');
  assert.equal(await ended, 'SIGKILL');
  assert.equal(KernelProcess.find(pid, identity, around), null);
  child.unref();
});

test('with no descriptor left a process counts as alive, and its end is reported later', async () => {
  const around = surroundings();
  const { pid, ended } = sleeper();
  let ends = 0;
  let process: KernelProcess | null = null;
  withoutDescriptors(() => {
    process = bound(pid, around);
    process.onEnded(() => ends++);
    assert.equal(process.hasEnded, false);
  });
  assert.deepEqual(around.logged, [`process.notWatched ${pid} EMFILE`]);
  await new Promise((done) => setTimeout(done, 50));
  assert.equal(ends, 0);
  spawn('kill', ['-9', `${pid}`]);
  await ended;
  await until(() => ends === 1);
});

async function pidComesRound(): Promise<void> {
  const around = surroundings();
  for (const withPidfd of [true, false]) {
    const holder = sleeper();
    const identity = identityOf(holder.pid) ?? '';
    let held: KernelProcess | null = null;
    const bindIt = () => {
      held = withPidfd
        ? bound(holder.pid, around)
        : KernelProcess.find(holder.pid, identity, around);
    };
    if (withPidfd) bindIt();
    else withoutDescriptors(bindIt);
    const process = held as KernelProcess | null;
    assert.ok(process !== null);
    holder.child.kill('SIGKILL');
    await holder.ended;
    await new Promise((done) => setTimeout(done, 30)); // start times count in hundredths
    let stranger = sleeper();
    for (let tries = 0; stranger.pid !== holder.pid && tries < 5000; tries++) {
      stranger.child.kill('SIGKILL');
      await stranger.ended;
      writeFileSync(PID_FOR_NEXT, `${holder.pid - 1}`);
      stranger = sleeper();
    }
    assert.equal(stranger.pid, holder.pid, 'the pid came round');
    process.signal('SIGKILL');
    assert.equal(process.hasEnded, true);
    process.close();
    stranger.child.kill('SIGTERM');
    assert.equal(await stranger.ended, 'SIGTERM', 'not killed before');
  }
}

test('a pid without a descriptor is signalled only while it is the same process', {
  skip: process.getuid?.() === 0 ? false : 'needs root, to choose the next pid',
}, () => {
  // Among themselves: whoever else starts a process on this machine would get the pid.
  const program = [process.execPath, fileURLToPath(import.meta.url)];
  const env = { ...process.env, KERNEL_PROCESS_APART: '1' };
  const words = ['--pid', '--fork', '--kill-child', '--mount-proc', ...program];
  const ran = spawnSync('unshare', words, { env, encoding: 'utf8', timeout: 120_000 });
  assert.equal(ran.status, 0, `${ran.stdout}${ran.stderr}`);
});

test('a process whose first thread has ended is alive', async () => {
  const python = [
    'import threading, time, ctypes, sys, platform',
    'threading.Thread(target=time.sleep, args=(60,)).start()',
    'print("up", flush=True)',
    'ctypes.CDLL(None).syscall(60 if platform.machine() == "x86_64" else 93, 0)',
  ];
  const child = spawn('/usr/bin/python3', ['-c', python.join('\n')], {
    stdio: ['ignore', 'pipe', 2],
  });
  const pid = child.pid ?? -1;
  await until(() => readFileSync(`/proc/${pid}/stat`, 'ascii').includes(') Z '));
  const around = surroundings();
  const identity = identityOf(pid);
  assert.ok(identity !== null);
  const process = KernelProcess.find(pid, identity, around);
  assert.equal(process?.hasEnded, false);
  process?.signal('SIGKILL');
  await until(() => child.signalCode === 'SIGKILL');
});

test('the process behind a connection is the one that opened it', async () => {
  const directory = mkdtempSync('/tmp/holdfast-peer-');
  const path = join(directory, 'sock');
  const around = surroundings();
  const accepted: Socket[] = [];
  const server = createServer((socket) => accepted.push(socket)).listen(path);
  try {
    const script = `import socket,sys,time; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); time.sleep(60)`;
    const child = spawn('/usr/bin/python3', ['-c', script, path], { stdio: 'ignore' });
    await until(() => accepted.length === 1);
    const fd = socketFd(accepted[0] as Socket);
    const peer = KernelProcess.ofPeer({ fd, peerPid: peerCredentialsOf(fd)?.pid ?? null }, around);
    assert.equal(peer?.pid, child.pid);
    assert.equal(peer?.identity, identityOf(child.pid ?? -1));
    assert.equal(
      KernelProcess.ofPeer({ fd, peerPid: 0 }, around),
      null,
      'of another pid namespace',
    );
    assert.equal(KernelProcess.ofPeer({ fd, peerPid: null }, around), null);
    peer?.signal('SIGTERM');
    await until(() => child.signalCode === 'SIGTERM');
    peer?.close();
  } finally {
    for (const socket of accepted) socket.destroy();
    server.close();
    rmSync(directory, { recursive: true });
  }
});

test('the helper signals the process that is meant, or none, and reports what it finds', async () => {
  const directory = mkdtempSync('/tmp/holdfast-helper-');
  const helperFile = join(directory, 'helper.cjs');
  symlinkSync(join(process.cwd(), 'node_modules'), join(directory, 'node_modules'));
  const format = { platform: 'node', format: 'cjs' } as const;
  const entry = { entryPoints: ['src/bin/helper.ts'], outfile: helperFile };
  buildSync({ ...entry, ...format, bundle: true, external: ['koffi'] });
  const { log } = surroundings();
  const helper = new Helper(helperFile, log);
  const alive = setInterval(() => {}, 1000); // the helper keeps no process from ending
  try {
    const { pid, ended } = sleeper();
    const identity = await new Promise<string | null>((done) => helper.identify(pid, done));
    assert.equal(identity, identityOf(pid));
    assert.equal(helper.signal(pid, `${Number(identity) + 1}`, 'SIGKILL'), true);
    assert.equal(helper.signal(pid, identity ?? '', 'SIGTERM'), true);
    assert.equal(await ended, 'SIGTERM', 'not by the first');
    assert.equal(await new Promise((done) => helper.identify(NO_PID, done)), null);
    assert.equal(readFileSync(`/proc/${helper.pid}/comm`, 'ascii'), 'sanlock-helper\n');
  } finally {
    clearInterval(alive);
    helper.close();
    rmSync(directory, { recursive: true });
  }
});

test('where /proc hides a process, the deputy identifies and signals it', async () => {
  const asked: string[] = [];
  let answer: (identity: string | null) => void = () => {};
  const around = surroundings({
    signal: (pid, identity, signal) => asked.push(`${pid} ${identity} ${signal}`) > 0,
    identify: (_pid, answered) => {
      answer = answered;
    },
  });
  const { child, pid, ended } = sleeper();
  let process: KernelProcess | null = null;
  const identity = identityOf(pid) ?? '';
  withoutDescriptors(() => {
    process = KernelProcess.find(pid, identity, around);
  });
  const hidden = process as KernelProcess | null;
  assert.ok(hidden !== null, 'hidden is not gone');
  hidden.signal('SIGTERM');
  assert.deepEqual(
    asked,
    [`${pid} ${identity} SIGTERM`],
    'by no other way: it may be another process',
  );
  answer(null);
  child.kill('SIGKILL');
  await ended;
  hidden.close();
});
