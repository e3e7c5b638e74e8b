import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { binOf, isOurs, programsIn, unitFor } from './units.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const names = readdirSync(`${ROOT}/packaging`).filter((name) => /\.(service|slice)$/.test(name));
const texts = names.map((name) => readFileSync(`${ROOT}/packaging/${name}`, 'utf8'));

test('a unit for another prefix names no program of the usual one', () => {
  for (const text of texts) {
    const moved = unitFor(text, { bin: '/opt/npm/bin', node: null, hasGroup: true });
    assert.ok(isOurs(moved));
    assert.doesNotMatch(moved, /\/usr\/local/);
    assert.equal(moved.replaceAll('/opt/npm/bin/', '/usr/local/bin/'), text);
  }
  assert.deepEqual(programsIn(texts), [
    ...['fence_sanlockd', 'holdfast', 'lvmlockctl', 'lvmlockd', 'sanlk-resetd', 'sanlock', 'wdmd'],
  ]);
});

test('a Node.js that systemd does not find stands first in the PATH of each service', () => {
  const [sanlock = ''] = texts.filter((_, at) => names[at] === 'sanlock.service');
  const moved = unitFor(sanlock, { bin: '/opt/npm/bin', node: '/opt/node/bin', hasGroup: true });
  assert.match(
    moved,
    /^\[Service\]\nEnvironment=PATH=\/opt\/node\/bin:\/usr\/local\/sbin:.*:\/usr\/bin\nType=notify$/m,
  );
  const [slice = ''] = texts.filter((_, at) => names[at] === 'holdfast.slice');
  assert.equal(unitFor(slice, { bin: '/x/bin', node: '/opt/node/bin', hasGroup: true }), slice);
});

test('without a group of sanlock no unit asks for it: systemd would not start it', () => {
  const of = { bin: '/usr/local/bin', node: null };
  const asking = texts.filter((text) => /^(Supplementary)?Groups?=/m.test(text));
  assert.ok(asking.length > 0);
  for (const text of asking) {
    assert.doesNotMatch(unitFor(text, { ...of, hasGroup: false }), /^(Supplementary)?Groups?=/m);
    assert.equal(unitFor(text, { ...of, hasGroup: true }), text);
  }
});

test('a prefix that no unit can name is refused', () => {
  assert.deepEqual(binOf('/opt/npm/'), { ok: true, value: '/opt/npm/bin' });
  assert.deepEqual(binOf('/'), { ok: true, value: '/bin' });
  for (const prefix of ['/home/a b', 'opt', '/opt/%n', '/opt/"x', '/tmp/npm', '/var/tmp', '/a\n']) {
    assert.equal(binOf(prefix).ok, false, prefix);
  }
  assert.ok(binOf('/tmpfs/npm').ok);
});

test('a unit of somebody else is known by its description', () => {
  assert.ok(!isOurs('[Unit]\nDescription=Shared Storage Lease Manager\n'));
  assert.ok(!isOurs(''));
});
