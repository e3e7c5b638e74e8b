import assert from 'node:assert/strict';
import test from 'node:test';
import type { LockOutcome } from './managers/manager.ts';
import { Harness } from './testing/harness.ts';

const nothing = { version: 0, glEnabled: null } as const;
const SLOW: LockOutcome = { result: -225, lmResult: -225, retry: false, ...nothing };

test('-225 is sent with what an earlier lvm repeats, and is tried again as a refusal is', () => {
  const harness = new Harness();
  harness.open(1);
  harness.start('a');
  harness.fake.locks = [SLOW];
  const lv = 'vg_name="a" lv_uuid="lv" lv_lock_args="1.0.0:70254592"';
  assert.equal(harness.ask(1, `request="lock_lv" mode="ex" ${lv}`), '-225 none');
  assert.match(harness.forOld.at(-1) ?? '', /op_result = -11\n/);
  assert.equal(harness.ask(1, `request="lock_lv" mode="ex" ${lv}`), '0 none');
  assert.equal(harness.forOld.at(-1), undefined, 'one number for every lvm');

  harness.fake.locks = [SLOW];
  assert.equal(harness.ask(1, 'request="lock_vg" mode="ex" vg_name="a"'), 'none yet');
  harness.passTo(5000);
  assert.equal(harness.lastReply(), '0 none');
});

test('a request that only adopts is asked for alone', () => {
  const harness = new Harness();
  for (const client of [1, 2, 3]) harness.open(client);
  harness.start('a');
  harness.fake.did.length = 0;
  const nobody: LockOutcome = { result: -223, lmResult: -223, retry: false, ...nothing };
  harness.fake.locks = [{ result: -11, lmResult: -11, retry: true, ...nothing }, nobody];
  const ask = (opts: string) => `request="lock_vg" mode="sh" vg_name="a" opts="${opts}"`;
  harness.ask(1, ask('adopt_only'));
  harness.ask(2, ask('none'));
  harness.ask(3, ask('none'));
  harness.answered.length = 0;
  harness.passTo(3000);
  assert.deepEqual(harness.answered, [1, 2, 3]);
  const locks = harness.fake.did.filter((one) => one.startsWith('lock'));
  assert.deepEqual(locks, ['lock VGLK sh only', 'lock VGLK sh only', 'lock VGLK sh']);
});
