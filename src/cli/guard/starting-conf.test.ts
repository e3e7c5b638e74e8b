import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OWN_KEYS, readGuardConfig } from '../../guard/config.ts';
import { parseLibvirtConf } from '../../guard/libvirt-conf.ts';

/** The configuration to begin with, which `holdfast guard install` writes. */
const TEXT = readFileSync(
  join(process.env['HOLDFAST_ROOT'] ?? '.', 'packaging/guard.conf'),
  'utf8',
);
const SETTING = /^# ([a-z_]+ = )/gm;

function configOf(text: string) {
  const none = { path: '', text: null };
  return readGuardConfig({ qemu: none, plugin: none, own: { path: 'guard.conf', text } });
}

test('as it is written it sets nothing, and the first thing to do is said', () => {
  const values = parseLibvirtConf(TEXT);
  assert.ok(values.ok && values.value.size === 0);
  const config = configOf(TEXT);
  assert.ok(!config.ok && config.error.startsWith('no host_id is set in guard.conf'));
});

test('every setting stands in it once, and with its default where it has one', () => {
  const named = [...TEXT.matchAll(SETTING)].map(([, key = '']) => key.slice(0, -3));
  assert.deepEqual([...named].sort(), [...OWN_KEYS].sort());
  const all = configOf(TEXT.replace(SETTING, '$1'));
  const least = configOf('host_id = 1\n');
  assert.ok(all.ok && least.ok, JSON.stringify(all));
  assert.equal(all.value.naming.clusters.size, 3, 'its examples are such as are taken');
  assert.deepEqual(
    { ...all.value, naming: { ...all.value.naming, clusters: new Map() } },
    { ...least.value, user: 'sanlock', group: 'sanlock' },
  );
});
