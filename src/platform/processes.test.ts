import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BrokenInvariant } from '../base/assert.ts';
import type { LogFields, LogLevel } from '../base/log-fields.ts';
import { MIB } from '../base/units.ts';
import type { Log } from '../ports/log.ts';
import type { MessageFormat } from '../ports/processes.ts';
import { EndRecords } from './end-records.ts';
import { FRONT_FD, FrontChannel } from './front-channel.ts';
import { NodeProcesses } from './processes.ts';
import { ScriptRunner } from './script-runner.ts';
import { testsBeside } from './test-role.ts';
import { withoutDescriptors } from './testing/without-descriptors.ts';

const quiet: Log = { error() {}, warn() {}, info() {}, debug() {} };

interface Echo {
  readonly label: string | undefined;
  readonly echo: { readonly n?: number };
}

/** JSON; what the real messages are is not this room's. */
const FORMAT: MessageFormat<object, Echo> = {
  encode: (message) => new TextEncoder().encode(JSON.stringify(message)),
  decode: (bytes) => {
    const text = new TextDecoder().decode(bytes);
    if (text.includes('garbage')) throw new BrokenInvariant('no message');
    return JSON.parse(text) as Echo;
  },
};

/** The lease process of these tests is another process of this file: it sends back what it gets. */
const ROLE = 'HOLDFAST_TEST_ECHO';

function playEcho(): void {
  const front = new FrontChannel(FRONT_FD, (bytes) => {
    const echo = JSON.parse(new TextDecoder().decode(bytes));
    front.send(FORMAT.encode({ echo, label: process.argv[2] }));
    if (echo.last !== true) return;
    front.close();
    process.exit(0);
  });
  front.onClosed(() => process.exit(0));
  front.log('warn', 'child.logged', { n: 1, big: 1n << 60n, text: 'h\u00e9 \u20ac' });
}

async function withProcesses(
  log: Log,
  body: (processes: NodeProcesses, directory: string) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync('/tmp/holdfast-processes-');
  const leaseProcessFile = fileURLToPath(import.meta.url);
  process.env[ROLE] = '1';
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

/** The lines of one level; the others are dropped. */
function logOf(level: LogLevel): { log: Log; logged: [string, LogFields | undefined][] } {
  const logged: [string, LogFields | undefined][] = [];
  const note = (event: string, fields?: LogFields) => void logged.push([event, fields]);
  return { log: { ...quiet, [level]: note }, logged };
}

async function until(what: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!what()) {
    assert.ok(Date.now() < deadline, 'in time');
    await new Promise((done) => setTimeout(done, 10));
  }
}

const beside = testsBeside(ROLE, playEcho);

beside('messages and log lines arrive, the end is reported once', async () => {
  const { log, logged } = logOf('warn');
  await withProcesses(log, async (processes) => {
    const child = processes.startLeaseProcess('LS1', FORMAT);
    const heard: Echo[] = [];
    child.onMessage((message) => heard.push(message));
    for (let n = 0; n < 100; n++) child.send({ n });
    await until(() => heard.length === 100);
    assert.deepEqual(
      heard.map(({ echo }) => echo.n),
      Array.from({ length: 100 }, (_, n) => n),
    );
    assert.equal(heard[0]?.label, 'LS1');
    assert.deepEqual(logged, [['child.logged', { n: 1, big: 1n << 60n, text: 'h\u00e9 \u20ac' }]]);
    let ends = 0;
    child.onClosed(() => ends++);
    process.kill(child.process.pid, 'SIGKILL');
    await until(() => ends > 0);
    await new Promise((done) => setTimeout(done, 30));
    assert.equal(ends, 1);
  });
});

beside('a message of any length arrives whole', () =>
  withProcesses(quiet, async (processes) => {
    const child = processes.startLeaseProcess('LS1', FORMAT);
    const heard: Echo[] = [];
    child.onMessage((message) => heard.push(message));
    const text = 'x'.repeat(3 * MIB); // far more than the kernel holds
    child.send({ n: 1, text });
    child.send({ n: 2 });
    await until(() => heard.length === 2);
    assert.deepEqual(heard[0]?.echo, { n: 1, text });
    assert.deepEqual(heard[1]?.echo, { n: 2 });
    child.kill();
  }),
);

