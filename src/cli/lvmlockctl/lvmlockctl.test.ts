import assert from 'node:assert/strict';
import test from 'node:test';
import { infoText, locksText } from './info-text.ts';
import { killCommandOf, wordsOf } from './kill-command.ts';
import { parseOptions } from './options.ts';

test('the state is printed as by lvmlockctl 2.03.16', () => {
  const dump = [
    'info=structs unused_action_count=31',
    'info=client pid=4270 fd=7 pi=2 id=2 name=vgs',
    'info=client pid=4271 fd=8 pi=3 id=4 name=lvcreate',
    'info=ls ls_name=lvm_a vg_name=a vg_uuid=UUID vg_sysid=. vg_args=1.0.0:lvmlock lm_type=sanlock',
    'info=ls_action client_id=4 flags=0x0 version=0 op=stop rt=vg mode=iv lm_type=sanlock',
    'info=r name=VGLK type=vg mode=sh sh_count=1 version=5',
    'info=lk mode=sh version=0 flags=0x0 client_id=2',
    'info=r_action client_id=4 flags=0x0 version=0 op=lock rt=vg mode=ex lm_type=sanlock',
    'info=r name=LVUUID type=lv mode=ex sh_count=0 version=0',
    'info=lk mode=ex version=0 flags=0x1 client_id=0',
    'info=r_action client_id=4 flags=0x0 version=0 op=lock rt=lv mode=sh lm_type=sanlock',
    'info=ls ls_name=lvm_b vg_name=b vg_uuid=UUID2 vg_sysid=. lm_type=sanlock',
    'info=r name=GLLK type=gl mode=un sh_count=0 version=3',
    'info=surprise x=1',
  ].join('\n');
  assert.equal(
    infoText(`${dump}\n`),
    [
      'VG a lock_type=sanlock UUID',
      'LS sanlock lvm_a',
      'OP stop pid 4271 (lvcreate)',
      'LK VG sh ver 0 pid 4270 (vgs)',
      'LW VG ex ver 0 pid 4271 (lvcreate)',
      'LK LV ex LVUUID',
      'LW LV sh LVUUID',
      '',
      'VG b lock_type=sanlock UUID2',
      'LS sanlock lvm_b',
      'LK GL un ver 3',
      'UN info=surprise x=1',
      '',
    ].join('\n'),
  );
  assert.equal(infoText('info=structs x=1\n'), '');
});

test('a VG that lvm cannot use now has a line that says why', () => {
  const shown = infoText(
    [
      'info=ls ls_name=lvm_a vg_name=a vg_uuid=UUID lm_type=sanlock kill_vg=1',
      'info=state vg_name=a state=killed',
      'info=state vg_name=b state=returning wait_s=17 result=-218',
      'info=state vg_name=c state=returning wait_s=0 result=0',
      'info=state vg_name=d state=unheard',
      'info=state vg_name=a state=ghost lv_uuid=UUID device=a-old',
    ].join('\n'),
  ).split('\n');
  assert.deepEqual(shown.slice(0, 2), ['VG a lock_type=sanlock UUID', 'LS sanlock lvm_a']);
  assert.match(
    shown[2] ?? '',
    /^ST a killed: the storage of its locks was lost\. Deactivate its LVs/,
  );
  assert.match(
    shown[3] ?? '',
    /^ST b returning: .*, next in 17 s; the last attempt failed \(\w+\)$/,
  );
  assert.match(shown[4] ?? '', /^ST c returning: .* by itself$/);
  assert.equal(shown[5], 'UN info=state vg_name=d state=unheard');
  assert.match(shown[6] ?? '', /^ST a a-old ghost: the VG has no such LV any more/);
});

test('a request that waits for another host names it; reservations are printed as by 2.03.40', () => {
  const action = 'client_id=4 flags=0x0 version=0 op=lock rt=vg mode=ex lm_type=sanlock result=0';
  const shown = infoText(
    [
      'info=client pid=4271 fd=8 pi=3 id=4 name=lvcreate',
      'info=ls ls_name=lvm_a vg_name=a vg_uuid=UUID lm_type=sanlock host_id=1 generation=2',
      'info=ls_fence_history op=fence_result result=0 owner_host_id=3 owner_generation=1 remkey=0x1',
      'info=ls_fence_history op=fence_result result=-1 owner_host_id=4 owner_generation=1 remkey=0x2',
      'info=ls_fence_history op=fence result=0 owner_host_id=5 owner_generation=1 remkey=0x3',
      'info=r name=VGLK type=vg mode=un sh_count=0 version=5',
      `info=r_action ${action} lm_rv=0 owner_host_id=2 owner_generation=7 owner_name=node2`,
      `info=r_action ${action} lm_rv=0 owner_host_id=0 owner_generation=0`,
      `info=r_fence_wait_action ${action} lm_rv=0 owner_host_id=2 owner_generation=7`,
    ].join('\n'),
  );
  assert.deepEqual(shown.split('\n').slice(2), [
    'PR host_id 3 generation 1 key 0x1 removed',
    'PR host_id 4 generation 1 key 0x2 failed',
    'PR host_id 5 generation 1 key 0x3 waiting',
    'LK VG un ver 5',
    'LW VG ex ver 0 pid 4271 (lvcreate) held by host 2 (node2)',
    'LW VG ex ver 0 pid 4271 (lvcreate)',
    'LW VG ex ver 0 pid 4271 (lvcreate) fence_owner 2.7',
    '',
  ]);
});

