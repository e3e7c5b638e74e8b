import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Attention, attentionIn } from './attention.ts';
import type { Snapshot } from './snapshot.ts';
import { healthySnapshot, lockspace, lv, vg } from './testing/snapshots.ts';

const kinds = (snapshot: Snapshot) => attentionIn(snapshot).map(({ kind }) => kind);

test('a healthy host needs nobody, and neither does one that runs nothing', () => {
  assert.deepEqual(kinds(healthySnapshot()), []);
  const daemons = healthySnapshot().daemons.map((one) => ({ ...one, state: 'absent' as const }));
  const watchdog = { state: 'off', why: 'sanlockAbsent' } as const;
  assert.deepEqual(kinds(healthySnapshot({ daemons, watchdog, lockspaces: [], vgs: [] })), []);
});

test('everything that needs somebody is seen', () => {
  const daemons = healthySnapshot().daemons;
  const changed = (name: string, state: 'silent' | 'absent') =>
    daemons.map((one) => (one.name === name ? { ...one, state } : one));
  const cases: readonly (readonly [Partial<Snapshot>, readonly Attention['kind'][]])[] = [
    [{ daemons: changed('sanlock', 'silent') }, ['daemonSilent']],
    [{ daemons: changed('lvmlockd', 'absent') }, ['daemonAbsent']],
    [{ daemons: changed('sanlock', 'absent') }, ['daemonAbsent']],
    [{ watchdog: { state: 'off', why: 'notUsed' } }, ['noWatchdog']],
    [{ lockspaces: [lockspace({ phase: 'failing' })] }, ['lockspaceFailing']],
    [{ lockspaces: [lockspace({ ageS: 41 })] }, ['lockspaceLate']],
    [{ lockspaces: [lockspace({ ageS: 40 })] }, []],
    [{ lockspaces: [lockspace({ phase: 'joining', failS: 0 })] }, []],
    [{ vgs: [vg({ trouble: 'killed' })] }, ['vgLost']],
    [{ vgs: [vg({ trouble: 'starting', isStarted: false, hasGlobalLock: null })] }, []],
    [{ vgs: [vg({ lvs: [lv({ trouble: 'otherSize' })] })] }, ['lvTrouble']],
    [{ vgs: [vg({ lvs: [lv({ lockHere: null })] })] }, ['vgWithoutLocks']],
    [{ vgs: [vg({ lvs: [lv({ lockHere: null, lockArgs: '' })] })] }, []],
    [{ vgs: [vg({ lvs: [lv({ lockHere: null, name: 'fast_cvol' })] })] }, []],
    [
      { vgs: [vg({ lvs: [lv({ lockHere: null })] })], daemons: changed('lvmlockd', 'silent') },
      ['daemonSilent'],
    ],
    [{ vgs: [vg({ hasGlobalLock: false })] }, ['noGlobalLock']],
    [{ vgs: [vg(), vg({ name: 'vg1' })] }, ['twoGlobalLocks']],
    [{ vgs: [vg({ hasGlobalLock: false }), vg({ name: 'vg1', hasGlobalLock: null })] }, []],
  ];
  for (const [change, wanted] of cases) {
    assert.deepEqual(kinds(healthySnapshot(change)), wanted, JSON.stringify(change).slice(0, 200));
  }
});
