import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areaAt } from './layout.ts';
import { FakeSanlock, manager, SITE, started, VG } from './testing/fake-sanlock.ts';

test('sanlock is asked whether it has the lockspace; no answer says nothing', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  assert.equal(fake.run(space.presence()), 'absent');
  fake.joined.push(areaAt(SITE, 1));
  assert.equal(fake.run(space.presence()), 'joined');
  fake.script('get_lockspaces', { code: -110, answered: false });
  assert.equal(fake.run(space.presence()), 'unknown');
});

test('a channel is opened for the end of the lockspace, and refused where that has come', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  assert.equal(fake.run(space.watch()), 'watching');
  fake.script('reg_event', { code: -2 }, { code: -50 }, { code: -111, answered: false });
  assert.equal(fake.run(space.watch()), 'absent');
  assert.equal(fake.run(space.watch()), 'unwatched', 'all channels are taken');
  assert.equal(fake.run(space.watch()), 'unwatched', 'sanlock is gone');
});

test('a start that is cancelled begins nothing more, and gives back what it gets', () => {
  const fake = new FakeSanlock();
  started(fake);
  const early = manager.open(VG, 2);
  fake.run(early.cancel());
  assert.equal(fake.run(early.prepare(1)).result, -125);
  assert.ok(!fake.asked.includes('register') && !fake.asked.includes('rem_lockspace'));
  const late = manager.open(VG, 3);
  assert.equal(fake.run(late.prepare(1)).result, 0);
  fake.script('add_lockspace', { code: -115 }, { code: -115 });
  fake.asked.length = 0;
  fake.onSleep = () => {
    fake.onSleep = () => {};
    fake.run(late.cancel());
  };
  assert.equal(fake.run(late.join(true)).result, -125);
  assert.deepEqual(fake.asked, ['add_lockspace', 'rem_lockspace']);
});
