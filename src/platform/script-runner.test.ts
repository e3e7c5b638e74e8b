import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { textToName } from '../base/bytes.ts';
import type { LogFields } from '../base/log-fields.ts';
import { ScriptRunner } from './script-runner.ts';
import { mkfifo } from './system-calls.ts';

const WAITING = 8;

interface Harness {
  readonly scripts: ScriptRunner;
  readonly directory: string;
  readonly logged: string[];
}

async function withRunner(body: (harness: Harness) => Promise<void>): Promise<void> {
  const directory = mkdtempSync('/tmp/holdfast-scripts-');
  const logged: string[] = [];
  const note = (event: string, fields: LogFields = {}) =>
    logged.push([event, ...Object.values(fields)].join(' '));
  const scripts = new ScriptRunner({ error: note, warn: note, info: note, debug: note });
  try {
    await body({ scripts, directory, logged });
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

test('every word reaches the program as it is, whatever a shell would make of it', () =>
  withRunner(async ({ scripts, directory, logged }) => {
    const program = join(directory, 'a b;c');
    const out = join(directory, 'out');
    writeFileSync(program, `#!/bin/sh\nprintf '%s\\n' "$@" >'${out}'\n`, { mode: 0o755 });
    const bytes = Array.from({ length: 255 }, (_, i) => String.fromCharCode(i + 1));
    const printable = bytes.filter((byte) => byte !== '\n').join('');
    const words = ['', ' ', "it's", '$(touch x)', '`id`', '-n', '\\', '*', printable];
    scripts.run(textToName(program), words);
    await until(() => logged.length > 0);
    assert.deepEqual(logged, [`program.ended ${program} 0`]);
    assert.equal(readFileSync(out, 'latin1'), words.map((word) => `${word}\n`).join(''));
    assert.deepEqual(readdirSync(directory).sort(), ['a b;c', 'out']);
  }));

test('a program is found by PATH, never a word of the shell; its status is logged', () =>
  withRunner(async ({ scripts, logged }) => {
    scripts.run('sh', ['-c', 'exit 7']);
    scripts.run('exit', []);
    scripts.run('/nowhere/kill-it', []);
    scripts.run('/etc/passwd', []);
    scripts.run('true', ['a\nb']);
    await until(() => logged.length === 5);
    assert.deepEqual(logged.sort(), [
      'program.ended sh 7',
      'program.notRun /etc/passwd it cannot be executed (status 126)',
      'program.notRun /nowhere/kill-it there is no such program (status 127)',
      'program.notRun exit there is no such program (status 127)',
      'program.notRun true a line feed in its name or arguments',
    ]);
  }));

test('a program that never ends holds up no other', () =>
  withRunner(async ({ scripts, directory, logged }) => {
    const never = join(directory, 'never');
    mkfifo(never, 0o600);
    const done = join(directory, 'done');
    for (let n = 0; n < WAITING; n++) scripts.run('cat', [never]);
    scripts.run('touch', [done]);
    await until(() => existsSync(done));
    await until(() => logged.length > 0);
    assert.deepEqual(logged, ['program.ended touch 0']);
    // Again and again: one that opens it after a writer has closed it waits for the next one.
    await until(() => {
      letReadersGo(never);
      return logged.length === 1 + WAITING;
    });
  }));

/** Whoever has opened a FIFO, or waits in it, comes to its end. */
function letReadersGo(fifo: string): void {
  try {
    closeSync(openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK));
  } catch {} // nobody has opened it yet
}

test('it shows as sanlock-scripts, and no program of it stays as a zombie', () =>
  withRunner(async ({ scripts, logged }) => {
    for (let n = 0; n < 20; n++) scripts.run('true', []);
    await until(() => logged.length === 20);
    assert.equal(readFileSync(`/proc/${scripts.pid}/comm`, 'ascii'), 'sanlock-scripts\n');
    const children = () =>
      readFileSync(`/proc/${scripts.pid}/task/${scripts.pid}/children`, 'ascii').trim();
    await until(() => children() === '');
  }));

test('a program gets no pipe of ours, and can be signalled to end', () =>
  withRunner(async ({ scripts, directory, logged }) => {
    const out = join(directory, 'out');
    const script = `{ readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/3; grep SigIgn /proc/self/status; } >'${out}' 2>&1`;
    scripts.run('sh', ['-c', script]);
    await until(() => logged.length > 0);
    const text = readFileSync(out, 'ascii').split('\n');
    assert.equal(text[0], '/dev/null');
    // SIGINT and SIGQUIT a shell withholds from what runs behind it.
    assert.match(text.find((line) => line.startsWith('SigIgn')) ?? '', /000000000000000[06]$/);
  }));

test('it ends with the process that started it', async () => {
  let pid = 0;
  await withRunner(async ({ scripts }) => {
    pid = scripts.pid;
    await until(() => existsSync(`/proc/${pid}`));
  });
  await until(() => !existsSync(`/proc/${pid}/exe`) || zombie(pid));
});

function zombie(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'ascii').includes(') Z ');
  } catch {
    return true;
  }
}
