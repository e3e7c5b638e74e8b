import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Access, isOurHost, tokenIn } from './access.ts';

const TOKEN = 'correct-horse-battery';
const by = (authorization?: string, cookie?: string) => ({ authorization, cookie });

test('with a token: its owner, and who began a session with it, and nobody else', () => {
  let nowMs = 1000;
  const access = new Access(TOKEN, () => nowMs);
  const cookie = access.session().split(';')[0] ?? '';
  assert.equal(access.isAllowed(by(`Bearer ${TOKEN}`)), true);
  assert.equal(access.isAllowed(by(undefined, `other=1; ${cookie}`)), true);
  const [name, value = ''] = cookie.split('=');
  const [endMs, signature] = value.split('.');
  const wrong: readonly (readonly [string | undefined, string | undefined])[] = [
    [undefined, undefined],
    [`Bearer ${TOKEN}x`, undefined],
    [`Bearer ${TOKEN.slice(1)}`, undefined],
    [`Basic ${TOKEN}`, undefined],
    [`Bearer ${'x'.repeat(100_000)}`, undefined],
    // A wrong token with a good session: the token was wanted.
    ['Bearer wrong', cookie],
    [undefined, `${name}=${Number(endMs) + 1}.${signature}`],
    [undefined, `${name}=${endMs}.${'0'.repeat(64)}`],
    [undefined, `${name}=.`],
    [undefined, `${name}=${endMs}`],
    [undefined, `${name}=${'9'.repeat(400)}`],
    [undefined, new Access(TOKEN, () => nowMs).session().split(';')[0]],
  ];
  for (const [authorization, own] of wrong) {
    assert.equal(access.isAllowed(by(authorization, own)), false, `${authorization} ${own}`);
  }
  nowMs += 12 * 3600_000;
  assert.equal(access.isAllowed(by(undefined, cookie)), false, 'a session ends');
});

test('a session is for this site alone, and no script reads it', () => {
  const words = new Access(TOKEN).session().split('; ');
  for (const word of ['HttpOnly', 'SameSite=Strict', 'Path=/']) assert.ok(words.includes(word));
});

test('without a token everybody who reaches it', () => {
  assert.equal(new Access(null).isAllowed(by()), true);
});

test('what is a token', () => {
  assert.equal(tokenIn(`${TOKEN}\n`), TOKEN);
  for (const text of [
    '',
    'short',
    'two words are no token',
    'line\nand another one',
    'x'.repeat(513),
  ]) {
    assert.equal(tokenIn(text), null);
  }
});

test('a name that leads here, but is not ours, gets nothing', () => {
  const names = new Set(['alpha']);
  const ours = ['localhost', 'localhost:9797', '127.0.0.1:1', '[::1]:9797', '10.1.2.3', 'Alpha:80'];
  for (const host of [...ours, '[fe80::1]', 'alpha.']) {
    assert.equal(isOurHost(host, names), true, host);
  }
  const others = [undefined, '', 'evil.example', 'localhost.evil.example', 'alpha.evil.example'];
  const strange = ['[evil]', '127.0.0.1@evil', 'alpha:80:80', '127.1', '::1', 'a b', '[::1'];
  for (const host of [...others, ...strange]) {
    assert.equal(isOurHost(host, names), false, String(host));
  }
});
