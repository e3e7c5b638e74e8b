import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobOf, stateOf } from './service.ts';

test('the job of a unit is read from the list of systemctl, for that unit alone', () => {
  const listed = ' 498 lvmlockd.service stop    waiting\n1499 sanlock.service  restart running\n';
  assert.equal(jobOf(listed, 'sanlock.service'), 'restart');
  assert.equal(jobOf(listed, 'lvmlockd.service'), 'stop');
  assert.equal(jobOf(listed, 'wdmd.service'), null);
  assert.equal(jobOf('No jobs running.\n', 'wdmd.service'), null);
  assert.equal(jobOf('', 'wdmd.service'), null);
});

test('the state of a unit: none where systemd has no such unit', () => {
  const shown = 'MainPID=345\nLoadState=loaded\nActiveState=active\n';
  assert.deepEqual(stateOf(shown), { mainPid: 345, state: 'active' });
  assert.equal(stateOf('MainPID=0\nLoadState=not-found\nActiveState=inactive\n'), null);
  assert.equal(stateOf(''), null);
});
