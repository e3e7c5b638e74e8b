import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ERRNO } from '../base/errno.ts';
import { type ChildEnd, ChildProgram, type ChildWish } from './child-program.ts';
import { unawaitedChildren } from './test-children.ts';
import { testsBeside } from './test-role.ts';

const MAX_BYTES = 1024 * 1024;
/** Another process of this file: few descriptors are left to it. */
const ROLE = 'HOLDFAST_TEST_WITHOUT_DESCRIPTORS';
const O_CLOEXEC = 0o2000000;

async function playWithoutDescriptors(): Promise<void> {
  const wish: ChildWish = { words: ['true'], environment: process.env, maxBytes: 1 };
  const ended = () => new Promise<ChildEnd>((done) => ChildProgram.start(wish, done));
  const first = (await ended()).status;
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    // none is left
  }
  const refused = new Set<number>();
  for (let free = 0; free < 5; free++) {
    for (let turn = 0; turn < 3; turn++) {
      const one = ChildProgram.start(wish, () => {});
      refused.add(one.ok ? 0 : one.error);
    }
    closeSync(taken.pop() ?? -1);
  }
  for (const fd of taken) closeSync(fd);
  const again = (await ended()).status;
  process.stdout.write(JSON.stringify({ first, refused: [...refused], again }));
}

const beside = testsBeside(ROLE, () => void playWithoutDescriptors());

function started(
  words: ChildWish['words'],
  of: { maxBytes?: number; environment?: ChildWish['environment'] } = {},
): { readonly program: ChildProgram; readonly end: Promise<ChildEnd> } {
  let ended = (_: ChildEnd) => {};
  const end = new Promise<ChildEnd>((resolve) => {
    ended = resolve;
  });
  const { maxBytes = MAX_BYTES, environment = process.env } = of;
  const program = ChildProgram.start({ words, environment, maxBytes }, (one) => ended(one));
  assert.ok(program.ok, `${words[0]}: ${program.ok ? '' : program.error}`);
  return { program: program.value, end };
}

const sh = (script: string, of: Parameters<typeof started>[1] = {}) =>
  started(['/bin/sh', '-c', script], of);

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

beside('what it prints, in order and as UTF-8, and how it ends', async () => {
  const { end } = sh('echo one; echo two >&2; printf "\\303\\244"; exit 7');
  const { status, signal, stdout, stderr, isTooLong } = await end;
  assert.deepEqual([status, signal, stdout, stderr], [7, 0, 'one\nä', 'two\n']);
  assert.equal(isTooLong, false);
});

beside('more than a socket holds, on both streams at once', async () => {
  const { end } = sh('yes out | head -c 300000; yes err | head -c 300000 >&2');
  const { status, stdout, stderr } = await end;
  assert.deepEqual([status, stdout.length, stderr.length], [0, 300_000, 300_000]);
  assert.match(stdout, /^(out\n)+$/);
  assert.match(stderr, /^(err\n)+$/);
});

beside('words and environment come as they are, and no shell reads them', async () => {
  const words = ['$(id)', 'a b', '', '*', "'"] as const;
  const { end } = started(['printf', '[%s]', ...words]);
  assert.equal((await end).stdout, words.map((word) => `[${word}]`).join(''));
  const other = started(['/usr/bin/env'], { environment: { A: 'b c', NONE: undefined, E: '' } });
  assert.equal((await other.end).stdout, 'A=b c\nE=\n');
});

beside('it has no input, no descriptor of ours, and signals as programs expect them', async () => {
  const beside = sh('exec sleep 60'); // it has sockets of ours as well
  const ours = new Set(readdirSync('/proc/self/fd').flatMap(closedAtExec));
  const { end } = sh('cat; for one in /proc/$$/fd/*; do readlink $one; done');
  const theirs = (await end).stdout.trim().split('\n');
  assert.ok(theirs.length >= 3);
  assert.equal(theirs[0], '/dev/null');
  ours.delete('/dev/null');
  assert.deepEqual(
    theirs.filter((link) => ours.has(link)),
    [],
  );
  beside.program.kill();
  assert.equal((await beside.end).signal, 9);

  const shown = await sh('cat /proc/self/status').end;
  for (const signal of [13, 25]) {
    assert.equal(ignores(signal, readFileSync('/proc/self/status', 'ascii')), true, 'Node does');
    assert.equal(ignores(signal, shown.stdout), false, `${signal}`);
  }
});

