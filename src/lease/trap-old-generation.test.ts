import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { MIB } from '../base/units.ts';
import { GEOMETRY_512_1M } from '../format/geometry.ts';
import { acquaint, HARNESS_PLACE, ProcedureHarness } from '../sim/procedure-harness.ts';
import { paxosAcquire } from './paxos-acquire.ts';

const FOLDER = `${process.env['HOLDFAST_ROOT']}/test/vectors/ondisk/`;
const IMAGE = `${FOLDER}trap-old-generation-512-1M.img.gz`;
const WISH = {
  shared: false,
  ownerNowait: true,
  wantedLver: null,
  newNumHosts: null,
  guess: { geometry: GEOMETRY_512_1M, numHosts: 2000 },
};

test('the proposal of a former membership, recorded now, is not a lease of this one', () => {
  const harness = new ProcedureHarness(1);
  harness.join(1);
  const one = harness.join(1); // generation 2
  const two = harness.join(2);
  acquaint([one, two]);
  assert.equal(one.generation, 2n);
  harness.disks.resource.set(
    new Uint8Array(gunzipSync(readFileSync(IMAGE))).subarray(MIB, 2 * MIB),
  );
  const place = { ...HARNESS_PLACE, resourceName: 'RA' };

  const got = one.run(paxosAcquire(one.member(), place, WISH));
  assert.ok(got.ok);
  assert.equal(got.value.leader.lver, 2n, 'version 1 went to generation 1; ours is the next');
  assert.equal(got.value.leader.ownerGeneration, 2n);

  const rival = two.run(paxosAcquire(two.member(), place, WISH));
  assert.ok(!rival.ok);
  assert.equal(rival.error.error.code, 'ACQUIRE_IDLIVE');
});
