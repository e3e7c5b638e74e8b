import { beginning, conversion, ending } from './life-of-a-vg.ts';
import { manyLvs, plainLvs, stackedLvs } from './life-of-lvs.ts';
import { ONE_VG, ofWholeLife, testHosts } from './life-pair.ts';

testHosts(
  'the life of a shared VG, on a host of ours and one of the originals',
  { ...ONE_VG, seats: ['ours', 'original'] },
  [...beginning, ...plainLvs, ...stackedLvs, ...ofWholeLife(manyLvs), ...conversion, ...ending],
);