test('a stop says which VG waits for which lock', () => {
  const dump = [
    'info=client pid=4270 fd=7 pi=2 id=2 name=vgs',
    'info=ls ls_name=lvm_a vg_name=a vg_uuid=UUID lm_type=sanlock',
    'info=r name=VGLK type=vg mode=sh sh_count=1 version=5',
    'info=lk mode=sh version=0 flags=0x0 client_id=2',
    'info=ls ls_name=lvm_b vg_name=b vg_uuid=UUID lm_type=sanlock',
    ...Array.from({ length: 11 }, (_, n) => [
      `info=r name=LV${n} type=lv mode=ex sh_count=0 version=0`,
      'info=lk mode=ex version=0 flags=0x1 client_id=0',
    ]).flat(),
  ].join('\n');
  assert.match(
    locksText(dump),
    /^VG a for the VG lock \(sh, vgs pid 4270\); VG b for LV LV0 \(ex\); .*; and 2 more$/,
  );
  assert.equal(locksText('info=ls ls_name=lvm_a vg_name=a'), '');
});

test('options, short, long, joined and wrong', () => {
  const task = (...args: string[]) => {
    const parsed = parseOptions(args);
    return parsed.ok ? JSON.stringify(parsed.value.task) : parsed.error;
  };
  assert.equal(task(), '{"kind":"usage"}');
  assert.equal(task('-i'), '{"kind":"info"}');
  assert.equal(task('-id'), '{"kind":"raw"}');
  assert.equal(task('--kill', 'v'), '{"kind":"kill","vgName":"v"}');
  assert.equal(task('-kv'), '{"kind":"kill","vgName":"v"}');
  assert.equal(task('--gl-enable=v'), '{"kind":"enableGl","vgName":"v"}');
  assert.equal(task('-S', '-w', '0'), '{"kind":"stopAll"}');
  assert.equal(
    task('--set-remote-lv-lock', 'v', '--lv-uuid', 'u', '--lock-mode', 'ex'),
    '{"kind":"setRemote","vgName":"v","lvUuid":"u","mode":"ex"}',
  );
  assert.match(task('--set-remote-lv-lock', 'v'), /wants --lv-uuid and --lock-mode$/);
  assert.match(task('-S', '--limit', '0'), /--limit is 1 to 86400 seconds, not 0$/);
  const limited = parseOptions(['-S', '--limit=5']);
  assert.ok(limited.ok && limited.value.limitS === 5);
  assert.equal(task('-w', '2'), 'lvmlockctl: -w is 0 or 1');
  assert.equal(task('-k'), 'lvmlockctl: option -k wants a value');
  assert.equal(task('--nonsense'), 'lvmlockctl: unknown option --nonsense');
  assert.equal(task('--inof'), 'lvmlockctl: unknown option --inof: did you mean --info?');
});

test('the kill command is taken only with a full path, and split without a shell', () => {
  assert.deepEqual(killCommandOf('lvmlockctl_kill_command="/sbin/k -a b\\\\ c"\n'), [
    '/sbin/k',
    '-a',
    'b c',
  ]);
  assert.equal(killCommandOf('lvmlockctl_kill_command="k"\n'), null);
  assert.equal(killCommandOf('lvmlockctl_kill_command=""\n'), null);
  assert.equal(killCommandOf('# not found\n'), null);
  assert.equal(wordsOf(' a '.repeat(50)).length, 32);
  assert.deepEqual(wordsOf('$(x) ; "y"'), ['$(x)', ';', '"y"']);
});

test('--check names a VG, and --repair belongs to it', () => {
  const plain = parseOptions(['--check', 'vg0']);
  assert.ok(plain.ok);
  assert.deepEqual(
    [plain.value.task, plain.value.repair],
    [{ kind: 'check', vgName: 'vg0' }, false],
  );
  const mending = parseOptions(['--repair', '--check=vg0']);
  assert.equal(mending.ok && mending.value.repair, true);
  assert.equal(parseOptions(['--check']).ok, false);
});
