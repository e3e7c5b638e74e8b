import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ageOfProgram, lvmlockctlAge } from './lvmlockctl-age.ts';

/** What the program of each release reads of a lockspace. */
const FORMATS = [
  ['2.03.16', 'ls_name=%s vg_name=%s vg_uuid=%s vg_sysid=%s vg_args=%s lm_type=%s', 'old'],
  ['2.03.31', 'ls_name=%64s vg_name=%64s vg_uuid=%64s vg_args=%64s lm_type=%64s', 'new'],
] as const;

test('the fields that an lvmlockctl reads say which form of the state it needs', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'lvmlockctl-age-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'program');
  for (const [release, format, age] of FORMATS) {
    writeFileSync(path, `\u007fELF\0\0info=ls ${format}\0`);
    assert.equal(ageOfProgram(path), age, release);
  }
  writeFileSync(path, 'some other program');
  assert.equal(ageOfProgram(path), 'old');
  truncateSync(path, 5 * 1024 * 1024);
  assert.equal(ageOfProgram(path), 'old');
  assert.equal(ageOfProgram(join(directory, 'gone')), 'old');
  assert.equal(lvmlockctlAge(null), 'old');
  assert.equal(lvmlockctlAge(process.pid), 'old', 'ours runs in node, and reads the old form');
});
