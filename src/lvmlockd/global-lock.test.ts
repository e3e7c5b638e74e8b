import assert from 'node:assert/strict';
import test from 'node:test';
import { GL_READ_MS } from './global-lock.ts';
import type { HostSeen, LockOutcome } from './managers/manager.ts';
import { Harness } from './testing/harness.ts';

/** VGs a and b run here, and these carry an enabled global lock. */
function withTwoVgs(...glIn: readonly string[]): Harness {
  const harness = new Harness();
  harness.fake.glIn = glIn;
  for (const clientId of [1, 2, 3]) harness.open(clientId);
  harness.start('a');
  harness.start('b');
  harness.pass(0);
  harness.fake.did.length = 0;
  return harness;
}

const gl = (mode: string) => `request="lock_gl" mode="${mode}"`;

test('two enabled global locks are told on each lock of either VG, until one is disabled', () => {
  const harness = withTwoVgs('a', 'b');
  assert.ok(harness.logged.includes('global.duplicate'));
  assert.equal(harness.ask(1, gl('sh')), '0 DUP_GL_LS,');
  assert.equal(harness.ask(1, 'request="lock_vg" mode="sh" vg_name="b"'), '0 DUP_GL_LS,');
  harness.ask(1, 'request="lock_vg" mode="un" vg_name="b"');
  assert.equal(harness.ask(2, 'request="disable_gl" vg_name="b"'), '-22 none', 'it is locked');
  assert.equal(harness.ask(1, gl('un')), '0 none');
  assert.equal(harness.ask(2, 'request="disable_gl" vg_name="b"'), '0 none');
  assert.equal(harness.ask(1, 'request="lock_vg" mode="sh" vg_name="b"'), '0 none');
});

test('with two enabled, lock_gl takes both in the order of names, and gives both back', () => {
  const harness = withTwoVgs('b', 'a');
  assert.equal(harness.ask(1, gl('ex')), '0 DUP_GL_LS,');
  assert.deepEqual([...harness.fake.holding], ['a/GLLK', 'b/GLLK']);
  assert.equal(harness.ask(1, gl('ex')), '-114 none', 'it has both already');
  assert.equal(harness.ask(1, gl('un')), '0 none');
  assert.deepEqual([...harness.fake.holding], []);
  assert.equal(harness.ask(1, gl('un')), '-2 none');
});

test('a shared lock becomes an exclusive one in both, or in none', () => {
  const harness = withTwoVgs('a', 'b');
  harness.ask(1, gl('sh'));
  harness.fake.converts = [
    { result: 0, lmResult: 0 },
    { result: -11, lmResult: -11 },
  ];
  harness.fake.did.length = 0;
  assert.equal(harness.ask(1, gl('ex')), '-11 none');
  assert.deepEqual(harness.fake.did, ['convert GLLK ex', 'convert GLLK ex', 'convert GLLK sh']);
  assert.equal(harness.ask(1, gl('ex')), '0 DUP_GL_LS,');
  assert.equal(harness.ask(1, gl('un')), '0 none');
  assert.deepEqual([...harness.fake.holding], []);
});

test('where another host has the second one, the first is given back', () => {
  const harness = withTwoVgs('a', 'b');
  const held = { result: -11, lmResult: -11, retry: false, version: 0, glEnabled: null };
  const granted = { result: 0, lmResult: 0, retry: false, version: 0, glEnabled: null };
  harness.fake.locks = [granted, ...Array.from({ length: 10 }, () => held)];
  assert.equal(harness.ask(1, gl('ex')), 'none yet');
  assert.deepEqual([...harness.fake.holding], ['a/GLLK']);
  for (let attempt = 1; attempt < 10; attempt++) harness.pass(1000);
  assert.equal(harness.lastReply(), '-11 none');
  assert.deepEqual([...harness.fake.holding], []);
});