/** What a descriptor is, of those that no program inherits; of others, whoever started us knows. */
function closedAtExec(fd: string): string[] {
  try {
    const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'ascii'))?.[1];
    return (Number.parseInt(flags ?? '0', 8) & O_CLOEXEC) === 0
      ? []
      : [readlinkSync(`/proc/self/fd/${fd}`)];
  } catch {
    return []; // closed meanwhile
  }
}

function ignores(signal: number, status: string): boolean {
  const mask = /SigIgn:\s*(\w+)/.exec(status)?.[1] ?? '0';
  return (BigInt(`0x${mask}`) & (1n << BigInt(signal - 1))) !== 0n;
}

beside('a signal that ends it is told', async () => {
  const { status, signal, stdout } = await sh('echo before; kill -TERM $$').end;
  assert.deepEqual([status, signal, stdout], [null, 15, 'before\n']);
});

beside('one that is not there, is no program, or whose word C would cut is an errno', async () => {
  const folder = mkdtempSync('/tmp/holdfast-child-');
  try {
    writeFileSync(join(folder, 'text'), 'no program\n', { mode: 0o644 });
    await sh('true').end; // what the process opens once is open
    const before = descriptors();
    const errnoOf = (...words: [string, ...string[]]) => {
      const end = () => assert.fail('it has not begun');
      const wish = { words, environment: process.env, maxBytes: MAX_BYTES };
      const one = ChildProgram.start(wish, end);
      return one.ok ? 0 : one.error;
    };
    assert.equal(errnoOf('holdfast-no-such-program'), ERRNO.ENOENT);
    assert.equal(errnoOf(join(folder, 'text')), ERRNO.EACCES);
    assert.equal(errnoOf('/bin/echo', 'a\0b'), ERRNO.EINVAL);
    assert.equal(descriptors(), before);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

beside('one that prints without end is ended', async () => {
  const { end } = sh('exec yes', { maxBytes: 100_000 });
  const { isTooLong, signal } = await end;
  assert.equal(isTooLong, true);
  assert.equal(signal, 9);
});

beside('one that prints and goes on is awaited after it has closed its streams', async () => {
  const { end } = sh('echo done; exec >&- 2>&-; sleep 0.3; exit 5');
  const { status, stdout } = await end;
  assert.deepEqual([status, stdout], [5, 'done\n']);
});

beside('one that is left ends unheard, is awaited, and leaves no descriptor', async () => {
  await sh('true').end;
  const before = descriptors();
  const { program, end } = sh('echo heard; exec sleep 60');
  program.leave();
  program.kill();
  const { signal } = await kept(end);
  assert.equal(signal, 9);
  assert.deepEqual(unawaitedChildren(), []);
  program.kill();
  program.leave();
  assert.equal(descriptors(), before);
});

/** What is left does not keep the process, which here is to go on. */
async function kept<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, 1000);
  try {
    return await promise;
  } finally {
    clearInterval(timer);
  }
}

beside('a hundred, many at once, leave nothing behind', async () => {
  await sh('true').end; // what the process opens once is open
  const before = descriptors();
  for (let turn = 0; turn < 10; turn++) {
    const ends = Array.from({ length: 10 }, (_, at) => sh(`echo ${at}; exit ${at}`).end);
    const found = (await Promise.all(ends)).map(({ status, stdout }) => `${status} ${stdout}`);
    assert.deepEqual(
      found,
      ends.map((_, at) => `${at} ${at}\n`),
    );
  }
  assert.equal(descriptors(), before);
  assert.deepEqual(unawaitedChildren(), []);
});

beside('without descriptors it is refused with EMFILE, and none is lost', () => {
  const words = ['-c', 'ulimit -n 60; exec "$@"', 'sh', process.execPath];
  const of = { encoding: 'utf8', timeout: 60_000, env: { ...process.env, [ROLE]: '1' } } as const;
  const said = JSON.parse(execFileSync('/bin/sh', [...words, fileURLToPath(import.meta.url)], of));
  assert.deepEqual(said, { first: 0, refused: [ERRNO.EMFILE], again: 0 });
});
