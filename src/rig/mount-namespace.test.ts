import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { MountNamespace } from './mount-namespace.ts';
import { until } from './run.ts';

const skip = process.getuid?.() === 0 ? false : 'only root makes namespaces';

interface Inhabited {
  readonly holder: ChildProcess;
  readonly namespace: MountNamespace;
}

async function inhabited(): Promise<Inhabited> {
  const holder = spawn('unshare', ['--mount', 'sleep', 'infinity'], { stdio: 'ignore' });
  let namespace: MountNamespace | null = null;
  const isThere = () => {
    namespace ??= MountNamespace.of(holder.pid ?? 0);
    return namespace !== null;
  };
  await until('a namespace of its own', isThere, { withinMs: 10_000, everyMs: 5 });
  assert.ok(namespace !== null);
  return { holder, namespace };
}

async function ended(holder: ChildProcess): Promise<void> {
  const exit = once(holder, 'exit');
  holder.kill('SIGKILL');
  await exit;
}

test('the processes of a namespace, and not those of the next one', { skip }, async () => {
  const first = await inhabited();
  assert.deepEqual(first.namespace.pids(), [first.holder.pid]);
  await ended(first.holder);
  // They would have the first one's number, were it not held open.
  const others = [await inhabited(), await inhabited(), await inhabited()];
  try {
    assert.deepEqual(first.namespace.pids(), []);
    for (const { holder, namespace } of others) assert.deepEqual(namespace.pids(), [holder.pid]);
  } finally {
    for (const { holder, namespace } of others) {
      await ended(holder);
      namespace.close();
    }
    first.namespace.close();
    first.namespace.close();
  }
  assert.deepEqual(first.namespace.pids(), []);
});

test('this process itself is in none that could be held', () => {
  assert.equal(MountNamespace.of(process.pid), null);
});
