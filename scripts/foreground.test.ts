import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';

const FOREGROUND = join(process.env['HOLDFAST_ROOT'] ?? '.', 'scripts/foreground.mjs');
/** Takes its time to end, as a demo that takes its hosts down. */
const SLOW = `
process.on('SIGINT', () => setTimeout(() => { console.log('down'); process.exit(7); }, 300));
setInterval(() => {}, 1000);
console.log('up');
`;

interface Run {
  readonly child: ChildProcess;
  text: string;
}

function run(...program: readonly string[]): Run {
  const stdio = ['ignore', 'pipe', 'pipe'] as const;
  const args = [FOREGROUND, ...program];
  const child = spawn(process.execPath, args, { stdio: [...stdio], detached: true });
  const started: Run = { child, text: '' };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (bytes) => {
      started.text += bytes;
    });
  }
  return started;
}

async function says(started: Run, what: string): Promise<void> {
  while (!started.text.includes(what)) await once(started.child.stdout ?? started.child, 'data');
}

for (const whom of ['its group, as a terminal does', 'it alone, as npm does'] as const) {
  test(`Ctrl-C to ${whom}: it ends behind its program, with its status`, async () => {
    const started = run(process.execPath, '-e', SLOW);
    await says(started, 'up');
    const pid = started.child.pid ?? 0;
    const exit = once(started.child, 'exit');
    process.kill(whom.startsWith('its group') ? -pid : pid, 'SIGINT');
    assert.deepEqual(await exit, [7, null]);
    assert.equal(started.text, 'up\ndown\n');
  });
}

test('a program that a signal ends has the status of a shell, one that is missing a sentence', async () => {
  const killed = run(process.execPath, '-e', 'process.kill(process.pid, "SIGKILL")');
  assert.deepEqual(await once(killed.child, 'exit'), [137, null]);
  const missing = run('/nowhere/program');
  assert.deepEqual(await once(missing.child, 'close'), [1, null]);
  assert.match(missing.text, /^could not start \/nowhere\/program: .*ENOENT/);
});