/** Another host has the second one: until now, and longer than the request is repeated. */
function refusedInTheSecond(harness: Harness): void {
  const granted: LockOutcome = {
    ...{ result: 0, lmResult: 0, retry: false, version: 0, glEnabled: null },
  };
  const held: LockOutcome = { ...granted, result: -11, lmResult: -11, heldElsewhere: true };
  const node2: HostSeen = {
    ...{ hostId: 2, generation: 7, timestampS: 900, state: 'LIVE', name: 'node2' },
  };
  harness.fake.locks = [granted, ...Array.from({ length: 6 }, () => held)];
  harness.fake.holders = Array.from({ length: 6 }, () => node2);
}

test('a refusal by the second one says which host has it, when the first one is given back', () => {
  const harness = withTwoVgs('a', 'b');
  refusedInTheSecond(harness);
  assert.equal(harness.ask(1, `${gl('ex')} max_retries=0`), 'none yet', 'repeated for a second');
  for (let repeat = 1; repeat <= 5; repeat++) harness.pass(400);
  assert.equal(harness.lastReply(), '-11 none');
  const owner = 'owner_host_id = 2\nowner_generation = 7\n';
  assert.ok(harness.replies.at(-1)?.includes(owner), harness.replies.at(-1));
  assert.ok(harness.replies.at(-1)?.includes('owner_name = "node2"\n'));
  assert.ok(harness.logged.includes('lock.heldElsewhere'));
  const { did } = harness.fake;
  assert.deepEqual(did.slice(-2), ['unlock GLLK', 'holder of GLLK']);
});

test('a command that ends while the host is looked for changes nothing', () => {
  const harness = withTwoVgs('a', 'b');
  refusedInTheSecond(harness);
  harness.ask(1, `${gl('ex')} max_retries=0`);
  for (let repeat = 1; repeat <= 4; repeat++) harness.pass(400);
  harness.holdBack = true;
  harness.pass(400);
  harness.finish(2); // the refusal, and the first one given back
  assert.deepEqual([...harness.fake.holding], []);
  assert.equal(harness.lastReply(), 'none yet');
  harness.post({ kind: 'clientClosed', clientId: 1 });
  harness.finish();
  harness.holdBack = false;
  harness.fake.locks = [];
  assert.equal(harness.ask(2, gl('ex')), '0 DUP_GL_LS,');
});

test('one that is noticed while another one is waited for is taken too', () => {
  const harness = withTwoVgs('a');
  harness.ask(2, gl('sh'));
  assert.equal(harness.ask(1, gl('ex')), 'none yet', 'a command of this host has it');
  harness.fake.glIn = ['a', 'b'];
  harness.pass(GL_READ_MS);
  harness.ask(2, gl('un'));
  assert.equal(harness.answered.at(-1), 1);
  assert.equal(harness.lastReply(), '0 DUP_GL_LS,');
  assert.deepEqual([...harness.fake.holding], ['a/GLLK', 'b/GLLK']);
});

test('a VG that was stopped and started again meanwhile is not passed over', () => {
  const harness = withTwoVgs('a', 'b');
  harness.ask(2, 'request="lock_gl" mode="sh" vg_name="a"');
  assert.equal(harness.ask(1, gl('ex')), 'none yet');
  harness.ask(3, 'request="stop_vg" vg_name="b"');
  harness.start('b', 3);
  harness.ask(2, 'request="lock_gl" mode="un" vg_name="a"');
  assert.equal(harness.lastReply(), '0 DUP_GL_LS,');
  assert.deepEqual([...harness.fake.holding], ['a/GLLK', 'b/GLLK']);
});

test('a command that ends while it waits for the second one leaves nothing behind', () => {
  const harness = withTwoVgs('a', 'b');
  const held = { result: -11, lmResult: -11, retry: false, version: 0, glEnabled: null };
  const granted = { result: 0, lmResult: 0, retry: false, version: 0, glEnabled: null };
  harness.fake.locks = [granted, held];
  assert.equal(harness.ask(1, gl('ex')), 'none yet');
  harness.post({ kind: 'clientClosed', clientId: 1 });
  assert.deepEqual([...harness.fake.holding], []);
  assert.equal(harness.ask(2, gl('ex')), '0 DUP_GL_LS,');
});

