import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run, whyNot } from './sanlock-daemons.ts';

/** What every program of ours answers, whatever runs on the machine. */

const BIN = join(process.env['HOLDFAST_ROOT'] ?? '.', 'bin');
const missing = whyNot('ours');
const where = missing === null ? {} : { skip: missing };
const PROGRAMS = readdirSync(BIN).filter((file) => !file.includes('.'));

test('every program says what it is for, and its version', where, async () => {
  assert.ok(PROGRAMS.length >= 9, PROGRAMS.join(' '));
  for (const program of PROGRAMS) {
    const ask = (option: string) => run(join(BIN, program), [option], { env: process.env });
    const helps = await Promise.all(['--help', '-h'].map(ask));
    const versions = await Promise.all(['-V', '--version'].map(ask));
    for (const { status, stdout, stderr } of helps) {
      assert.deepEqual([status, stderr], [0, ''], `${program} --help`);
      assert.ok(stdout.includes(program), `${program} --help: ${stdout}`);
    }
    for (const { status, stdout, stderr } of versions) {
      assert.deepEqual([status, stderr], [0, ''], `${program} -V`);
      assert.match(stdout, /^\S+ .*\d+\.\d+\.\d+.*\n$/, program);
    }
  }
});

test(
  'every command of holdfast says how it is used, and what it does not take',
  where,
  async () => {
    const ask = (...words: readonly string[]) =>
      run(join(BIN, 'holdfast'), words, { env: process.env });
    const list = await ask('--help');
    const commands = [...list.stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name ?? '');
    assert.ok(commands.length >= 9, list.stdout);
    for (const command of commands.filter((name) => name !== 'help' && name !== 'version')) {
      for (const words of [
        [command, '--help'],
        ['help', command],
        [command, '-h'],
      ]) {
        const { status, stdout, stderr } = await ask(...words);
        assert.deepEqual([status, stderr], [0, ''], command);
        assert.match(stdout, new RegExp(`^(Usage: )?holdfast ${command}`));
      }
      const wrong = await ask(command, '--frobnicate');
      assert.deepEqual([wrong.status, wrong.stdout], [2, ''], command);
      assert.match(wrong.stderr, new RegExp(`^holdfast ${command}.*frobnicate`));
    }
    const within = await ask('guard', 'check', '--help');
    assert.match(within.stdout, /^Usage: holdfast guard check \[options\] \[GUEST\]\n/);
    const daemon = await run(join(BIN, 'sanlock'), ['daemon', '--help'], { env: process.env });
    assert.match(daemon.stdout, /--check/);
  },
);

test('a program whose reader has gone ends without a stack trace', where, async () => {
  for (const program of PROGRAMS) {
    const child = spawn(join(BIN, program), ['--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let complaint = '';
    child.stderr.on('data', (bytes: Buffer) => {
      complaint += bytes.toString('utf8');
    });
    await new Promise((resolve) => child.on('close', resolve));
    assert.equal(complaint, '', program);
  }
});
