import assert from 'node:assert/strict';
import { test } from 'node:test';
import { devicePlaces, type LvSegment } from './pv-extents.ts';

const MIB = 1 << 20;
const segment = (startExtent: number, extents: number, ranges: string): LvSegment => ({
  ...{ type: 'linear', startExtent, extents, ranges },
});
const layout = (...segments: readonly LvSegment[]) => ({
  ...{ segments, extentBytes: 4 * MIB },
  firstExtentAt: new Map([
    ['/dev/sda', MIB],
    ['/dev/sdb', 2 * MIB],
  ]),
});

test('bytes of an LV are found on its PVs, over the end of a piece too', () => {
  const two = layout(segment(0, 1, '/dev/sda:10-10'), segment(1, 63, '/dev/sdb:0-62'));
  assert.deepEqual(devicePlaces(two, 0, MIB), {
    ok: true,
    value: [{ device: '/dev/sda', offset: 41 * MIB, length: MIB }],
  });
  assert.deepEqual(devicePlaces(two, 3 * MIB, 2 * MIB), {
    ok: true,
    value: [
      { device: '/dev/sda', offset: 44 * MIB, length: MIB },
      { device: '/dev/sdb', offset: 2 * MIB, length: MIB },
    ],
  });
});

test('what is not there, of another type, or on a missing PV is not guessed', () => {
  const one = segment(0, 1, '/dev/sda:0-0');
  const cases: readonly (readonly [LvSegment, RegExp])[] = [
    [segment(0, 1, '[unknown]:0-0'), /\[unknown\]:0-0, cannot be read directly/],
    [segment(0, 1, '/dev/sdc:0-0'), /cannot be read directly/],
    [{ ...one, type: 'striped' }, /striped/],
    [segment(1, 1, '/dev/sda:0-0'), /ends before byte 0/],
  ];
  for (const [piece, why] of cases) {
    const places = devicePlaces(layout(piece), 0, MIB);
    assert.match(places.ok ? '' : places.error, why);
  }
  const places = devicePlaces(layout(one), 0, 5 * MIB);
  assert.match(places.ok ? '' : places.error, /ends before byte 4194304/);
});