test('one that was disabled on another host does not refuse the other one', () => {
  const harness = withTwoVgs('a', 'b');
  const disabled = { result: -210, lmResult: -210, retry: false, version: 0, glEnabled: false };
  harness.fake.locks = [disabled];
  assert.equal(harness.ask(1, gl('ex')), '0 none');
  assert.deepEqual([...harness.fake.holding], ['b/GLLK']);
});

test('where another host has moved it, the slots are read and the request is served', () => {
  const harness = withTwoVgs('a');
  const disabled = { result: -210, lmResult: -210, retry: false, version: 0, glEnabled: false };
  harness.fake.glIn = ['b'];
  harness.fake.locks = [disabled];
  assert.equal(harness.ask(1, gl('ex')), '0 none');
  assert.deepEqual([...harness.fake.holding], ['b/GLLK']);
  harness.ask(1, gl('un'));
  harness.fake.glIn = [];
  harness.fake.locks = [disabled];
  assert.equal(harness.ask(1, gl('ex')), '-210 NO_GL_LS,');
});

test('one that another host enables is noticed within the stated time, and nothing is read before', () => {
  const harness = withTwoVgs('a');
  harness.fake.glIn = ['a', 'b'];
  assert.equal(harness.ask(1, gl('ex')), '0 none', 'lock_gl goes by what is known');
  harness.ask(1, gl('un'));
  harness.pass(GL_READ_MS / 2);
  assert.ok(!harness.logged.includes('global.duplicate'));
  harness.pass(GL_READ_MS / 2);
  assert.ok(harness.logged.includes('global.duplicate'));
  assert.equal(harness.ask(1, gl('ex')), '0 DUP_GL_LS,');
  assert.deepEqual([...harness.fake.holding], ['a/GLLK', 'b/GLLK']);
  harness.fake.glIn = ['b'];
  harness.pass(GL_READ_MS);
  assert.equal(harness.ask(1, gl('un')), '0 none', 'it is unlocked where it was locked');
  assert.deepEqual([...harness.fake.holding], []);
});

test('a slot that cannot be read stays as it was known', () => {
  const harness = withTwoVgs('a');
  harness.fake.unreadable.add('a');
  harness.pass(GL_READ_MS);
  assert.equal(harness.ask(1, gl('ex')), '0 none');
});

test('what was switched here meanwhile is newer than a read under way', () => {
  const harness = withTwoVgs();
  harness.holdBack = true;
  harness.pass(GL_READ_MS); // both slots are being read: disabled
  const reads = harness.held.splice(0);
  harness.holdBack = false;
  assert.equal(harness.ask(1, 'request="enable_gl" vg_name="b"'), '0 none');
  for (const end of reads) end();
  harness.fake.unreadable.add('b'); // so that a search finds nothing
  assert.equal(harness.ask(1, gl('ex')), '0 none');
});

test('enable_gl is refused by what the slots say now', () => {
  const harness = withTwoVgs('a');
  assert.equal(harness.ask(1, 'request="enable_gl" vg_name="b"'), '-22 none');
  assert.ok(harness.logged.includes('global.notEnabled'));
  harness.fake.glIn = []; // another host has disabled it
  assert.equal(harness.ask(1, 'request="enable_gl" vg_name="b"'), '0 none');
  harness.fake.glIn = ['a']; // and another one has moved it
  assert.equal(harness.ask(1, 'request="enable_gl" vg_name="b"'), '-22 none');
});

test('two commands cannot enable it in two VGs at once', () => {
  const harness = withTwoVgs();
  harness.holdBack = true;
  harness.ask(1, 'request="enable_gl" vg_name="a"');
  harness.ask(2, 'request="enable_gl" vg_name="b"');
  harness.finish();
  const enabled = harness.fake.did.filter((one) => one.startsWith('enable gl'));
  assert.deepEqual(enabled, ['enable gl a']);
});

