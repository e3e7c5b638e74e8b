import assert from 'node:assert/strict';
import test from 'node:test';
import { parseOptions, USAGE } from './options.ts';

function parsed(...args: string[]) {
  const result = parseOptions(args);
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

test('the usage text names every option there is', () => {
  const named = USAGE.match(/(?<=^|, )-{1,2}\w+/gm) ?? [];
  assert.deepEqual(
    named.filter((one) => one.length === 2).sort(),
    [...'DFGHSVdhkpstw'].map((letter) => `-${letter}`),
  );
  assert.equal(named.filter((one) => one.length > 2).length, 7);
});

test('every option in each of its forms', () => {
  assert.deepEqual(parsed(), {
    action: 'serve',
    foreground: false,
    highPriority: 0,
    groupName: 'sanlock',
    allowScripts: 0,
    scriptsDirectory: '/etc/wdmd.d',
    killScriptS: 0,
    watchdogPath: null,
    tryTimeoutS: null,
  });
  assert.equal(parsed('-D').foreground, true);
  assert.equal(parsed('-H1').highPriority, 1);
  assert.equal(parsed('-S', '1', '-s', '/x', '-k', '9').killScriptS, 9);
  assert.equal(parsed('-G', 'disk', '-w', '/dev/w').groupName, 'disk');
  assert.equal(parsed('-Dp').action, 'probe');
  assert.equal(parsed('-p', '-d').action, 'dump');
  assert.equal(parsed('-V', '-h').action, 'version');
  assert.equal(parsed('-h', '-V').action, 'help');
  assert.equal(parsed('-d', '-h').action, 'dump');
  assert.equal(parsed('-d', '-V').action, 'dump');
  assert.equal(parsed('--trytimeout=30').tryTimeoutS, 30);
  assert.equal(parsed('-t', '30').action, 'probe');
  assert.equal(parsed('--softdog', '-w', '/dev/w').action, 'softdog');
  assert.equal(parsed('--forcefire').action, 'fire');
  assert.equal(parsed('-t', '30', '-F').action, 'fire');
  assert.equal(parsed('-s', '-k').scriptsDirectory, '-k');
});

test('what cannot be used is named', () => {
  const refusal = (...args: string[]) => {
    const result = parseOptions(args);
    return result.ok ? 'accepted' : result.error;
  };
  assert.equal(refusal('-z'), 'wdmd: unknown option -z; wdmd -h lists them all');
  assert.equal(refusal('word'), 'wdmd: unknown option word; wdmd -h lists them all');
  assert.equal(refusal('--dmup'), 'wdmd: unknown option --dmup: did you mean --dump?');
  assert.equal(refusal('-H'), 'wdmd: option -H wants a value');
  assert.equal(refusal('-H', '2'), 'wdmd: -H is 0 or 1, not "2"');
  assert.equal(refusal('-k', '-1'), 'wdmd: -k is a number from 0 to 3600, not "-1"');
  assert.equal(refusal('-w', ''), 'wdmd: -w wants a value');
  assert.equal(refusal('--dump=1'), 'wdmd: unknown option 1; wdmd -h lists them all');
});
