import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { hookScript } from '../../src/guard/hook-script.ts';
import { NODE_ARGUMENTS } from '../../src/platform/clean-start.ts';

/** The hook as it is installed, against a guard that answers as it is told, or does not run. */
const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const XML = `<domain><name>g</name>${' '.repeat(200_000)}</domain>`;

/** null: it hangs up without a word. */
type Answer = string | null;

async function asked(operation: string, answer: Answer | 'absent') {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-hook-'));
  const socket = join(dir, 's');
  const heard: string[] = [];
  const server = createServer((client) => {
    let line = '';
    client.setEncoding('utf8');
    client.on('data', (text) => {
      line += text;
      if (!line.endsWith('\n')) return;
      heard.push(line);
      client.end(answer ?? '');
    });
  });
  if (answer !== 'absent') await new Promise<void>((done) => server.listen(socket, done));
  try {
    const hook = resolve(ROOT, 'dist/guard-hook.cjs');
    const of = { node: process.execPath, hook, socket, nodeArguments: NODE_ARGUMENTS };
    const script = hookScript(of);
    assert.ok(script.ok);
    const stdio = ['pipe', 'ignore', 'pipe'] as const;
    const env = { ...process.env, NODE_OPTIONS: '--require /nowhere' };
    const words = ['-c', script.value, 'hook', 'g', operation, 'begin', '-'];
    const child = spawn('/bin/sh', words, { env, stdio: [...stdio] });
    let said = '';
    child.stderr.on('data', (bytes) => {
      said += bytes;
    });
    child.stdin.end(XML);
    const status = await new Promise((done) => child.on('close', done));
    return { status, said, heard };
  } finally {
    server.close();
    rmSync(dir, { recursive: true });
  }
}

test('the guard is told of the guest, and its verdict counts', async () => {
  const granted = await asked('start', '{"text":null}\n');
  assert.deepEqual([granted.status, granted.said], [0, '']);
  assert.deepEqual(
    granted.heard.map((line) => JSON.parse(line)),
    [{ operation: 'start', xml: XML }],
  );
  for (const operation of ['start', 'migrate', 'reconnect']) {
    const refused = await asked(operation, '{"text":"guard: disk vda is in use"}\n');
    assert.deepEqual(
      [refused.status, refused.said],
      [1, 'holdfast guard: disk vda is in use\n'],
      operation,
    );
  }
});

test('without a guard no guest starts, none is killed, and its user knows what to do', async () => {
  const said = { absent: /does not run .*systemctl start holdfast-guard/, none: /ended before/ };
  const answers = [
    ['absent', said.absent],
    [null, said.none],
    ['{}\n', said.none],
    ['{"text":1}\n', said.none],
    ['x'.repeat(100_000), /answered with what is no verdict/],
  ] as const;
  const statuses = [
    ['start', 1],
    ['migrate', 1],
    ['reconnect', 0],
    ['release', 0],
  ] as const;
  // Side by side: each waits for the next guard.
  for (const [operation, status] of statuses) {
    await Promise.all(
      answers.map(async ([answer, sentence]) => {
        const ended = await asked(operation, answer);
        assert.equal(ended.status, status, `${operation} ${answer?.slice(0, 20)}`);
        assert.match(ended.said, sentence);
      }),
    );
  }
});
