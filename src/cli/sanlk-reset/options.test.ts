import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseControl } from '../../reset/control-message.ts';
import { parseReset, parseResetd } from './options.ts';

test('sanlk-reset: what to reset and how', () => {
  const how = { watchdog: true, sysrqReboot: false, resourceMode: false, nativeTimeout: true };
  const one = { lockspaceName: 'LS1', hostId: 2n };
  assert.deepEqual(parseReset(['reset', 'LS1:2']), {
    ok: true,
    value: { kind: 'reset', targets: [one], generation: 0n, ...how },
  });
  const words = [
    'reset',
    'LS1',
    '-i',
    '2',
    '--generation=7',
    '-w0',
    '-b',
    '1',
    '-R',
    '1',
    '-t',
    '0',
  ];
  assert.deepEqual(parseReset(words), {
    ok: true,
    value: {
      kind: 'reset',
      targets: [one],
      generation: 7n,
      watchdog: false,
      sysrqReboot: true,
      resourceMode: true,
      nativeTimeout: false,
    },
  });
  assert.deepEqual(parseReset(['clear', 'all']), {
    ok: true,
    value: { kind: 'clear', names: ['all'] },
  });
  assert.deepEqual(parseReset(['-h']), { ok: true, value: { kind: 'usage' } });
});

test('what is not valid is refused with one sentence', () => {
  for (const words of [
    [],
    ['reset'],
    ['reset', 'LS1'],
    ['reset', 'LS1:0'],
    ['reset', 'LS1:2001'],
    ['reset', 'A:1', 'B:2', '-g', '3'],
    ['reset', 'A:1', '-w', '2'],
    ['reset', 'A:1', '-w', '0'],
    ['reset', 'A:1', '-x', '0'],
    ['reset', 'A:1', '-g'],
    ['reg'],
    ['reg', 'x'.repeat(49)],
  ]) {
    assert.equal(parseReset(words).ok, false, words.join(' '));
  }
  for (const words of [['-d', '-1'], ['-w', '0'], ['a b'], ['-b'], new Array(65).fill('L')]) {
    assert.equal(parseResetd(words).ok, false, words.join(' '));
  }
});

test('sanlk-resetd: lockspaces and what is served', () => {
  assert.deepEqual(parseResetd(['-D', '-b', '1', '-d', '3', 'LS1', 'LS2']), {
    ok: true,
    value: {
      kind: 'serve',
      foreground: true,
      debug: true,
      settings: { useWatchdog: true, sysrqReboot: true, sysrqDelayS: 3, resourceMode: false },
      names: ['LS1', 'LS2'],
    },
  });
});

test('a control message is text with zeros behind it, of any length', () => {
  const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  assert.deepEqual(parseControl(bytes('reg LS1')), {
    ok: true,
    value: { action: 'reg', name: 'LS1' },
  });
  assert.deepEqual(parseControl(bytes('clear all\0\0')), {
    ok: true,
    value: { action: 'clear', name: 'all' },
  });
  for (const text of ['', 'reg', 'reg ', 'drop LS', `reg ${'x'.repeat(300)}`]) {
    assert.equal(parseControl(bytes(text)).ok, false, text);
  }
});
