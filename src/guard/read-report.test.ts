import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readGuardReport } from './read-report.ts';
import type { GuardReport } from './report.ts';

const REPORT: GuardReport = {
  ...{ hostId: 1, leaseDir: '/srv/leases', lockspaceCode: null },
  guests: [
    {
      ...{ uuid: '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10', name: 'web' },
      ...{ keeperPid: 10, qemuPid: null, isRunning: true, migration: 'out', waitsFor: 'start' },
      leases: [{ name: 'a'.repeat(32), mode: 'exclusive', key: '/x', target: 'vda', held: 'lent' }],
    },
  ],
};

function refusal(change: (report: Record<string, unknown>) => void): string {
  const report = JSON.parse(JSON.stringify(REPORT)) as Record<string, unknown>;
  change(report);
  const read = readGuardReport(JSON.stringify({ report }));
  assert.ok(!read.ok, 'it is refused');
  return read.error;
}

test('a report is read as it was sent, and what is not known is left out', () => {
  const line = JSON.stringify({ report: { ...REPORT, later: 1 }, other: true });
  const read = readGuardReport(line);
  assert.ok(read.ok);
  assert.deepEqual(read.value, REPORT);
});

test('what is no report is refused with its place', () => {
  const of = (line: string) => {
    const read = readGuardReport(line);
    return read.ok ? null : read.error;
  };
  assert.equal(of('{'), 'the answer of the guard is no JSON');
  assert.equal(of('null'), 'the answer is null, wanted an object');
  assert.equal(of('[]'), 'the answer is [], wanted an object');
  assert.equal(of('{"text":null}'), 'the answer.report is missing, wanted an object');
  const changed = [
    ['hostId', '1', 'the answer.report.hostId is "1", wanted a whole number'],
    ['hostId', 1.5, 'the answer.report.hostId is 1.5, wanted a whole number'],
    ['leaseDir', null, 'the answer.report.leaseDir is null, wanted a text'],
    ['guests', {}, 'the answer.report.guests is {}, wanted a list'],
    ['guests', [1], 'the answer.report.guests[0] is 1, wanted an object'],
  ] as const;
  for (const [key, value, sentence] of changed) {
    assert.equal(
      refusal((report) => Object.assign(report, { [key]: value })),
      sentence,
    );
  }
  const guest = (value: object) =>
    refusal((report) => Object.assign((report['guests'] as object[])[0] ?? {}, value));
  assert.match(guest({ migration: 'up' }), /guests\[0\]\.migration is "up", wanted out or in$/);
  assert.match(guest({ isRunning: 1 }), /isRunning is 1, wanted true or false$/);
  assert.match(guest({ leases: [{}] }), /leases\[0\]\.name is missing, wanted a text$/);
  assert.match(guest({ name: 'x'.repeat(20_000) }), /name is longer than 16384$/);
  assert.match(guest({ leases: Array(6000).fill(1) }), /leases has 6000 items, more than 5000$/);
});
