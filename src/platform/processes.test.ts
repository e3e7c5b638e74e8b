import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import type { Log } from '../ports/log.ts';
import { EndRecords } from './end-records.ts';
import { NodeProcesses } from './processes.ts';
import { ScriptRunner } from './script-runner.ts';

const quiet: Log = { error() {}, warn() {}, info() {}, debug() {} };

const CHILD = `
process.on('message', (m) => process.send({ message: { echo: m.value, label: process.argv[2] } }));
process.send({ log: 'warn', event: 'child.logged', fields: { n: 1 } });
`;

async function withProcesses(
  log: Log,
  body: (processes: NodeProcesses, directory: string) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync('/tmp/holdfast-processes-');
  const leaseProcessFile = join(directory, 'child.cjs');
  writeFileSync(leaseProcessFile, CHILD);
  const scripts = new ScriptRunner(log);
  try {
    const endRecords = new EndRecords(directory);
    const settings = { leaseProcessFile, leaseProcessSettings: '{}', endRecords };
    await body(new NodeProcesses({ ...settings, scripts, deputy: null, log }), directory);
  } finally {
    scripts.close();
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

test('messages keep bigints and bytes, logs reach the log, the end is reported once', async () => {
  const logged: string[] = [];
  await withProcesses({ ...quiet, warn: (event) => logged.push(event) }, async (processes) => {
    const child = processes.startLeaseProcess<object, { echo: unknown; label: string }>('LS1');
    const heard = new Promise<{ echo: unknown; label: string }>((done) => child.onMessage(done));
    child.send({ value: { big: 1n << 60n, bytes: new Uint8Array([1, 2]) } });
    const message = await heard;
    assert.equal(message.label, 'LS1');
    assert.deepEqual(message.echo, { big: 1n << 60n, bytes: new Uint8Array([1, 2]) });
    await until(() => logged.includes('child.logged'));
    let ends = 0;
    child.onClosed(() => ends++);
    process.kill(child.process.pid, 'SIGKILL');
    await until(() => ends > 0);
    await new Promise((done) => setTimeout(done, 30));
    assert.equal(ends, 1);
  });
});

test('a killed channel calls no handler any more', () =>
  withProcesses(quiet, async (processes) => {
    const child = processes.startLeaseProcess('x');
    child.onClosed(() => assert.fail('an end that we caused is reported'));
    child.kill();
    child.send({ value: 1 });
    await until(() => !existsSync(`/proc/${child.process.pid}`));
  }));

test('the end of a lease process is reported beside its channel', () =>
  withProcesses(quiet, async (processes) => {
    const { process: bound } = processes.startLeaseProcess('x');
    assert.match(bound.identity ?? '', /^[0-9]+$/);
    let ended = false;
    bound.onEnded(() => {
      ended = true;
    });
    processes.startLeaseProcess('y').kill();
    assert.equal(ended, false);
    process.kill(bound.pid, 'SIGKILL');
    await until(() => ended);
  }));

test('to a child that reads nothing only the newest goes behind what is on its way', async () => {
  await withProcesses(quiet, async (processes) => {
    const child = processes.startLeaseProcess<object, { echo: { n: number } }>('LS1');
    const heard: number[] = [];
    child.onMessage(({ echo }) => heard.push(echo.n));
    child.send({ value: { n: 0 } });
    await until(() => heard.length === 1);
    process.kill(child.process.pid, 'SIGSTOP');
    const bytes = new Uint8Array(64 * 1024);
    const many = 2000; // 128 MB, were all of them kept
    for (let n = 1; n <= many; n++) child.sendNewest({ value: { n, bytes } });
    const { external, arrayBuffers } = process.memoryUsage();
    assert.ok(external + arrayBuffers < 64 * MIB, `${external + arrayBuffers} bytes`);
    process.kill(child.process.pid, 'SIGCONT');
    await until(() => heard.at(-1) === many);
    assert.ok(heard.length < 20, `${heard.length} messages`);
    child.kill();
  });
});
