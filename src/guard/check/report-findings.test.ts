import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needsAttention } from '../../base/finding.ts';
import { SANLOCK_CODES } from '../../wire/sanlock/codes.ts';
import type { GuardReport, GuestReport, LeaseReport } from '../report.ts';
import { reportFindings } from './report-findings.ts';

const LEASE: LeaseReport = {
  ...{ name: 'a'.repeat(32), mode: 'exclusive', key: '/srv/a.img', target: 'vda' },
  held: 'exclusive',
};
const GUEST: GuestReport = {
  ...{ uuid: '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10', name: 'web', keeperPid: 10, qemuPid: 20 },
  ...{ isRunning: true, migration: null, waitsFor: null, leases: [LEASE] },
};
const REPORT: GuardReport = {
  ...{ hostId: 1, leaseDir: '/srv/leases', lockspaceCode: 0, guests: [GUEST] },
};

function kinds(report: Partial<GuardReport>): readonly string[] {
  return reportFindings({ ...REPORT, ...report }).map(({ kind, weight }) => `${weight} ${kind}`);
}

function ofGuest(guest: Partial<GuestReport>): readonly string[] {
  return kinds({ guests: [{ ...GUEST, ...guest }] });
}

function ofLease(lease: Partial<LeaseReport>, guest: Partial<GuestReport> = {}) {
  return ofGuest({ ...guest, leases: [{ ...LEASE, ...lease }] });
}

test('a guard whose guests have their leases needs no attention', () => {
  assert.deepEqual(reportFindings(REPORT), []);
  assert.deepEqual(ofLease({ mode: 'shared', held: 'shared' }), []);
  assert.deepEqual(ofLease({ held: 'lent' }, { migration: 'out' }), []);
  assert.deepEqual(ofLease({ held: null }, { qemuPid: null, waitsFor: 'start' }), []);
  assert.deepEqual(ofGuest({ keeperPid: null, leases: [] }), []);
});

test('a guard outside of its lockspace says why, and what to do', () => {
  assert.deepEqual(kinds({ lockspaceCode: null }), ['caution lockspaceNotAsked']);
  const of = (lockspaceCode: number) => reportFindings({ ...REPORT, lockspaceCode })[0];
  const busy = of(SANLOCK_CODES.HOSTID_BUSY);
  assert.match(`${busy?.found}`, /HOSTID_BUSY \(-\d+\): another host uses that host id/);
  assert.match(`${busy?.cure}`, /give this host another host_id than 1/);
  assert.match(`${of(-111)?.cure}`, /systemctl start sanlock/);
  assert.match(`${of(-13)?.cure}`, /let the user of sanlock use the lease directory/);
  assert.match(`${of(-5)?.cure}`, /see the log of sanlock/);
});

test('a guest whose leases are not what they should be', () => {
  assert.deepEqual(ofGuest({ keeperPid: null }), ['problem guestWithoutKeeper']);
  assert.deepEqual(ofLease({ held: null }), ['problem leaseNotHeld']);
  assert.deepEqual(ofLease({ held: 'orphan' }), ['caution leaseOrphaned']);
  assert.deepEqual(ofLease({ held: 'shared' }), ['caution leaseStillShared']);
  const [found] = reportFindings({
    ...REPORT,
    guests: [{ ...GUEST, leases: [{ ...LEASE, held: null }] }],
  });
  assert.ok(found !== undefined && needsAttention([found]));
  assert.match(found.found, /^the lease of disk vda of guest web \(\/srv\/a\.img\) is not held/);
});
