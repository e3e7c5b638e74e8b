import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseServe } from './options.ts';

test('without words: loopback alone, and no token', () => {
  const parsed = parseServe([]);
  assert.ok(parsed.ok);
  const hosts = parsed.value.addresses.map(({ host, port }) => [host, port]);
  assert.deepEqual(hosts, [
    ['127.0.0.1', 9797],
    ['::1', 9797],
  ]);
  assert.equal(parsed.value.tokenFile, null);
});

test('where others can reach it, a token is wanted', () => {
  for (const address of ['0.0.0.0:9797', '[::]:9797', '10.0.0.5:80', '[fe80::1]:1']) {
    const parsed = parseServe(['--listen', address]);
    assert.match(parsed.ok ? '' : parsed.error, /--token-file is wanted$/, address);
    assert.ok(parseServe(['--listen', address, '--token-file', '/t']).ok, address);
  }
  for (const address of ['127.0.0.1:0', '127.8.9.1:80', '[::1]:9797', 'localhost:9797']) {
    assert.ok(parseServe(['--listen', address]).ok, address);
  }
});

test('what is no address, no name, no interval', () => {
  const wrong: readonly (readonly string[])[] = [
    ...['9797', 'alpha:9797', '127.0.0.1', '::1:9797', '[127.0.0.1]:1', '127.0.0.1:70000'].map(
      (address) => ['--listen', address],
    ),
    ['--name', 'a b'],
    ['--name', 'alpha:9797'],
    ['--interval', '0'],
    ['--interval', 'often'],
    ['--interval', '1e9'],
    ['word'],
  ];
  for (const words of wrong) assert.equal(parseServe(words).ok, false, words.join(' '));
});
