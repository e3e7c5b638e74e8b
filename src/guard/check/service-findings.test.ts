import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GuardReport } from '../report.ts';
import { bothTakeFindings, outdatedFindings, serviceFindings } from './service-findings.ts';

const LEASE = { name: 'a', mode: 'exclusive', target: 'vda', held: 'exclusive' } as const;
const REPORT: GuardReport = {
  ...{ hostId: 1, leaseDir: '/l', lockspaceCode: 0 },
  guests: [
    {
      ...{ uuid: '7', name: 'web', keeperPid: 1, qemuPid: 2, isRunning: true, migration: null },
      ...{ waitsFor: null, leases: [{ ...LEASE, key: '/srv/a.img' }] },
    },
  ],
};

test('a service that runs, and one that does not', () => {
  assert.deepEqual(serviceFindings({ kind: 'report', report: REPORT }, true), []);
  const outside = { ...REPORT, lockspaceCode: -5 };
  const of = (...args: Parameters<typeof serviceFindings>) => serviceFindings(...args)[0];
  assert.equal(of({ kind: 'report', report: outside }, true)?.kind, 'lockspaceNotJoined');
  assert.match(`${of({ kind: 'absent' }, true)?.found}`, /does not run: libvirt starts no guest$/);
  assert.match(`${of({ kind: 'absent' }, false)?.found}`, /does not run: no guest is guarded$/);
  assert.equal(
    of({ kind: 'silent', text: 'x' }, true)?.found,
    'the guard service does not answer: x',
  );
});

test('files that were changed since their program was started', () => {
  const of = (startedMs: number | null, ...times: readonly (number | null)[]) => {
    const reads = times.map((changedMs, at) => ({ path: `/f${at}`, changedMs }));
    return outdatedFindings([{ name: 'libvirtd', startedMs, reads }]);
  };
  assert.deepEqual(of(10_000, 9000, null, 11_000), []);
  assert.deepEqual(of(null, 99_000), []);
  const [finding] = of(10_000, 20_000, 5000, 30_000);
  assert.equal(
    finding?.found,
    '/f0 and /f2 changed since libvirtd was started, which goes by what stood there before',
  );
  assert.equal(finding?.cure, 'systemctl restart libvirtd');
});

test('the guard and the plugin at one lease', () => {
  const guests = [{ uuid: '7', paths: new Set(['/srv/a.img']) }];
  assert.equal(bothTakeFindings(REPORT, guests, true)[0]?.kind, 'bothTake');
  assert.deepEqual(bothTakeFindings(REPORT, guests, false), []);
  const others = [{ uuid: '7', paths: new Set(['/srv/b.img']) }];
  assert.deepEqual(bothTakeFindings(REPORT, others, true), []);
  assert.deepEqual(bothTakeFindings(REPORT, [], true), []);
});
