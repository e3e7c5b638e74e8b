import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from './libdaemon.ts';
import { LD_OP, resultName } from './numbers.ts';
import { type LvmlockdRequest, parseRequest } from './requests.ts';

/** As lvm 2.03.40 sends it. */
function parsed<K extends LvmlockdRequest['kind']>(
  kind: K,
  text: string,
): LvmlockdRequest & { readonly kind: K } {
  const fields = parseConfig(text);
  assert.ok(fields.ok);
  const request = parseRequest(fields.value);
  assert.equal(request?.kind, kind);
  return request as LvmlockdRequest & { readonly kind: K };
}

test('words of opts are found without commas between them', () => {
  const lock = (opts: string) =>
    parsed('lock', `request="lock_lv" mode ="ex" opts ="${opts}" vg_name ="v" lv_uuid ="u"`);
  assert.deepEqual(
    ['none', 'persistent,adopt', 'adopt_only', 'persistent,adoptrepair'].map((opts) => {
      const { persistent, adopt, repair } = lock(opts);
      return [persistent, adopt, repair];
    }),
    [
      [false, 'no', false],
      [true, 'try', false],
      [false, 'only', false],
      [true, 'try', true],
    ],
  );
});

test('start_vg says how the lockspace is to be joined', () => {
  const start = (opts: string) =>
    parsed('startVg', `request="start_vg" vg_name ="v" host_id =1 opts ="${opts}"`);
  assert.deepEqual(
    ['none', 'nodelay,repair', 'adopt_only,'].map((opts) => {
      const { adopt, repair, noDelay } = start(opts);
      return [adopt, repair, noDelay];
    }),
    [
      ['no', false, false],
      ['no', true, true],
      ['only', false, false],
    ],
  );
});

test('init_vg, init_lv and find_free_lock carry sizes and places', () => {
  const initVg = parsed(
    'initVg',
    'request="init_vg" vg_name ="v" vg_lock_args ="lvmlock" set_lock_args ="none" align_mb =2',
  );
  assert.deepEqual([initVg.alignMb, initVg.setLockArgs], [2, '']);
  const old = parsed('initVg', 'request="init_vg" vg_name ="v" align_mb =-1');
  assert.deepEqual([old.alignMb, old.setLockArgs], [0, '']);
  const initLv = (prev: string) =>
    parsed('initLv', `request="init_lv" vg_name ="v" prev_lv_args ="${prev}"`).prevLvArgs;
  assert.deepEqual(['none', '1.0.0:70254592'].map(initLv), ['', '1.0.0:70254592']);
  const free = parsed('findFree', 'request="find_free_lock" vg_name ="v" lv_size_bytes =268435456');
  assert.equal(free.lvSizeBytes, 268435456);
});

test('requests newer than 2.03.16 have their numbers', () => {
  const before = parsed(
    'setLockArgsBefore',
    'request="setlockargs_vg_before" vg_name ="v" set_lock_args ="notimeout"',
  );
  assert.deepEqual([before.op, before.setLockArgs], [28, 'notimeout']);
  assert.equal(parsed('setLockArgsFinal', 'request="setlockargs_vg_final"').op, 29);
  assert.equal(parsed('vgStatus', 'request="vg_status" vg_name ="v"').op, LD_OP.VG_STATUS);
  const remote = parsed(
    'setRemoteLvLock',
    'request="set_remote_lv_lock" vg_name ="v" lv_uuid ="u" mode ="sh"',
  );
  assert.deepEqual([remote.op, remote.lvUuid, remote.mode], [30, 'u', 'sh']);
});

test('each new result has a name', () => {
  assert.deepEqual([-39, -222, -223, -224, -225, -226].map(resultName), [
    'NOTEMPTY',
    'EORPHAN',
    'EADOPT_NONE',
    'EADOPT_RETRY',
    'EIOTIMEOUT',
    'ELOCKREPAIR',
  ]);
});
