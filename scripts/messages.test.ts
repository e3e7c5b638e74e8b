import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERRNO } from '../src/base/errno.ts';
import { KNOWN_MESSAGES } from '../src/inspect/explain/known-messages.ts';
import { LD_RESULT } from '../src/wire/lvmlockd/numbers.ts';
import { SANLOCK_CODES, SOCKET_ERRORS } from '../src/wire/sanlock/codes.ts';
import { MESSAGES_PAGE, messagesText } from './messages-text.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';

test('the page of messages is what holdfast explain knows, and nothing else', () => {
  const page = readFileSync(`${ROOT}/${MESSAGES_PAGE}`, 'utf8');
  assert.equal(
    page,
    messagesText(),
    'write it anew: node scripts/run-script.mjs scripts/messages-page.ts',
  );
  const rows = page.split('\n').filter((line) => line.startsWith('| ')).length;
  const numbers = SOCKET_ERRORS.length + Object.keys(SANLOCK_CODES).length;
  const results = Object.values(LD_RESULT).filter((code) => code !== 0).length;
  assert.equal(rows, KNOWN_MESSAGES.length + numbers + results + 9, 'a row each, and nine heads');
  assert.ok(page.includes(`| -${ERRNO.EAGAIN} | EAGAIN |`));
});
