import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WrongTokens } from './wrong-tokens.ts';

test('an address with eight wrong tokens under way tries no more, others do', () => {
  const wrong = new WrongTokens();
  for (let n = 0; n < 8; n++) {
    assert.equal(wrong.mayTry('192.0.2.1'), true);
    wrong.begin('192.0.2.1');
  }
  assert.equal(wrong.mayTry('192.0.2.1'), false);
  assert.equal(wrong.mayTry('192.0.2.2'), true);
  wrong.end('192.0.2.1');
  assert.equal(wrong.mayTry('192.0.2.1'), true);
});

test('many addresses together have a limit, too', () => {
  const wrong = new WrongTokens();
  const addresses = Array.from({ length: 64 }, (_, n) => `192.0.2.${n}`);
  for (const address of addresses) wrong.begin(address);
  assert.equal(wrong.mayTry('198.51.100.1'), false);
  for (const address of addresses) wrong.end(address);
  assert.equal(wrong.mayTry('198.51.100.1'), true);
});
