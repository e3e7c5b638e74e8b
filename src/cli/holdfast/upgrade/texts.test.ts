import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Obstacle } from '../../../inspect/restart/restart-verdict.ts';
import { keptText, missingText, obstacleText } from './texts.ts';

const LEFT = { wholeS: 80, leftS: 39, wantedS: 40 };

test('each obstacle is one sentence', () => {
  const cases: readonly (readonly [Obstacle, RegExp])[] = [
    [
      { kind: 'renewedLongAgo', lockspace: 'LS', ...LEFT },
      /^lockspace LS was renewed 41 s ago, 39 s of 80 are left, and a restart wants 40: its storage/,
    ],
    [
      { kind: 'expiryNear', client: 'sanlock_LS:1', ...LEFT },
      /^the expiry of sanlock_LS:1 at wdmd was renewed 41 s ago, 39 s of 80 are left/,
    ],
    [{ kind: 'silent', daemon: 'wdmd', pid: 0 }, /^wdmd runs and does not answer/],
    [{ kind: 'unseen', daemon: 'wdmd' }, /^the process of wdmd is not to be seen from here/],
    [{ kind: 'notRunning', daemon: 'wdmd' }, /^wdmd does not run here$/],
    [
      { kind: 'silent', daemon: 'sanlock', pid: 7 },
      /^sanlock \(pid 7\) runs and does not answer: see its log$/,
    ],
    [
      { kind: 'original', daemon: 'sanlock', pid: 7 },
      /^the sanlock that runs \(pid 7\) is the ori/,
    ],
    [
      { kind: 'foreignClient', client: 'fence_sanlockd', pid: 8 },
      /^fence_sanlockd \(pid 8\), a client of wdmd that is not of holdfast, would give up/,
    ],
    [{ kind: 'wdmdAbsent' }, /^wdmd does not run, and sanlock relies on it/],
    [{ kind: 'wdmdOriginal', pid: 5 }, /^the wdmd under sanlock \(pid 5\) is the original/],
    [
      { kind: 'lockspaceMoves', lockspace: 'LS', phase: 'joining' },
      /^lockspace LS is being joined or resumed: wait for it$/,
    ],
    [
      { kind: 'clientDied', client: 'sanlock_LS:1', leftS: 68 },
      /^sanlock_LS:1 has lost its connection to wdmd, which resets .* back within 68 s: wait for it$/,
    ],
    [
      { kind: 'leasesMove', lockspace: 'LS', lease: 'vm8', others: 2 },
      /^the lease LS:vm8 and 2 more are being acquired, recovered or released$/,
    ],
  ];
  for (const [obstacle, sentence] of cases) assert.match(obstacleText(obstacle), sentence);
});

test('what was carried over, and what was not', () => {
  assert.equal(
    keptText({ kind: 'lockspace', lockspace: 'LS', leases: 4, holders: 1 }),
    'lockspace LS: 4 leases of 1 holder',
  );
  assert.equal(keptText({ kind: 'expiries', clients: 1 }), 'the expiry of 1 client');
  assert.equal(keptText({ kind: 'vgs', vgs: 1, locks: 3 }), '1 VG with 3 LV locks');
  assert.equal(
    missingText({ kind: 'lease', lockspace: 'LS', lease: 'b' }),
    'the lease LS:b is not held any more',
  );
  assert.equal(
    missingText({ kind: 'joinedAnew', lockspace: 'LS', generation: '4' }),
    'lockspace LS was joined anew (generation 4)',
  );
});
