import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SECOND_MS } from '../base/units.ts';
import { decode } from '../codec/struct.ts';
import { deltaLeaseOffset } from '../format/geometry.ts';
import { type DeltaLeader, deltaLeader, encodeDeltaLeader } from '../format/leader.ts';
import { HARNESS_LOCKSPACE, ProcedureHarness } from '../sim/procedure-harness.ts';
import { deltaResume } from './delta-resume.ts';
import { leaseTimes } from './lease-times.ts';

const HOST = 3;
const IO_TIMEOUT_S = 10;
const { renewalFailMs } = leaseTimes(IO_TIMEOUT_S);

/** What becomes of the membership of host 3, whose last known renewal was `agoMs` ago. */
function resumed(
  agoMs: number,
  change: (record: DeltaLeader) => Partial<DeltaLeader> = () => ({}),
): string {
  const harness = new ProcedureHarness(IO_TIMEOUT_S);
  const host = harness.join(HOST);
  const at = deltaLeaseOffset(harness.geometry, HOST);
  const record = decode(deltaLeader, harness.disks.lockspace, at);
  encodeDeltaLeader({ ...record, ...change(record) }, harness.disks.lockspace, at);
  harness.nowMs = Number(record.timestampS) * SECOND_MS + agoMs;
  host.fate = () => assert.fail('nothing is written');
  const place = {
    ...{ lockspaceName: HARNESS_LOCKSPACE, offset: 0, hostId: HOST, hostName: `host-${HOST}` },
    ...{ ioTimeoutS: IO_TIMEOUT_S, aborted: () => false },
  };
  const left = { generation: record.ownerGeneration, timestampS: Number(record.timestampS) };
  const result = host.run(deltaResume(place, harness.geometry, left));
  return result.ok ? `resumed, ${result.value.leader.ownerGeneration}` : result.error.code;
}

test('a membership is resumed while its record stands as it was left, and not a moment too late', () => {
  assert.equal(resumed(0), 'resumed, 1');
  assert.equal(resumed(renewalFailMs - 1), 'resumed, 1');
  assert.equal(resumed(renewalFailMs), 'HOSTID_BUSY');
  const later = (s: bigint) => (record: DeltaLeader) => ({ timestampS: record.timestampS + s });
  assert.equal(resumed(5000, later(3n)), 'resumed, 1', 'a renewal that was not reported');
  assert.equal(resumed(5000, later(-50n)), 'resumed, 1', 'a refused one that landed late');
  assert.equal(resumed(5000, later(6n)), 'RENEW_DIFF', 'from the future');
  assert.equal(resumed(5000, later(-61n)), 'RENEW_DIFF');
});

test('another record is left alone', () => {
  assert.equal(
    resumed(0, () => ({ timestampS: 0n })),
    'RENEW_DIFF',
  );
  assert.equal(
    resumed(0, () => ({ hostName: 'another' })),
    'RENEW_OWNER',
  );
  assert.equal(
    resumed(0, ({ ownerGeneration }) => ({ ownerGeneration: ownerGeneration + 1n })),
    'RENEW_OWNER',
  );
  assert.equal(
    resumed(0, () => ({ ioTimeoutS: 20 })),
    'RENEW_DIFF',
  );
});
