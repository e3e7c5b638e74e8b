import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fail, ok } from '../../base/result.ts';
import { type JoinFacts, joinPlan, joinWait } from './join-plan.ts';

const conf = (path: string, text = '') => ({ path, text, trap: null as string | null });
const LEASE = { hostId: 1, hostName: 'alpha', generation: 1, timestampS: 50, ioTimeoutS: 10 };
const AREA = { vg: 'v', maxHosts: 2000, used: [LEASE], unusedIoTimeoutS: 2, damaged: [] };
const VG = { name: 'v', isStarted: false, inUse: [] as readonly string[], hosts: ok(AREA) };
const GENERATED = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10.beta';

const facts = (of: Partial<JoinFacts> = {}): JoinFacts => ({
  ...{ nodeName: 'beta', newName: 'beta.1f', wanted: null, lost: [], absentVgs: [] },
  otherVgs: [],
  conf: { lvmlocal: conf('/l'), lvm: conf('/v'), sanlock: conf('/s') },
  running: { wdmd: false, sanlock: false, lvmlockd: false },
  ...{ sanlock: null, hasSystemd: true },
  vgs: [VG],
  ...of,
});
const planOf = (of: Partial<JoinFacts> = {}) => {
  const plan = joinPlan(facts(of));
  assert.ok(plan.ok, plan.ok ? '' : plan.error.join());
  return plan.value;
};
const kinds = (of: Partial<JoinFacts> = {}) =>
  planOf(of)
    .steps.map((step) => (step.kind === 'edit' ? step.conf : step.kind))
    .join(' ');
const running = (of: Partial<NonNullable<JoinFacts['sanlock']>> = {}) => ({
  ...{ hostName: 'beta.1f', usesWatchdog: true, lockspaces: [], isIdle: true },
  ...of,
});

test('a bare host: configuration, daemons, VGs, and what starts them at boot', () => {
  assert.equal(kinds(), 'lvmlocal lvm sanlock services startVg startUnit');
  const plan = planOf();
  assert.deepEqual([plan.hostId, plan.hostName, plan.missing], [2, 'beta.1f', []]);
  const texts = plan.steps.map((step) => (step.kind === 'edit' ? step.text : ''));
  assert.deepEqual(texts.slice(0, 3), [
    'local {\n\thost_id = 2\n}\n',
    'global {\n\tuse_lvmlockd = 1\n}\n',
    'our_host_name = beta.1f\n',
  ]);
});

test('without systemd the daemons that are missing are named', () => {
  const of = { hasSystemd: false };
  assert.equal(kinds(of), 'lvmlocal lvm sanlock startVg');
  assert.deepEqual(planOf(of).missing, ['wdmd', 'sanlock', 'lvmlockd']);
  const sanlock = running({ usesWatchdog: false });
  const up = { wdmd: false, sanlock: true, lvmlockd: true };
  assert.deepEqual(planOf({ ...of, sanlock, running: up }).missing, []);
});

test('a name that sanlock made up is replaced by one that stays, at once if nothing is in use', () => {
  const idle = planOf({ sanlock: running({ hostName: GENERATED }) });
  assert.ok(idle.steps.some(({ kind }) => kind === 'restartSanlock'));
  assert.equal(idle.hostName, 'beta.1f');
  const lockspaces = [{ vg: 'other', hostId: 7 }];
  const used = planOf({ sanlock: running({ hostName: GENERATED, lockspaces, isIdle: false }) });
  assert.ok(!used.steps.some(({ kind }) => kind === 'restartSanlock'));
  assert.deepEqual([used.hostName, used.hostId], [GENERATED, 7]);
  assert.match(used.notes.join(), /from its next start on/);
  assert.ok(planOf({ sanlock: running() }).steps.every((step) => !isSanlockConf(step)));
});

function isSanlockConf(step: { readonly kind: string; readonly conf?: string }): boolean {
  return step.kind === 'edit' && step.conf === 'sanlock';
}

test('VGs that are started here say the host id, and nothing else does', () => {
  const sanlock = running({ lockspaces: [{ vg: 'w', hostId: 1 }], isIdle: false });
  const plan = joinPlan(facts({ sanlock }));
  assert.match(plan.ok ? '' : plan.error.join(), /host id 1 is that of host alpha in VG v/);
  const wanted = joinPlan(facts({ sanlock, wanted: 5 }));
  assert.match(wanted.ok ? '' : wanted.error.join(), /started with host id 1: holdfast leave/);
  const both = [
    { vg: 'w', hostId: 1 },
    { vg: 'x', hostId: 2 },
  ];
  const two = joinPlan(facts({ sanlock: running({ lockspaces: both }) }));
  assert.match(two.ok ? '' : two.error.join(), /several host ids \(1, 2\)/);
});

test('nothing is planned where a file may not be edited, or a VG cannot be read', () => {
  const { conf: confs } = facts();
  const cases: readonly (readonly [Partial<JoinFacts>, RegExp])[] = [
    [{ conf: { ...confs, lvm: { ...confs.lvm, trap: '/v is a link' } } }, /^\/v is a link$/],
    [{ conf: { ...confs, lvm: conf('/v', 'global {') } }, /^\/v: a section is not closed$/],
    [{ vgs: [{ ...VG, hosts: fail('EIO') }] }, /of VG v cannot be read: EIO/],
    [{ vgs: [{ ...VG, inUse: ['v/a'] }] }, /^LV v\/a is active here and its VG is not started/],
    [{ absentVgs: ['w'] }, /no shared VG w/],
  ];
  for (const [of, why] of cases) {
    const plan = joinPlan(facts(of));
    assert.match(plan.ok ? '' : plan.error.join(), why);
  }
  const trap = { ...confs.lvmlocal, trap: 'a link', text: 'local { host_id = 2 }' };
  assert.equal(planOf({ conf: { ...confs, lvmlocal: trap } }).hostId, 2, 'it needs no edit');
});

test('VGs that are left out are not started along', () => {
  assert.doesNotMatch(kinds({ otherVgs: ['w'] }), /startUnit/);
  assert.match(planOf({ otherVgs: ['w'] }).notes.join(), /next boot on lvmlocks starts w too/);
});

test('how long sanlock takes, by the record of the host id', () => {
  const wait = (lease: typeof LEASE | undefined) =>
    joinWait(lease, { ownName: 'beta', unusedIoTimeoutS: 2 }).waitS;
  assert.equal(wait(undefined), 4);
  assert.equal(wait({ ...LEASE, timestampS: 0 }), 20);
  assert.equal(wait({ ...LEASE, hostName: 'beta' }), 42);
  assert.equal(wait(LEASE), 160);
});
