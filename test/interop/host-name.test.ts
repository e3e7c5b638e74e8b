import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { decode } from '../../src/codec/struct.ts';
import { deltaLeader } from '../../src/format/leader.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const PROGRAMS = { c: '/usr/sbin/sanlock', ours: `${ROOT}/bin/sanlock` };
const AREA_BYTES = MIB;

function whyNot(): string | false {
  if (!existsSync(PROGRAMS.c)) return 'the original is not installed';
  return existsSync(`${ROOT}/dist/sanlock.cjs`) ? false : 'our sanlock is not built: npm run build';
}

/** `direct acquire_id` in a new lockspace. */
function acquired(program: string, hostName: string) {
  const folder = mkdtempSync(join(tmpdir(), 'host-name-'));
  try {
    const path = join(folder, 'lockspace');
    writeFileSync(path, '');
    truncateSync(path, AREA_BYTES);
    const direct = (...args: string[]) =>
      spawnSync(program, ['direct', ...args, '-o', '1'], { encoding: 'latin1' });
    assert.equal(direct('init', '-s', `LS:0:${path}:0`).status, 0);
    const { stdout, stderr, status } = direct('acquire_id', '-s', `LS:1:${path}:0`, '-e', hostName);
    return {
      stdout,
      stderr,
      status,
      hostName: decode(deltaLeader, readFileSync(path), 0).hostName,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('direct -e "": an empty host name is none, and one is made up', { skip: whyNot() }, () => {
  for (const program of Object.values(PROGRAMS)) {
    const { stdout, status, hostName } = acquired(program, '');
    assert.deepEqual([stdout, status], ['acquire_id done 0\n', 0], program);
    assert.match(hostName, /^[0-9a-f-]{36}\../, program);
  }
});

test('direct -e: a name that others would take for another is refused', { skip: whyNot() }, () => {
  const { stdout, stderr, status, hostName } = acquired(PROGRAMS.ours, 'h'.repeat(49));
  assert.equal(stdout, 'acquire_id done -22\n');
  assert.match(stderr, /the host name is of 49 bytes, 48 at most are wanted/);
  assert.equal(status, 1);
  assert.equal(hostName, '');
  assert.equal(acquired(PROGRAMS.ours, 'h'.repeat(48)).hostName.length, 47);
});
