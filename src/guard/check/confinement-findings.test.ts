import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfinementFacts, confinementFindings } from './confinement-findings.ts';

/** The rules that matter of a profile like Debian's. */
const PROFILE = `profile libvirtd /usr/sbin/libvirtd flags=(attach_disconnected) {
  capability kill,
  / r,
  /** rwmkl,
  /bin/* PUx,
  /usr/bin/* PUx,
  /usr/lib/libvirt/* PUxr,
  /etc/libvirt/hooks/** rmix,
}
`;
const NONE: ConfinementFacts = { appArmor: [], seLinux: null, usesPlugin: true, fsType: 'nfs4' };

function kinds(facts: Partial<ConfinementFacts>): readonly string[] {
  return confinementFindings({ ...NONE, ...facts }).map(({ kind, weight }) => `${weight} ${kind}`);
}

function appArmor(text: string | null, isEnforced = true): readonly string[] {
  return kinds({ appArmor: [{ program: 'libvirtd', profile: 'libvirtd', isEnforced, text }] });
}

test('nothing is confined, or all that is needed is allowed', () => {
  assert.deepEqual(kinds({}), []);
  assert.deepEqual(appArmor(PROFILE), []);
});

test('a profile of AppArmor that keeps hooks, or the plugin, from what they need', () => {
  const without = (rule: string) => PROFILE.replace(`  ${rule}\n`, '');
  assert.deepEqual(appArmor(without('/etc/libvirt/hooks/** rmix,')), ['problem appArmorHooks']);
  assert.deepEqual(appArmor(without('/usr/bin/* PUx,')), ['problem appArmorEnv']);
  const closed = without('/** rwmkl,');
  assert.deepEqual(appArmor(closed), ['problem appArmorSanlock']);
  assert.deepEqual(appArmor(`${closed}  /run/sanlock/sanlock.sock rw,\n`), []);
  assert.deepEqual(appArmor(closed, false), [], 'it only complains');
  assert.deepEqual(appArmor(null), ['note appArmor']);
  const hooks = without('/etc/libvirt/hooks/** rmix,');
  const of = { program: 'libvirtd', profile: 'libvirtd', isEnforced: true, text: hooks };
  const [finding] = confinementFindings({ ...NONE, appArmor: [of] });
  assert.match(`${finding?.cure}`, /to \/etc\/apparmor\.d\/local\/usr\.sbin\.libvirtd, then/);
});

test('booleans of SELinux that are off, where they matter', () => {
  const all = ['virt_use_sanlock', 'sanlock_use_nfs', 'virt_use_nfs', 'virt_hooks_unconfined'];
  const of = (isOn: boolean, more: Partial<ConfinementFacts> = {}) =>
    confinementFindings({ ...NONE, ...more, seLinux: new Map(all.map((name) => [name, isOn])) });
  assert.deepEqual(of(true), []);
  assert.equal(of(false).length, 4);
  assert.equal(of(false, { usesPlugin: false, fsType: 'gfs2' }).length, 1);
  assert.deepEqual(kinds({ seLinux: new Map() }), [], 'a policy that has none of them');
});
