import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unusedJson, unusedText } from './unused.ts';

test('each thing in use has its sentence, which says what to do; names are plain text', () => {
  const phase = 'joined' as const;
  const text = unusedText([
    { kind: 'lockspace', lockspace: 'lvm_vg1', vg: 'vg1', phase, leases: 2 },
    { kind: 'lockspace', lockspace: 'a\u001b[2J', vg: null, phase: 'failing', leases: 0 },
    { kind: 'vg', vg: 'vg2' },
    { kind: 'watchdogClient', client: 'other\n', pid: 9 },
    { kind: 'silent', daemon: 'wdmd', pid: 4 },
  ]);
  assert.deepEqual(text.split('\n'), [
    'in use on this host:',
    '  lockspace lvm_vg1 is joined, with 2 leases: vgchange -an vg1; vgchange --lockstop vg1',
    '  lockspace a?[2J is lost, and its users are being stopped: sanlock client rem_lockspace -s ' +
      'LOCKSPACE, as "sanlock client status" shows it',
    '  volume group vg2 is started: vgchange --lockstop vg2',
    '  other? (pid 9) is watched by wdmd, which resets this host for it: end it',
    '  wdmd (pid 4) runs and does not answer: see its log',
    '',
  ]);
  assert.equal(unusedText([]), 'nothing of this host uses its lock daemons\n');
});

test('the JSON says the same', () => {
  assert.deepEqual(JSON.parse(unusedJson([])), {
    schema: 'holdfast.unused/1',
    isUnused: true,
    users: [],
  });
  const [user] = JSON.parse(unusedJson([{ kind: 'vg', vg: 'vg2' }])).users;
  assert.deepEqual([user.kind, user.vg], ['vg', 'vg2']);
});
