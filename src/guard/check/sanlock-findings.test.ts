import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type HostLeaseSeen,
  type LockspaceSeen,
  type SanlockFacts,
  sanlockFindings,
} from './sanlock-findings.ts';

const PATH = '/srv/leases/__LIBVIRT__DISKS__';
const SPACE: LockspaceSeen = { hostId: 1, path: PATH, phase: 'joined' };
const UUID = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';
const ANSWERS = {
  kind: 'answers',
  hostName: `${UUID}.alpha`,
  usesWatchdog: true,
  lockspace: SPACE,
} as const;
const FACTS: SanlockFacts = {
  ...{ sanlock: ANSWERS, hostId: 1, lockspacePath: PATH, usesPlugin: true },
  ...{ guardAnswers: true, hostLease: null },
};

function kinds(facts: Partial<SanlockFacts>): readonly string[] {
  return sanlockFindings({ ...FACTS, ...facts }).map(({ kind, weight }) => `${weight} ${kind}`);
}

function ofSpace(lockspace: Partial<LockspaceSeen> | null, facts: Partial<SanlockFacts> = {}) {
  const seen = lockspace === null ? null : { ...SPACE, ...lockspace };
  return kinds({ ...facts, sanlock: { ...ANSWERS, lockspace: seen } });
}

test('a sanlock that has this host in the lockspace', () => {
  assert.deepEqual(kinds({}), []);
  assert.deepEqual(ofSpace(null), [], 'the guard says so itself');
});

test('one that cannot be asked, or has no watchdog', () => {
  assert.deepEqual(kinds({ sanlock: { kind: 'absent' } }), ['problem sanlockAbsent']);
  assert.deepEqual(kinds({ sanlock: { kind: 'silent', text: 'x' } }), ['problem sanlockSilent']);
  assert.deepEqual(kinds({ sanlock: { ...ANSWERS, usesWatchdog: false } }), ['caution noWatchdog']);
});

test('a lockspace that is another, is being lost, or is not joined', () => {
  assert.deepEqual(ofSpace({ hostId: 2 }), ['problem otherHostId']);
  assert.deepEqual(ofSpace({ path: '/other' }), ['problem otherLockspacePath']);
  assert.deepEqual(ofSpace({ phase: 'failing' }), ['problem lockspaceFailing']);
  assert.deepEqual(ofSpace({ phase: 'joining' }), ['caution lockspaceMoving']);
  assert.deepEqual(ofSpace(null, { guardAnswers: false }), ['problem pluginNotJoined']);
  assert.deepEqual(ofSpace(null, { guardAnswers: false, usesPlugin: false }), []);
});

test('a host id that another host has', () => {
  const lease = (hostName: string, isRenewed: boolean | null) => {
    const hostLease: HostLeaseSeen = { hostName, isRenewed, watchedS: 21 };
    return ofSpace(null, { hostLease });
  };
  assert.deepEqual(lease('beta', true), ['problem hostIdInUse']);
  assert.deepEqual(lease('beta', false), ['caution hostIdUsedBefore']);
  assert.deepEqual(lease('beta', null), ['caution hostIdUsedBefore']);
  const earlier = UUID.replace('6f', '7f');
  assert.deepEqual(lease(`${earlier}.alpha`, true), [], 'an earlier start of this host');
  assert.deepEqual(lease(`${earlier}.beta`, true), ['problem hostIdInUse']);
});
