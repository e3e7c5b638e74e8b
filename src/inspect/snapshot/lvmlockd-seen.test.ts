import assert from 'node:assert/strict';
import { test } from 'node:test';
import { vgsOfDump } from './lvmlockd-seen.ts';

const HEAD = 'lm_type=sanlock host_id=1 create_fail=0';
const LS = (name: string, more: string) =>
  `info=ls ls_name=lvm_${name} vg_name=${name} vg_uuid=U-${name} vg_sysid=. vg_args=1.0.0:lvmlock ${HEAD} ${more}`;
const IDLE = 'create_done=1 thread_work=0 thread_stop=0 thread_done=0 kill_vg=0 drop_vg=0';

test('the VGs and LV locks of a dump, of C or ours', () => {
  const vgs = vgsOfDump(
    [
      'info=structs unused_action_count=31',
      'info=client pid=4270 fd=7 pi=2 id=63 name=.',
      LS('one', `${IDLE} sanlock_gl_enabled=1`),
      'info=r name=VGLK type=vg mode=sh sh_count=2 version=0',
      'info=lk mode=sh version=0 flags=0x0 client_id=2',
      'info=r name=uuid-ex type=lv mode=ex sh_count=0 version=0',
      'info=lk mode=ex version=0 flags=0x1 client_id=0',
      'info=r name=uuid-un type=lv mode=un sh_count=0 version=0',
      LS('two', IDLE.replace('create_done=1', 'create_done=0')),
      LS('three', IDLE.replace('kill_vg=0', 'kill_vg=1')),
      'info=state vg_name=one state=otherSize lv_uuid=uuid-ex device=dm-3',
      `info=state vg_name=one state=activeUnlocked lv_uuid=${'a'.repeat(32)} device=one-lv`,
      'info=state vg_name=two state=ofALaterRelease',
      'info=state vg_name=gone state=returning wait_s=3 result=-210',
      '',
    ].join('\n'),
  );
  assert.deepEqual(
    vgs.map(({ name, isJoined, trouble, hasGlobalLock }) => [
      name,
      isJoined,
      trouble,
      hasGlobalLock,
    ]),
    [
      ['one', true, null, true],
      ['two', false, 'starting', false],
      ['three', true, 'killed', false],
      ['gone', false, 'returning', false],
    ],
  );
  assert.deepEqual([...(vgs[0]?.lvLocks ?? [])], [['uuid-ex', 'ex']]);
  assert.deepEqual(
    [...(vgs[0]?.lvTroubles ?? [])],
    [
      ['uuid-ex', 'otherSize'],
      ['aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa', 'activeUnlocked'],
    ],
  );
  assert.deepEqual(vgsOfDump(''), []);
});
