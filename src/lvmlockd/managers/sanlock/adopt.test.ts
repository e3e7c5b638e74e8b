import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRNO } from '../../../base/errno.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import { FakeSanlock, LV, manager, started, VG } from './testing/fake-sanlock.ts';

const results = (fake: FakeSanlock, adopt: 'no' | 'try' | 'only', ...codes: number[]) => {
  const space = started(fake);
  fake.script('acquire', ...codes.map((code) => ({ code })));
  return fake.run(space.lock(LV, 'ex', false, false, adopt)).result;
};

test('what an acquire says of an orphan, by what was asked for', () => {
  const { EUCLEAN, ENOENT } = ERRNO;
  const cases = [
    // The orphan has the other mode: naming it as an orphan does not help.
    ['no', [-EUCLEAN, -EUCLEAN], -222],
    ['try', [-EUCLEAN, -EUCLEAN], -224],
    ['only', [-EUCLEAN], -224],
    ['only', [-ENOENT], -223],
    ['only', [0], 0],
    ['try', [0], 0],
    ['try', [-EUCLEAN, 0], 0],
  ] as const;
  for (const [adopt, codes, wanted] of cases) {
    assert.equal(results(new FakeSanlock(), adopt, ...codes), wanted, `${adopt} ${codes}`);
  }
});

test('adopt_only takes nothing that was not an orphan', () => {
  const fake = new FakeSanlock();
  assert.equal(results(fake, 'only', -ERRNO.ENOENT), -223);
  assert.deepEqual(fake.asked, ['acquire'], 'asked for an orphan, and for nothing else');
});

test('a start that only adopts is refused where sanlock has not joined the VG', () => {
  const fake = new FakeSanlock();
  started(fake);
  const space = manager.open(VG, 2);
  assert.equal(fake.run(space.prepare(1, true)).result, -223);
  fake.joined.push({ name: 'lvm_vg', hostId: 1n, path: '', offset: 0n, flags: 0 });
  assert.equal(fake.run(space.prepare(1, true)).result, 0);
});

test('storage that is too slow has a number of its own', () => {
  assert.equal(results(new FakeSanlock(), 'no', SANLOCK_CODES.AIO_TIMEOUT), -225);
});
