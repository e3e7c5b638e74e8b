import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Share } from './share.ts';

function takeAll(share: Share<string>, party: string, amount = 1): number {
  let count = 0;
  for (; share.fits(party, amount); count++) share.take(party, amount);
  return count;
}

test('a party that returns nothing leaves half, the next one half of that', () => {
  const share = new Share<string>(64);
  assert.deepEqual(
    ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((party) => takeAll(share, party)),
    [32, 16, 8, 4, 2, 1, 1],
  );
  assert.equal(share.fits('h'), false);
  share.give('a');
  assert.equal(share.fits('a'), false, 'it has far more than is left');
  assert.equal(share.fits('h'), true);
});

test('a party that has nothing may have all that is left', () => {
  const share = new Share<string>(16);
  assert.equal(share.fits('a', 17), false);
  share.take('a', 16);
  assert.equal(share.fits('b', 1), false);
  share.give('a', 16);
  assert.equal(takeAll(share, 'b', 4), 2);
  assert.equal(takeAll(share, 'c', 4), 1);
});

test('more than was taken is not returned', () => {
  const share = new Share<string>(4);
  share.take('a');
  assert.throws(() => share.give('b'), /than it took/);
  assert.throws(() => share.give('a', 2), /than it took/);
});
