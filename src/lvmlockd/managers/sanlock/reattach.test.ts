import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../../base/units.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import { ACQUIRE_FLAGS } from '../../../wire/sanlock/socket.ts';
import type { KnownLock } from '../manager.ts';
import { resourceAt } from './layout.ts';
import { FakeSanlock, LV, type Scripted, SITE, started, VGLK } from './testing/fake-sanlock.ts';

const HELD_LV: KnownLock = {
  lock: { resource: LV, mode: 'ex', newVersion: 0 },
  isSteppingDown: false,
};
const HELD_VG: KnownLock = {
  lock: { resource: VGLK, mode: 'ex', newVersion: 0 },
  isSteppingDown: false,
};
const PATIENCE_MS = 5000;

function reattach(known: KnownLock, script: Readonly<Record<string, readonly Scripted[]>>) {
  const fake = new FakeSanlock();
  const space = started(fake);
  fake.run(space.initLv(LV.name));
  fake.asked.length = 0;
  for (const [call, answers] of Object.entries(script)) fake.script(call, ...answers);
  const { found, lost } = fake.run(space.reattach([known], PATIENCE_MS));
  return { fake, text: `${found}${lost.length === 0 ? '' : ', lost'}` };
}

const REGISTERED = ['register', 'killpath', 'restrict', 'set_config'];

test('a lease is taken again in its mode, over a session registered as before', () => {
  const { fake, text } = reattach(HELD_LV, {});
  assert.equal(text, 'attached');
  assert.deepEqual(fake.asked, [...REGISTERED, 'acquire']);
});

test('nothing is attached to a sanlock that is not there, or that does not know the lockspace', () => {
  const gone = { code: -111, answered: false };
  assert.equal(reattach(HELD_LV, { register: [gone] }).text, 'unreachable');
  assert.equal(reattach(HELD_LV, { set_config: [gone] }).text, 'unreachable');
  const unknown = reattach(HELD_LV, { set_config: [{ code: -2 }] });
  assert.equal(unknown.text, 'absent');
  assert.ok(!unknown.fake.asked.includes('acquire'));
});

/** What sanlock answers to each acquire in turn, and the outcome. */
const ANSWERS: readonly (readonly [string, readonly number[], string])[] = [
  ['it is an orphan by now', [-117, 0], 'attached'],
  ['it is being resumed', [-16, -11, 0], 'attached'],
  ['its disk cannot be read yet', [SANLOCK_CODES.AIO_TIMEOUT, 0], 'attached'],
  ['a living host owns it', [SANLOCK_CODES.ACQUIRE_IDLIVE], 'attached, lost'],
  ['a silent host owns it', [SANLOCK_CODES.ACQUIRE_OWNED_RETRY], 'attached, lost'],
  ['its slot has another name', [SANLOCK_CODES.LEADER_RESOURCE], 'attached, lost'],
  ['this host has it in the other mode', [-17, 0], 'attached'],
  ['it is an orphan in the other mode', [-117, -117, -117, 0], 'attached'],
  ['sanlock cannot tell', [-11, -11, -11, -11, -11, -11, -11, -11], 'unreachable'],
];

for (const [what, codes, outcome] of ANSWERS) {
  test(`a lease is never released to get it again: ${what}`, () => {
    const { fake, text } = reattach(HELD_LV, { acquire: codes.map((code) => ({ code })) });
    assert.equal(text, outcome);
    assert.ok(!fake.asked.includes('release'));
    assert.ok(fake.sleptMs <= PATIENCE_MS);
  });
}

test('a lease found in the other mode is converted to the one that lvmlockd knows', () => {
  const held = reattach(HELD_LV, { acquire: [{ code: -17 }, { code: 0 }] });
  assert.deepEqual(held.fake.asked.slice(-3), ['acquire', 'acquire', 'convert']);
  const refused = { acquire: [{ code: -17 }, { code: 0 }], convert: [{ code: -11 }] };
  assert.equal(reattach(HELD_LV, refused).text, 'attached, lost');
});

test('a step down that was cut, and that lets another host share the lease, loses no lock', () => {
  const refused = { acquire: [{ code: -17 }, { code: 0 }], convert: [{ code: -11 }] };
  const found = reattach({ ...HELD_LV, isSteppingDown: true }, refused);
  assert.equal(found.text, 'attached');
  assert.ok(!found.fake.asked.includes('release'));
});

test('a VG lock that sanlock has not kept may have been another host’s meanwhile', () => {
  const { fake, text } = reattach(HELD_VG, { acquire: [{ code: -2 }] });
  assert.equal(text, 'attached, lost');
  assert.equal(fake.acquireFlags.at(-1), ACQUIRE_FLAGS.ORPHAN_ONLY | ACQUIRE_FLAGS.OWNER_NOWAIT);
  assert.equal(reattach(HELD_VG, {}).text, 'attached');
});

/** How a call ends when sanlock dies under it. */
const CUT: Scripted = { code: -107, answered: false };

test('a call that sanlock died over is told from one that took too long', () => {
  const tooLong: Scripted = { code: -110, answered: false };
  const outcomeOf = (call: string, answer: Scripted) => {
    const fake = new FakeSanlock();
    const space = started(fake);
    fake.run(space.initLv(LV.name));
    const held = { resource: LV, mode: 'ex', newVersion: 0 } as const;
    fake.script(call, answer);
    const lock = fake.run(space.lock(LV, 'ex', false));
    const convert = fake.run(space.convert(held, 'sh'));
    const unlock = fake.run(space.unlock(held));
    return [lock, convert, unlock].map((one) => one.interrupted === true);
  };
  assert.deepEqual(outcomeOf('acquire', CUT), [true, false, false]);
  assert.deepEqual(outcomeOf('convert', CUT), [false, true, false]);
  assert.deepEqual(outcomeOf('release', CUT), [false, false, true]);
  assert.deepEqual(outcomeOf('acquire', tooLong), [false, false, false]);
});

test('a slot that was taken for an LV when sanlock died is that of the LV', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  fake.script('release', CUT);
  const cut = fake.run(space.initLv(LV.name));
  assert.equal(cut.interrupted, true);
  const again = fake.run(space.initLv(LV.name, true));
  assert.equal(again.result, 0);
  const whole = fake.run(space.initLv(LV.name, true));
  assert.deepEqual([whole.result, whole.lvLockArgs], [0, again.lvLockArgs]);
});

test('a lockspace whose session is lost is left with its leases released by name', () => {
  const fake = new FakeSanlock();
  const space = started(fake);
  fake.run(space.initLv(LV.name));
  fake.run(space.lock(LV, 'ex', false));
  assert.equal(fake.here.size, 1);
  fake.leases.push({ list: 'held', resource: resourceAt(SITE, LV.name, 67 * MIB) });
  fake.script('release', CUT);
  fake.run(space.leave({ held: [], removeVg: false, dropAll: true }));
  assert.equal(fake.here.size, 0);
});
