import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GEOMETRY_512_1M } from '../format/geometry.ts';
import { hasHostBit } from '../format/host-bitmap.ts';
import { HARNESS_LOCKSPACE, ProcedureHarness } from '../sim/procedure-harness.ts';
import { deltaAcquire } from './delta-acquire.ts';
import { deltaRenew } from './delta-renew.ts';

const PLACE = {
  lockspaceName: HARNESS_LOCKSPACE,
  offset: 0,
  hostId: 1,
  hostName: 'host-1',
  ioTimeoutS: 10,
  aborted: () => false,
};

test('whatever hosts a renewal is to call, its record is sound and the next one succeeds', () => {
  const harness = new ProcedureHarness();
  const one = harness.join(1);
  const joined = one.run(deltaAcquire(PLACE, GEOMETRY_512_1M));
  assert.ok(joined.ok);
  let hold = joined.value;
  for (const hostBits of [[4294965249], [0, -1, -1600, 2049, 2 ** 53], [3, 4294965249, 2000], []]) {
    const renewal = {
      hold,
      lastWriteLanded: true,
      readTimeoutMs: 1000,
      hostBits,
      event: null,
      observe: () => {},
    };
    const renewed = one.run(deltaRenew(PLACE, renewal));
    assert.ok(
      renewed.ok,
      JSON.stringify(renewed, (_, value) => String(value)),
    );
    hold = renewed.value.hold;
    for (const hostId of hostBits) {
      const isHost = hostId >= 1 && hostId <= 2000;
      assert.equal(hasHostBit(harness.disks.lockspace, 0, hostId), isHost, `${hostId}`);
    }
  }
});
