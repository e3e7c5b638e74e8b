import assert from 'node:assert/strict';
import { test } from 'node:test';
import { confFindings } from './conf-findings.ts';

const PLUGIN_ON = 'lock_manager = "sanlock"\n';
const AUTO = 'auto_disk_leases = 1\nhost_id = 1\ndisk_lease_dir = "/srv/l"\n';

function findings(own: string | null, plugin: string | null = null, qemu: string | null = null) {
  return confFindings({
    qemu: { path: 'qemu.conf', text: qemu },
    plugin: { path: 'qemu-sanlock.conf', text: plugin },
    own: { path: 'guard.conf', text: own },
  });
}

function kinds(...texts: Parameters<typeof findings>): readonly string[] {
  return findings(...texts).map(({ kind, weight }) => `${weight} ${kind}`);
}

test('settings that go together', () => {
  assert.deepEqual(kinds('host_id = 1\n'), []);
  assert.deepEqual(kinds(null, AUTO, PLUGIN_ON), []);
  assert.deepEqual(kinds('host_id = 1\ndisk_lease_dir = "/srv/l"\n', AUTO, PLUGIN_ON), []);
});

test('no host id, and a configuration that cannot be read', () => {
  assert.deepEqual(kinds(null), ['problem hostIdUnset']);
  assert.deepEqual(kinds('', 'auto_disk_leases = 0\n'), ['problem hostIdUnset']);
  assert.match(
    `${findings(null)[0]?.found}`,
    /^the guard cannot start: no host_id is set in guard/,
  );
  assert.deepEqual(kinds('host_id = 3000\n'), ['problem confWrong']);
  assert.deepEqual(kinds('host id = 1\n'), ['problem confWrong']);
  assert.deepEqual(kinds('host_id = 1\n', null, 'lock_manager = \n'), ['problem confWrong']);
  const none = { path: 'qemu.conf', text: null };
  const closed = { path: 'guard.conf', text: null, failure: 'EACCES' };
  const [found] = confFindings({ qemu: none, plugin: none, own: closed });
  assert.equal(found?.kind, 'confWrong');
  assert.equal(found.found, 'the guard cannot start: guard.conf cannot be read: EACCES');
});

test('leases of the plugin without the plugin, and a plugin that wants leases and makes none', () => {
  assert.deepEqual(kinds('host_id = 1\n', AUTO, ''), ['caution autoLeasesWithoutPlugin']);
  assert.deepEqual(kinds('host_id = 1\n', AUTO, 'lock_manager = "lockd"\n'), [
    'caution autoLeasesWithoutPlugin',
  ]);
  assert.deepEqual(kinds('host_id = 1\n', null, PLUGIN_ON), ['caution pluginRefuses']);
  const none = 'auto_disk_leases = 0\nrequire_lease_for_disks = 0\n';
  assert.deepEqual(kinds('host_id = 1\n', none, PLUGIN_ON), []);
});

test('one host with two numbers, or two directories', () => {
  assert.deepEqual(kinds('host_id = 2\n', AUTO, PLUGIN_ON), ['problem twoHostIds']);
  const own = 'host_id = 1\ndisk_lease_dir = "/srv/other"\n';
  assert.deepEqual(kinds(own, AUTO, PLUGIN_ON), ['problem twoLeaseDirs']);
  const short = 'auto_disk_leases = 1\nhost_id = 1\n';
  assert.deepEqual(kinds(own, short, PLUGIN_ON), ['problem twoLeaseDirs'], 'the default counts');
  assert.deepEqual(kinds('host_id = 2\n', AUTO, ''), ['caution autoLeasesWithoutPlugin']);
});