beside('what a child sent before its end is heard before its end', () =>
  withProcesses(quiet, async (processes) => {
    for (let round = 0; round < 5; round++) {
      const child = processes.startLeaseProcess('LS1', FORMAT);
      const told: string[] = [];
      child.onMessage(() => told.push('message'));
      child.onClosed(() => told.push('closed'));
      child.send({ last: true });
      await until(() => told.includes('closed'));
      assert.deepEqual(told, ['message', 'closed']);
    }
  }),
);

beside('a child that sends no message of ours is ended, and the log says so', async () => {
  const logged: string[] = [];
  const log = { ...quiet, error: (event: string) => logged.push(event) };
  await withProcesses(log, async (processes) => {
    const child = processes.startLeaseProcess('LS1', FORMAT);
    child.onMessage(() => assert.fail('it is no message'));
    let ends = 0;
    child.onClosed(() => ends++);
    child.send({ garbage: 1 });
    await until(() => ends > 0 && child.process.hasEnded);
    assert.deepEqual(logged, ['leaseProcess.unreadable']);
    assert.equal(ends, 1);
  });
});

beside('with no descriptor left a lease process is as one that ends at once', async () => {
  const { log, logged } = logOf('error');
  await withProcesses(log, async (processes) => {
    const before = readdirSync('/proc/self/fd').length;
    let ends = 0;
    withoutDescriptors(() => {
      const child = processes.startLeaseProcess('x', FORMAT);
      child.onClosed(() => ends++);
      child.send({ n: 1 });
      child.kill();
    });
    await until(() => ends > 0);
    const fields = { call: 'socketpair', errno: 24, error: 'EMFILE' };
    assert.deepEqual(logged, [['leaseProcess.notStarted', fields]]);
    assert.equal(readdirSync('/proc/self/fd').length, before);
  });
});

beside('a killed channel calls no handler any more', () =>
  withProcesses(quiet, async (processes) => {
    const child = processes.startLeaseProcess('x', FORMAT);
    child.onClosed(() => assert.fail('an end that we caused is reported'));
    child.kill();
    child.send({ value: 1 });
    await until(() => !existsSync(`/proc/${child.process.pid}`));
  }),
);

beside('the end of a lease process is reported beside its channel', () =>
  withProcesses(quiet, async (processes) => {
    const { process: bound } = processes.startLeaseProcess('x', FORMAT);
    assert.match(bound.identity ?? '', /^[0-9]+$/);
    let ended = false;
    bound.onEnded(() => {
      ended = true;
    });
    processes.startLeaseProcess('y', FORMAT).kill();
    assert.equal(ended, false);
    process.kill(bound.pid, 'SIGKILL');
    await until(() => ended);
  }),
);

beside('to a child that reads nothing only the newest goes behind what is on its way', () =>
  withProcesses(quiet, async (processes) => {
    const child = processes.startLeaseProcess('LS1', FORMAT);
    const heard: (number | undefined)[] = [];
    child.onMessage(({ echo }) => heard.push(echo.n));
    child.send({ n: 0 });
    await until(() => heard.length === 1);
    process.kill(child.process.pid, 'SIGSTOP');
    const text = 'x'.repeat(64 * 1024);
    const many = 2000; // 128 MB, were all of them kept
    for (let n = 1; n <= many; n++) child.sendNewest({ n, text });
    const { external, arrayBuffers } = process.memoryUsage();
    assert.ok(external + arrayBuffers < 64 * MIB, `${external + arrayBuffers} bytes`);
    process.kill(child.process.pid, 'SIGCONT');
    await until(() => heard.at(-1) === many);
    assert.ok(heard.length < 20, `${heard.length} messages`);
    child.kill();
  }),
);
