import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from './nearest.ts';

const NAMES = ['status', 'who', 'doctor', 'explain', 'json', 'watch', 'lockspace'];

test('a typing error finds the name that was meant', () => {
  for (const [word, meant] of [
    ['statsu', 'status'],
    ['stauts', 'status'],
    ['docter', 'doctor'],
    ['jsno', 'json'],
    ['wach', 'watch'],
    ['wo', 'who'],
    ['lock-space', 'lockspace'],
    ['expl', 'explain'],
  ] as const) {
    assert.equal(nearest(word, NAMES), meant, word);
  }
});

test('what is like no name has none', () => {
  for (const word of ['', 'x', 'frobnicate', 'whoopee', 's'.repeat(1000)]) {
    assert.equal(nearest(word, NAMES), null, word);
  }
});