test('an enabler reads the slots again: of two hosts at once, one knows both', () => {
  const harness = withTwoVgs();
  harness.holdBack = true;
  harness.ask(1, 'request="enable_gl" vg_name="a"');
  harness.finish(2); //              both slots are disabled
  harness.fake.glIn = ['a', 'b']; // both hosts write
  harness.finish();
  assert.equal(harness.lastReply(), '0 none');
  harness.holdBack = false;
  assert.equal(harness.ask(1, gl('ex')), '0 DUP_GL_LS,');
});

test('vgremove moves it to the first other VG, with the lock of the command', () => {
  const harness = withTwoVgs('b');
  harness.start('c');
  assert.equal(harness.ask(1, gl('ex')), '0 none');
  harness.fake.did.length = 0;
  assert.equal(harness.ask(1, 'request="free_vg" vg_name="b"'), '0 none');
  assert.deepEqual(harness.fake.did, ['enable gl a', 'lock GLLK ex', 'leave b held 1']);
  assert.ok(harness.logged.includes('global.moved'));
  assert.ok(!harness.logged.includes('global.duplicate'), 'nobody has to do anything');
  assert.deepEqual([...harness.fake.holding], ['a/GLLK']);
  assert.equal(harness.ask(1, gl('un')), '0 none');
  assert.deepEqual([...harness.fake.holding], []);
  assert.equal(harness.ask(2, gl('sh')), '0 none');
});

test('a command that waited for the lock of the removed VG gets it where it moved', () => {
  const harness = withTwoVgs('b');
  harness.ask(1, gl('ex'));
  assert.equal(harness.ask(2, gl('sh')), 'none yet');
  assert.equal(harness.ask(1, 'request="free_vg" vg_name="b"'), '0 none');
  assert.equal(harness.ask(1, gl('un')), '0 none');
  assert.equal(harness.answered.at(-1), 2);
  assert.equal(harness.lastReply(), '0 none');
  assert.deepEqual([...harness.fake.holding], ['a/GLLK']);
});

test('it is not moved where another VG carries it by now', () => {
  const harness = withTwoVgs('b');
  harness.start('c');
  harness.fake.glIn = ['b', 'c'];
  harness.fake.did.length = 0;
  assert.equal(harness.ask(1, 'request="free_vg" vg_name="b"'), '0 none');
  assert.deepEqual(harness.fake.did, ['leave b held 0']);
  assert.equal(harness.ask(1, gl('ex')), '0 none');
  assert.ok(harness.fake.holding.has('c/GLLK'));
});

test('a VG that does not take it is passed over; without any, replies warn until one carries it', () => {
  const harness = withTwoVgs('b');
  harness.start('c');
  const refused = { result: -218, lmResult: -218 };
  harness.fake.switches = [refused, refused];
  assert.equal(harness.ask(1, 'request="free_vg" vg_name="b"'), '0 WARN_GL_REMOVED,');
  assert.ok(harness.logged.includes('global.notMoved'));
  harness.fake.glIn = [];
  assert.equal(harness.ask(1, gl('ex')), '-210 NO_GL_LS,WARN_GL_REMOVED,');
  harness.fake.glIn = ['c']; // another host has enabled it
  assert.equal(harness.ask(1, gl('ex')), '0 none');
});

test('a VG that is not left after all still carries it, and both are told', () => {
  const harness = withTwoVgs('b');
  harness.fake.leaveResult = -16;
  assert.equal(harness.ask(1, 'request="free_vg" vg_name="b"'), '-16 none');
  assert.ok(harness.logged.includes('global.duplicate'));
  assert.equal(harness.ask(1, gl('ex')), '0 DUP_GL_LS,');
});

test('with the last VG the global lock ends without a word', () => {
  const harness = new Harness();
  harness.open(1);
  harness.start('a');
  harness.ask(1, gl('ex'));
  assert.equal(harness.ask(1, 'request="free_vg" vg_name="a"'), '0 none');
  assert.deepEqual(harness.fake.did, ['lock GLLK ex', 'leave a held 1']);
});
