import { beginning, conversion, ending } from './life-of-a-vg.ts';
import { manyLvs, plainLvs, stackedLvs } from './life-of-lvs.ts';
import { globalLocks } from './life-of-the-global-lock.ts';
import { ONE_VG, testHosts } from './life-pair.ts';

testHosts(
  'the life of a shared VG, on two hosts of ours',
  { ...ONE_VG, seats: ['ours', 'ours'], isLong: true },
  [...beginning, ...plainLvs, ...stackedLvs, ...manyLvs, ...conversion, ...ending, ...globalLocks],
);
