import assert from 'node:assert/strict';
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BoundProcess } from '../ports/processes.ts';
import { QUIET } from '../sim/kernel/log.ts';
import { NodeKeepers } from './keepers.ts';
import { withoutDescriptors } from './testing/without-descriptors.ts';

const [UUID, OTHER] = [randomUUID(), randomUUID()];
/** One that has nothing to register with. */
const PROGRAM = `
const koffi = require(${JSON.stringify(createRequire(import.meta.url).resolve('koffi'))});
const execv = koffi.load('libc.so.6').func('int execv(const char *path, const char **argv)');
require('node:fs').writeSync(1, 'ready\\n');
execv('/bin/sleep', ['/bin/sleep', 'infinity', null]);
`;
const isRoot = process.getuid?.() === 0;

async function inFolder(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-keepers-'));
  try {
    await body(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let n = 0; n < 1000 && !isTrue(); n++) await sleep(20);
  assert.ok(isTrue());
}

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
}

test('a keeper is known by its guest, and no other sleeper is one', () =>
  inFolder(async (dir) => {
    const file = join(dir, 'keeper.cjs');
    writeFileSync(file, PROGRAM);
    const keepers = new NodeKeepers(file, { deputy: null, log: QUIET });
    const pidsOf = (uuid: string) =>
      keepers.all().flatMap(({ uuid: one, keeper }) => {
        keeper.close();
        return one === uuid ? [keeper.pid] : [];
      });
    const guest = { uuid: UUID, killpath: { path: '/bin/true', args: '' } };
    const keeper = await new Promise<BoundProcess>((resolve, reject) =>
      keepers.start(guest, (one) => ('trouble' in one ? reject(one.trouble) : resolve(one))),
    );
    const sleepers: ChildProcess[] = [];
    const sleeper = (words: readonly string[], options: SpawnOptions): number => {
      const child = spawn(words[0] ?? '', words.slice(1), { stdio: 'ignore', ...options });
      sleepers.push(child);
      return child.pid ?? 0;
    };
    try {
      const env = { ...process.env, HOLDFAST_GUEST: OTHER };
      const forever = ['/bin/sleep', 'infinity'];
      const others = [sleeper(forever, {}), sleeper(['/bin/sleep', '1000'], { env })];
      if (isRoot) others.push(sleeper(forever, { env, uid: 65_534 }));
      if (isRoot) others.push(sleeper(['unshare', '--net', ...forever], { env }));
      await until(() => others.every((pid) => commandOf(pid).startsWith('/bin/sleep')));
      await until(() => pidsOf(UUID).includes(keeper.pid));
      assert.deepEqual(pidsOf(OTHER), []);
      const own = sleeper(forever, { env });
      await until(() => pidsOf(OTHER).includes(own));
    } finally {
      for (const child of sleepers) child.kill('SIGKILL');
      keeper.signal('SIGKILL');
    }
    await until(() => pidsOf(UUID).length === 0);
    keeper.close();
  }));

test('the loss program has the words that sanlock would give it, and no keeper', () =>
  inFolder(async (dir) => {
    const out = join(dir, 'out');
    const file = join(dir, 'a b.sh');
    writeFileSync(file, 'printf "%s\\n" "$@" >"$0.new"; mv "$0.new" "$(dirname "$0")/out"');
    const keepers = new NodeKeepers(file, { deputy: null, log: QUIET });
    keepers.lose({
      path: '/bin/sh',
      args: `${file.replace(/ /g, '\\ ')} one two\\\\three ${UUID}`,
    });
    const said = (): string => {
      try {
        return readFileSync(out, 'utf8');
      } catch {
        return '';
      }
    };
    await until(() => said() !== '');
    assert.equal(said(), `one\ntwo\\three\n${UUID}\n0\n`);
  }));

test('a keeper that cannot begin says why', () =>
  inFolder(async (dir) => {
    const file = join(dir, 'keeper.cjs');
    writeFileSync(file, "console.log('sanlock does not run')");
    const keepers = new NodeKeepers(file, { deputy: null, log: QUIET });
    const killpath = { path: '/bin/true', args: '' };
    const started = new Promise((resolve) => keepers.start({ uuid: UUID, killpath }, resolve));
    assert.deepEqual(await started, { trouble: 'sanlock does not run' });
  }));

test('with no descriptor left no keeper starts, and the guard goes on', async () => {
  const keepers = new NodeKeepers('/nowhere', { deputy: null, log: QUIET });
  const guest = { uuid: UUID, killpath: { path: '/bin/true', args: '' } };
  const said = await new Promise<string>((resolve) =>
    withoutDescriptors(() =>
      keepers.start(guest, (one) => resolve('trouble' in one ? one.trouble : 'it has started')),
    ),
  );
  assert.match(said, /EMFILE/);
});
