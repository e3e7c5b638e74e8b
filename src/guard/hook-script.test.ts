import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hookScript, isGuardHook, REFUSED_STATUS } from './hook-script.ts';

/** Runs the hook as libvirtd does, with a program in the place of Node that ends with `status`. */
function ran(operation: string, status: number, name = "o'dd $(name)") {
  const dir = mkdtempSync(join(tmpdir(), 'hold fast '));
  try {
    const node = join(dir, "no'de");
    const seen = join(dir, 'seen');
    // Its own place tells it where to write: it is given no variable.
    const program = [
      '#!/bin/sh',
      'seen="$' + '{0%/*}/seen"',
      'for word in "$@"; do echo "$word" >>"$seen"; done',
      '/usr/bin/env | /usr/bin/sort >>"$seen"',
      'cat >/dev/null',
      'echo why >&2',
      `exit ${status}`,
    ].join('\n');
    writeFileSync(node, program);
    chmodSync(node, 0o755);
    const of = { node, hook: '/x/guard-hook.cjs', socket: '/s', nodeArguments: ['--a=[b]'] };
    const text = hookScript(of);
    assert.ok(text.ok);
    const hook = join(dir, 'hook');
    writeFileSync(hook, text.value);
    chmodSync(hook, 0o755);
    const env = { ...process.env, NODE_OPTIONS: '--require /x', LD_DEBUG_OUTPUT: '/x' };
    const input = 'x'.repeat(1024 * 1024);
    const child = spawnSync(hook, [name, operation, 'begin', '-'], { env, input });
    const { code } = (child.error ?? {}) as { code?: string };
    const words = status < 0 ? [] : read(seen);
    return { status: child.status, error: code ?? null, said: `${child.stderr}`, words };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function read(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').trim().split('\n');
  } catch {
    return [];
  }
}

test('a start is asked for, with the name as it is and without a variable of Node', () => {
  const { status, error, words } = ran('start', 0);
  assert.deepEqual([status, error], [0, null]);
  assert.deepEqual(
    words.filter((word) => !/^(PWD|_|SHLVL|OLDPWD)=/.test(word)),
    [
      ...['--a=[b]', '/x/guard-hook.cjs', '/s', "o'dd $(name)", 'start'],
      'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    ],
  );
});

test('whatever goes wrong, a start is refused, and its reason is said', () => {
  for (const operation of ['start', 'migrate']) {
    for (const status of [1, REFUSED_STATUS, 127]) {
      const refused = ran(operation, status);
      assert.deepEqual([refused.status, refused.said], [1, 'why\n'], `${operation} ${status}`);
    }
  }
});

test('a guest that runs is ended by a refusal of the guard, and by nothing else', () => {
  assert.equal(ran('reconnect', REFUSED_STATUS).status, 1);
  for (const status of [0, 1, 2, 126, 127, 255]) {
    assert.equal(ran('reconnect', status).status, 0, `${status}`);
    assert.equal(ran('release', status).status, 0, `${status}`);
  }
});

test('nobody is asked about other operations, and libvirt can write its XML', () => {
  for (const operation of ['prepare', 'started', 'stopped', 'restore', 'attach', '']) {
    const { status, error, words } = ran(operation, 1);
    assert.deepEqual([status, error, words], [0, null, []], operation);
  }
});

test('a hook is known again, and another program is not taken for one', () => {
  const of = { node: '/n', hook: '/h', socket: '/s', nodeArguments: [] };
  const text = hookScript(of);
  assert.ok(text.ok && isGuardHook(text.value));
  assert.ok(!isGuardHook('#!/bin/sh\n# something else about holdfast guard:\nexit 0\n'));
  assert.ok(!isGuardHook(''));
  for (const node of ['node', '/a\nb', '']) {
    const bad = hookScript({ ...of, node });
    assert.ok(!bad.ok, node);
    assert.match(bad.error, /wanted a plain absolute path/);
  }
});
