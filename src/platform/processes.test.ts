import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildSync } from 'esbuild';
import type { Log } from '../ports/log.ts';
import { Helper } from './helper.ts';
import { NodeProcesses } from './processes.ts';

const quiet: Log = { error() {}, warn() {}, info() {}, debug() {} };

const CHILD = `
process.on('message', (m) => process.send({ message: { echo: m.value, label: process.argv[2] } }));
process.send({ log: 'warn', event: 'child.said', fields: { n: 1 } });
`;

async function withProcesses(
  log: Log,
  body: (processes: NodeProcesses, directory: string) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync('/tmp/holdfast-processes-');
  const leaseProcessFile = join(directory, 'child.cjs');
  const helperFile = join(directory, 'helper.cjs');
  writeFileSync(leaseProcessFile, CHILD);
  buildSync({
    entryPoints: ['src/bin/helper.ts'],
    outfile: helperFile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
  });
  const helper = new Helper(helperFile, log);
  try {
    const parts = { leaseProcessFile, leaseProcessSettings: '{}', helper, log };
    await body(new NodeProcesses(parts), directory);
  } finally {
    helper.close();
    rmSync(directory, { recursive: true });
  }
}

async function until(what: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!what()) {
    assert.ok(Date.now() < deadline, 'in time');
    await new Promise((done) => setTimeout(done, 10));
  }
}

test('messages keep bigints and bytes, logs reach the log, the end is told once', async () => {
  const said: string[] = [];
  await withProcesses({ ...quiet, warn: (event) => said.push(event) }, async (processes) => {
    const child = processes.startLeaseProcess<object, { echo: unknown; label: string }>('LS1');
    const heard = new Promise<{ echo: unknown; label: string }>((done) => child.onMessage(done));
    child.send({ value: { big: 1n << 60n, bytes: new Uint8Array([1, 2]) } });
    const message = await heard;
    assert.equal(message.label, 'LS1');
    assert.deepEqual(message.echo, { big: 1n << 60n, bytes: new Uint8Array([1, 2]) });
    await until(() => said.includes('child.said'));
    let ends = 0;
    child.onClosed(() => ends++);
    process.kill(child.pid, 'SIGKILL');
    await until(() => ends > 0);
    await new Promise((done) => setTimeout(done, 30));
    assert.equal(ends, 1);
  });
});

test('a killed channel calls nobody any more', () =>
  withProcesses(quiet, async (processes) => {
    const child = processes.startLeaseProcess('x');
    child.onClosed(() => assert.fail('told of an end we caused'));
    child.kill();
    child.send({ value: 1 });
    await until(() => !existsSync(`/proc/${child.pid}`));
  }));

test('a watched process is signalled, and its end is told', () =>
  withProcesses(quiet, async (processes) => {
    const sleeper = spawn('sleep', ['60'], { stdio: 'ignore' });
    const pid = sleeper.pid ?? -1;
    let gone = false;
    processes.watch(pid, () => {
      gone = true;
    });
    assert.equal(processes.signal(pid, 'SIGTERM'), true);
    await until(() => gone);
    await until(() => sleeper.exitCode !== null || sleeper.signalCode !== null);
    assert.equal(processes.signal(pid, 'SIGKILL'), false);
  }));

test('watching a process that is gone answers later, closing a watch stops it', () =>
  withProcesses(quiet, async (processes) => {
    const pid = 0x3ffffe; // above every pid of this kernel's default limit
    let gone = false;
    const watch = processes.watch(pid, () => {
      gone = true;
    });
    assert.equal(gone, false);
    await until(() => gone);
    watch.close();
    processes.watch(pid, () => assert.fail('closed')).close();
    await new Promise((done) => setTimeout(done, 20));
  }));

test('the helper runs programs without a shell', () =>
  withProcesses(quiet, async (processes, directory) => {
    const file = join(directory, 'a b; touch c');
    processes.run('touch', [file]);
    await until(() => existsSync(file));
  }));

test('a program that is not there is logged with its reason', async () => {
  const said: string[] = [];
  const log: Log = {
    ...quiet,
    error: (event, fields) => said.push(`${event} ${fields?.['reason']}`),
  };
  await withProcesses(log, async (processes) => {
    processes.run('/nowhere/kill-it', []);
    await until(() => said.some((line) => /program.notRun .*ENOENT/.test(line)));
  });
});

test('helper and name: the helper shows as sanlock-helper', () =>
  withProcesses(quiet, async (processes) => {
    processes.run('true', []);
    const children = () =>
      readFileSync(`/proc/self/task/${process.pid}/children`, 'ascii').trim().split(' ');
    await until(() =>
      children().some((pid) => readFileSync(`/proc/${pid}/comm`, 'ascii') === 'sanlock-helper\n'),
    );
  }));
