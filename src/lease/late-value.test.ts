import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GEOMETRY_512_1M, LVB_SECTOR } from '../format/geometry.ts';
import { acquaint, LAB_HOSTS, LAB_PLACE, Lab } from '../sim/lab.ts';
import { convertToShared } from './convert.ts';
import { paxosAcquire } from './paxos-acquire.ts';
import { paxosRelease } from './paxos-release.ts';

const WISH = {
  shared: false,
  ownerNowait: true,
  wantedLver: null,
  newNumHosts: null,
  guess: { geometry: GEOMETRY_512_1M, numHosts: LAB_HOSTS },
};
const LVB_OFFSET = LVB_SECTOR * 512;

// The value of a conversion that failed must not land over the value of the next holder.
test('a lease is not let go while a value block we sent may still land', () => {
  const lab = new Lab();
  const [one, two] = [lab.join(1), lab.join(2)];
  acquaint([one, two]);
  const got = one.run(paxosAcquire(one.member(), LAB_PLACE, WISH));
  assert.ok(got.ok);

  one.fate = ({ offset }) => (offset === LVB_OFFSET ? 'late' : 'done');
  const value = new Uint8Array(512).fill(7);
  assert.equal(one.run(convertToShared(one.member(), got.value, value)).ok, false);

  const release = one.task(paxosRelease(one.member(), got.value, { lvb: null, rename: null }));
  release.advance(3);
  assert.equal(two.run(paxosAcquire(two.member(), LAB_PLACE, WISH)).ok, false);
  one.land();
  assert.ok(release.run().ok);
  assert.equal(lab.disks.resource[LVB_OFFSET], 7);
  assert.ok(two.run(paxosAcquire(two.member(), LAB_PLACE, WISH)).ok);
});
