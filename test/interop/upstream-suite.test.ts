import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { test } from 'node:test';
import { type Maker, SANLOCK, whyNot } from './sanlock-daemons.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const PYTHON = '/usr/bin/python3'; // the interpreter python3-sanlock is built for
const MODULES = '/usr/lib/python3/dist-packages';
const TREE = process.env['HOLDFAST_SANLOCK_TREE'] ?? '';
const DEADLINE_MS = 10 * 60_000;

/** The suite is GPL and not ours to ship: spec 20 §17 says how it runs. */
function whyNotHere(): string | null {
  if (TREE === '') return 'HOLDFAST_SANLOCK_TREE names no checkout of github.com/nirs/sanlock';
  if (!existsSync(`${TREE}/tests/conftest.py`)) return `no suite in ${TREE}`;
  const modules = existsSync(MODULES) ? readdirSync(MODULES) : [];
  for (const name of ['pytest', 'sanlock']) {
    const isThere = modules.some((file) => file.split('.')[0] === name);
    if (!isThere) return `python3-${name} is absent`;
  }
  return whyNot('ours', 'c');
}

interface Outcome {
  readonly passed: number;
  readonly failed: readonly string[];
  readonly text: string;
}

async function runSuite(maker: Maker): Promise<Outcome> {
  const work = mkdtempSync('/var/tmp/holdfast-upstream-');
  try {
    cpSync(TREE, `${work}/tree`, { recursive: true });
    const program = `${work}/tree/src/sanlock`;
    rmSync(program, { force: true });
    symlinkSync(SANLOCK[maker], program);
    mkdirSync(`${work}/run`);
    const options = ['-o', 'addopts=-rfE', '-p', 'no:cacheprovider'];
    const args = ['-m', 'pytest', 'tests', ...options, `--basetemp=${work}/base`];
    const env = {
      ...process.env,
      USER: 'root',
      SANLOCK_PRIVILEGED: '0',
      SANLOCK_RUN_DIR: `${work}/run`,
      PYTHONPATH: `${ROOT}/test/interop/upstream`,
      PYTHONDONTWRITEBYTECODE: '1',
    };
    return outcomeOf(await output(args, { cwd: `${work}/tree`, env }));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** What it printed; how it ended is in there too. */
function output(
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(PYTHON, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes: Buffer) => {
        text = (text + bytes.toString('utf8')).slice(-200_000);
      });
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(timer);
      resolve(text);
    });
  });
}

function outcomeOf(text: string): Outcome {
  const failed = [...text.matchAll(/^(?:FAILED|ERROR) (\S+)/gm)].map(([, name = '']) => name);
  return { passed: Number(/(\d+) passed/.exec(text)?.[1] ?? 0), failed: failed.sort(), text };
}

test("the original's own Python suite fails nowhere where the original passes", async (t) => {
  const reason = whyNotHere();
  if (reason !== null) return t.skip(reason);
  const theirs = await runSuite('c'); // one after the other: both want the same loop devices
  const ours = await runSuite('ours');
  console.log(`passed: C ${theirs.passed}, ours ${ours.passed}; failed: C ${theirs.failed.length}`);
  assert.ok(
    theirs.passed > 100,
    `the suite itself does not run here:\n${theirs.text.slice(-4000)}`,
  );
  const worse = ours.failed.filter((name) => !theirs.failed.includes(name));
  assert.deepEqual(worse, [], ours.text.slice(-8000));
  assert.ok(ours.passed >= theirs.passed, `${ours.passed} < ${theirs.passed}`);
});
