import assert from 'node:assert/strict';
import test from 'node:test';
import type { HostSeen, LockOutcome } from './managers/manager.ts';
import { Harness } from './testing/harness.ts';

const NODE2: HostSeen = {
  ...{ hostId: 2, generation: 7, timestampS: 900 },
  ...{ state: 'LIVE', name: 'node2' },
};
const nothing = { version: 0, glEnabled: null } as const;
/** What the lock manager answers while another host has the lock. */
const ELSEWHERE: LockOutcome = {
  ...{ result: -11, lmResult: -11, retry: false, ...nothing },
  heldElsewhere: true,
};
const LV = 'vg_name="a" lv_uuid="lv" lv_lock_args="1.0.0:70254592"';
const OWNER =
  'owner_host_id = 2\nowner_generation = 7\nowner_timestamp = 900\n' +
  'owner_state = "LIVE"\nowner_name = "node2"\n';

function started(): Harness {
  const harness = new Harness();
  harness.open(1);
  harness.open(2);
  harness.start('a');
  harness.fake.did.length = 0;
  return harness;
}

test('a refusal says which host has the lock, to lvm and in the log', () => {
  const harness = started();
  harness.fake.locks = [ELSEWHERE];
  harness.fake.holders = [NODE2];
  assert.equal(harness.ask(1, `request="lock_lv" mode="ex" ${LV}`), '-11 none');
  assert.ok(harness.replies.at(-1)?.includes(OWNER));
  assert.deepEqual(harness.fake.did, ['lock lv ex', 'holder of lv']);
  assert.ok(harness.logged.includes('lock.heldElsewhere'));
});

test('an unknown holder changes nothing in the answer', () => {
  const harness = started();
  harness.fake.locks = [ELSEWHERE];
  assert.equal(harness.ask(1, `request="lock_lv" mode="ex" ${LV}`), '-11 none');
  assert.match(harness.replies.at(-1) ?? '', /ls_generation = 0\n/);
});

test('a refused conversion says it too', () => {
  const harness = started();
  assert.equal(harness.ask(1, `request="lock_lv" mode="sh" ${LV}`), '0 none');
  harness.fake.converts = [{ result: -11, lmResult: -11, heldElsewhere: true }];
  harness.fake.holders = [NODE2];
  assert.equal(harness.ask(1, `request="lock_lv" mode="ex" ${LV}`), '-11 none');
  assert.ok(harness.replies.at(-1)?.includes(OWNER));
});

test('no question on the way of a grant', () => {
  const harness = started();
  assert.equal(harness.ask(1, `request="lock_lv" mode="ex" ${LV}`), '0 none');
  assert.deepEqual(harness.fake.did, ['lock lv ex']);
});

test('while the holder is looked for, other requests of that lock go on', () => {
  const harness = started();
  harness.fake.locks = [ELSEWHERE];
  harness.holdBack = true;
  assert.equal(harness.ask(1, `request="lock_lv" mode="ex" ${LV}`), 'none yet');
  harness.finish(1); // the attempt
  assert.equal(harness.lastReply(), 'none yet', 'the holder is being looked for');
  harness.post({
    ...{ kind: 'request', clientId: 2, dumpForm: 'old', freesAfterCommit: true },
    text: `request="lock_lv" mode="sh" ${LV}`,
  });
  const [, second] = harness.held;
  second?.();
  harness.held.splice(1, 1);
  assert.deepEqual(harness.answered.slice(-1), [2]);
  assert.equal(harness.lastReply(), '0 none');
  harness.finish();
  assert.deepEqual(harness.answered.slice(-1), [1]);
  assert.equal(harness.lastReply(), '-11 none');
});

test('the answer comes although the VG is stopped meanwhile', () => {
  const harness = started();
  harness.fake.locks = [ELSEWHERE];
  harness.fake.holders = [NODE2];
  harness.holdBack = true;
  harness.ask(1, `request="lock_lv" mode="ex" ${LV}`);
  harness.finish(1);
  const [lookUp] = harness.held.splice(0);
  assert.equal(harness.ask(2, 'request="stop_vg" vg_name="a"'), 'none yet');
  harness.finish();
  assert.equal(harness.state.lockspaces.length, 0);
  lookUp?.();
  assert.equal(harness.lastReply(), '-11 none');
});

test('a request that is tried again shows whom it waits for, asked once in five seconds', () => {
  const harness = started();
  harness.fake.locks = Array.from({ length: 4 }, () => ELSEWHERE);
  harness.fake.holders = [NODE2, NODE2, NODE2];
  harness.ask(1, 'request="lock_vg" mode="ex" vg_name="a"');
  for (const nowMs of [2000, 3500]) harness.passTo(nowMs);
  assert.deepEqual(
    harness.fake.did.filter((one) => one.startsWith('holder')),
    ['holder of VGLK'],
  );
  assert.ok(!harness.logged.includes('lock.heldElsewhere'), 'nothing is refused yet');
  const dump = harness.dump('new');
  assert.match(dump, /info=r_action .* owner_host_id=2 owner_generation=7 owner_name=node2\n/);
  assert.doesNotMatch(harness.dump('old'), /owner/);
  harness.passTo(9000);
  assert.equal(harness.fake.did.filter((one) => one.startsWith('holder')).length, 2);
});

test('vg_status says which generation this host has', () => {
  const harness = started();
  harness.fake.membership = { ...NODE2, hostId: 1, name: '' };
  assert.equal(harness.ask(1, 'request="vg_status" vg_name="a"'), '0 none');
  assert.match(harness.replies.at(-1) ?? '', /op = 25\n.*owner_host_id = 1\nowner_generation = 7/s);
  assert.equal(harness.ask(1, 'request="vg_status" vg_name="b"'), '-2 none');
});

test('replies carry the generation of the join; start_vg the one before', () => {
  const harness = new Harness();
  harness.open(1);
  harness.fake.membership = { ...NODE2, hostId: 1, name: '' };
  harness.fake.prevGeneration = 6;
  harness.start('a');
  assert.match(harness.replies.at(-1) ?? '', /prev_generation = 6\n/);
  harness.ask(1, 'request="lock_vg" mode="sh" vg_name="a"');
  assert.match(harness.replies.at(-1) ?? '', /ls_generation = 7\n/);
});

test('what leases of this generation do not have is refused by its number', () => {
  const harness = started();
  const text = 'vg_name="a" vg_lock_args="1.0.0:lvmlock" set_lock_args="notimeout"';
  assert.equal(harness.ask(1, `request="setlockargs_vg_before" ${text}`), '-93 none');
  assert.match(harness.replies.at(-1) ?? '', /op = 28\n/);
  assert.equal(harness.ask(1, `request="setlockargs_vg_final" ${text}`), '-93 none');
  assert.match(harness.replies.at(-1) ?? '', /op = 29\n.*vg_lock_args = "1.0.0:lvmlock"/s);
  const before = 'request="setlockargs_vg_before" vg_name="b"';
  assert.equal(harness.ask(1, before), '-210 none');
  harness.ask(1, 'request="set_remote_lv_lock" vg_name="a" lv_uuid="lv" mode="ex"');
  assert.equal(harness.replies.at(-1), 'response = "OK"\nop = 30\nop_result = -1\n\n##\n');
});
