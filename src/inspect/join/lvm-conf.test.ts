import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { lvmSetting, withLvmSetting } from './lvm-conf.ts';
import { textDiff } from './text-diff.ts';

const changed = (text: string, key: string, value: string): string => {
  const done = withLvmSetting(text, key, value);
  assert.ok(done.ok, done.ok ? '' : done.error);
  const read = lvmSetting(done.value, key);
  assert.deepEqual(read, { ok: true, value });
  assert.deepEqual(withLvmSetting(done.value, key, value), done, 'a second time changes nothing');
  return done.value;
};

test('a setting that is there is changed in its place, and nothing else', () => {
  const text = 'global { use_lvmlockd = 0 activation = 0 }\n# use_lvmlockd = 5\n';
  assert.equal(
    changed(text, 'global/use_lvmlockd', '1'),
    'global { use_lvmlockd = 1 activation = 0 }\n# use_lvmlockd = 5\n',
  );
  assert.equal(changed('local/host_id=7 # mine', 'local/host_id', '8'), 'local/host_id=8 # mine');
  const twice = 'local {\n host_id = 1\n}\nlocal { host_id = 2 }\n';
  assert.equal(
    changed(twice, 'local/host_id', '3'),
    'local {\n host_id = 3\n}\nlocal { host_id = 3 }\n',
  );
});

test('a setting that is not there comes behind its comment, into its section, or a new one', () => {
  const explained = 'local {\n\t# host_id says.\n\t# host_id = 0\n\tx = [ "}", "#" ]\n}\n';
  assert.equal(
    changed(explained, 'local/host_id', '3'),
    'local {\n\t# host_id says.\n\t# host_id = 0\n\thost_id = 3\n\tx = [ "}", "#" ]\n}\n',
  );
  assert.equal(changed('local {\n}\n', 'local/host_id', '3'), 'local {\n\thost_id = 3\n}\n');
  assert.equal(changed('local { }', 'local/host_id', '3'), 'local { host_id = 3 }');
  assert.equal(changed('', 'local/host_id', '3'), 'local {\n\thost_id = 3\n}\n');
  assert.equal(changed('a { b = 1 }', 'c/d', '3'), 'a { b = 1 }\n\nc {\n\td = 3\n}\n');
  const nested = 'tags { local { host_id = 9 } }\nlocal {\n}\n';
  assert.equal(
    changed(nested, 'local/host_id', '3'),
    'tags { local { host_id = 9 } }\nlocal {\n\thost_id = 3\n}\n',
  );
});

test('a text that lvm would not read is left alone', () => {
  for (const text of ['local {', '}', 'local = {', 'x =', 'a b', 'x = "', 'x = [ 1']) {
    const done = withLvmSetting(text, 'local/host_id', '3');
    assert.ok(!done.ok, text);
    assert.match(done.error, /cannot be read|not closed/);
  }
});

test('the files that lvm2 installs', { skip: !hasLvmFiles() }, () => {
  for (const [path, key] of [
    ['/etc/lvm/lvm.conf', 'global/use_lvmlockd'],
    ['/etc/lvm/lvmlocal.conf', 'local/host_id'],
  ] as const) {
    const before = readFileSync(path, 'utf8');
    const diff = textDiff(path, before, changed(before, key, '1'));
    assert.equal(diff.split('\n').filter((line) => /^[+-](?![+-])/.test(line)).length, 1, diff);
    assert.match(diff, /^\+\t[a-z_]+ = 1$/m);
  }
});

function hasLvmFiles(): boolean {
  try {
    return readFileSync('/etc/lvm/lvm.conf').length > 0;
  } catch {
    return false;
  }
}
