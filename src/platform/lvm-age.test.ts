import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { lvmFreesAfterCommit, queuesFrees } from './lvm-age.ts';

test('the file of a program says whether it frees leases after the commit', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'lvm-age-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = (name: string) => join(directory, name);
  writeFileSync(path('2.03.16'), '\u007fELF lockd_free_lv: unknown lock_type.\0');
  writeFileSync(path('2.03.31'), '\u007fELF lockd_free_lv_queue: unknown lock_type.\0');
  assert.equal(queuesFrees(path('2.03.16')), false);
  assert.equal(queuesFrees(path('2.03.31')), true);
  assert.equal(queuesFrees(path('2.03.31')), true, 'from memory');
  truncateSync(path('2.03.31'), 17 * 1024 * 1024);
  assert.equal(queuesFrees(path('2.03.31')), false, 'not a file to be read whole');
  assert.equal(queuesFrees(path('gone')), false);
  assert.equal(lvmFreesAfterCommit(null), false);
  assert.equal(lvmFreesAfterCommit(process.pid), false);
});

test('lvm 2.03.16 of this machine frees before it commits', {
  skip: existsSync('/usr/sbin/lvm') ? false : 'lvm is not installed',
}, () => {
  assert.equal(queuesFrees('/usr/sbin/lvm'), false);
});
