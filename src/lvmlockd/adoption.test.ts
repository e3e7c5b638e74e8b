import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readAdoptText } from './adopt.ts';
import { nextTickMs } from './daemon.ts';
import type { AdoptedLock, FoundSpace } from './managers/manager.ts';
import { Harness } from './testing/harness.ts';

const UUIDS = ['u1-11', 'u2-22', 'u3-33'] as const;
const [LV1, LV2, LV3] = UUIDS;
const FOUND: FoundSpace = { vgName: 'a', vgUuid: '', vgLockArgs: '1.0.0:lvmlock', hostId: 7 };

function fileOf(...lvs: readonly string[]): string {
  const vg = 'VG: vguuid a sanlock 1.0.0:lvmlock';
  const lines = lvs.map((lv) => `LV: vguuid ${lv} 1.0.0:70254592 ex 0`);
  return ['lvmlockd adopt_version 1.0 pid 5', vg, ...lines, ''].join('\n');
}

function orphan(name: string, mode: 'sh' | 'ex' = 'ex'): AdoptedLock {
  return { resource: { scope: 'lv', name, lvLockArgs: '1.0.0:70254592' }, mode };
}

interface World {
  readonly orphans?: readonly AdoptedLock[];
  /** null: there is no device-mapper. */
  readonly active?: readonly string[] | null;
  readonly file?: string;
  readonly set?: (harness: Harness) => void;
}

/** A daemon that is started after another one was killed. */
function restarted({ orphans = [], active = null, file = fileOf(), set }: World): Harness {
  return new Harness({
    adoptFile: file,
    found: [FOUND],
    set: (harness) => {
      harness.fake.adopted = orphans;
      harness.fake.activeLvs = active?.map((name) => name.replaceAll('-', '')) ?? null;
      set?.(harness);
    },
  });
}

function modes(harness: Harness): readonly string[] {
  const [lockspace] = harness.state.lockspaces;
  const lvs = lockspace?.resources.filter(({ ref, mode }) => ref.scope === 'lv' && mode !== 'un');
  return (lvs ?? []).map(({ ref, mode }) => `${ref.name} ${mode}`);
}

function pass(harness: Harness): void {
  const dueMs = nextTickMs(harness.state);
  assert.ok(dueMs !== null);
  harness.passTo(dueMs);
}

test('the adopt file is read as the original writes it', () => {
  const text = [
    'lvmlockd adopt_version 1.0 pid 5904 updates 3 Sat Nov 21 00:06:51 2026',
    '# a comment',
    'VG:  uuid-of-a a sanlock 1.0.0:lvmlock',
    'VG:          . b sanlock 1.0.0:lvmlock',
    'LV:  uuid-of-a lv-of-a 1.0.0:70254592 ex 0',
    'LV:          . lv-of-b 1.0.0:71303168 sh 0',
    'LV:  uuid-of-c lv-of-c 1.0.0:71303168 ex 0',
    'LV:  uuid-of-a broken',
    '',
  ].join('\n');
  const { vgs, unread } = readAdoptText(text);
  const found = [...vgs.values()].map(({ vgName, vgUuid, locks }) => {
    const lvs = locks.map(({ resource: r, mode }) => `${r.name} ${r.lvLockArgs} ${mode}`);
    return [vgName, vgUuid, ...lvs];
  });
  assert.deepEqual(found, [
    ['a', 'uuid-of-a', 'lv-of-a 1.0.0:70254592 ex'],
    ['b', '', 'lv-of-b 1.0.0:71303168 sh'],
  ]);
  assert.equal(unread, 2, 'an LV of no VG, and one without its mode');
});

test('an adopt file that was cut anywhere is used as far as it goes, and adoption goes on', () => {
  const text = fileOf(LV1, LV2);
  for (let length = 0; length < text.length; length++) {
    const harness = restarted({
      orphans: [orphan(LV1)],
      active: [LV1],
      file: text.slice(0, length),
    });
    assert.deepEqual(modes(harness), [`${LV1} ex`], `cut at ${length}`);
    const isWhole = length === 0 || text[length - 1] === '\n';
    const said = harness.logged.filter((event) => event === 'adoptFile.damaged').length;
    assert.equal(said, isWhole ? 0 : 1, `cut at ${length}`);
  }
  const noise = restarted({ orphans: [orphan(LV1)], file: `\0\0\0\n${text}LV: x\nVG: y\n` });
  assert.deepEqual(modes(noise), [`${LV1} ex`]);
  assert.equal(noise.logged.filter((event) => event === 'adoptFile.damaged').length, 1);
});

test('more LVs than requests may name are adopted, and said in a few lines', () => {
  const names = Array.from({ length: 12_000 }, (_, n) => `lv-${n}`);
  const active = names.slice(0, 11_000);
  const orphans = names.slice(0, 10_500).map((name) => orphan(name));
  const sinceMs = performance.now();
  const harness = restarted({ orphans, active, file: fileOf(...names) });
  assert.ok(performance.now() - sinceMs < 20_000);
  assert.equal(modes(harness).length, 11_000);
  const { logged } = harness;
  assert.ok(logged.includes('lock.adopted') && logged.includes('lock.retaken'));
  assert.ok(logged.length < 100, `${logged.length} lines`);
  while (nextTickMs(harness.state) !== null) pass(harness);
  assert.equal(modes(harness).length, 11_000, 'each is active');
});

test('orphans of active LVs are held; one of an inactive LV is released when it is not used', () => {
  const orphans = [orphan(LV1), orphan(LV2, 'sh'), orphan(LV3)];
  const harness = restarted({ orphans, active: [LV1] });
  assert.deepEqual(modes(harness), [`${LV1} ex`, `${LV2} sh`, `${LV3} ex`]);
  harness.open(1);
  const use = `vg_name="a" lv_uuid="${LV3}" lv_lock_args="1.0.0:70254592"`;
  const again = harness.ask(1, `request="lock_lv" mode="ex" opts="persistent" ${use}`);
  assert.equal(again, '-114 none', 'the command that was activating it has come back');
  while (nextTickMs(harness.state) !== null) pass(harness);
  assert.deepEqual(modes(harness), [`${LV1} ex`, `${LV3} ex`]);
  assert.deepEqual(harness.fake.did, [`unlock ${LV2}`]);
  assert.ok(harness.state.nowMs >= 30_000);
});

test('no lock is released while a part of its LV may be active already', () => {
  const harness = restarted({ orphans: [orphan(LV1), orphan(LV2)], active: [LV1, 'hidden'] });
  for (let n = 0; n < 4; n++) pass(harness);
  assert.ok(harness.state.nowMs >= 90_000);
  assert.deepEqual(modes(harness), [`${LV1} ex`, `${LV2} ex`]);
  harness.fake.activeLvs = [LV1.replaceAll('-', '')];
  while (nextTickMs(harness.state) !== null) pass(harness);
  assert.deepEqual(modes(harness), [`${LV1} ex`]);
});

test('without device-mapper every orphan is held, and the file proves nothing', () => {
  const harness = restarted({ orphans: [orphan(LV1)], file: fileOf(LV1, LV2) });
  while (nextTickMs(harness.state) !== null) pass(harness);
  assert.deepEqual(modes(harness), [`${LV1} ex`]);
  assert.deepEqual(harness.fake.did, []);
  assert.ok(!harness.logged.includes('lv.activeUnlocked'));
});

test('an LV that is active without a lock is locked again in the mode of the file', () => {
  const harness = restarted({ active: [LV1], file: fileOf(LV1, LV2) });
  assert.deepEqual(modes(harness), [`${LV1} ex`]);
  assert.ok(harness.logged.includes('lock.retaken'));
  assert.ok(!harness.logged.includes('lv.activeUnlocked'));
});

test('an LV that is active here and held by another host is an error', () => {
  const set = (harness: Harness) => {
    const refused = { result: -11, lmResult: -11, retry: false, version: 0, glEnabled: null };
    harness.fake.locks = [refused];
  };
  const harness = restarted({ active: [LV1], file: fileOf(LV1), set });
  assert.deepEqual(modes(harness), []);
  assert.ok(harness.logged.includes('lv.activeUnlocked'));
});

test('an LV that nobody remembers is reported if it has a lease; a hidden LV has none', () => {
  const withLease = (name: string) => (harness: Harness) => {
    const leased = { scope: 'lv', name, lvLockArgs: '1.0.0:70254592' } as const;
    harness.fake.leasedLvs = [leased];
  };
  const reported = (name: string) =>
    restarted({ active: [LV1], set: withLease(name) }).logged.includes('lv.activeUnlocked');
  assert.equal(reported(LV1), true);
  assert.equal(reported(LV2), false);
});

test('an orphan that sanlock does not hand over is an error, and not asked for again', () => {
  const set = (harness: Harness) => {
    harness.fake.notAdopted = [LV1];
  };
  const harness = restarted({ active: [LV1], file: fileOf(LV1), set });
  assert.ok(harness.logged.includes('lock.notAdopted'));
  assert.deepEqual(harness.fake.did, []);
});

test('a sanlock that comes later is waited for, and its lockspace adopted then', () => {
  const set = (harness: Harness) => {
    harness.fake.answers = false;
  };
  const harness = restarted({ orphans: [orphan(LV1)], file: fileOf(LV1), set });
  pass(harness);
  assert.equal(harness.state.lockspaces.length, 0);
  harness.fake.answers = true;
  pass(harness);
  assert.deepEqual(modes(harness), [`${LV1} ex`]);
  pass(harness);
  assert.equal(harness.state.adoption, null);
  assert.ok(!harness.logged.includes('lockspace.notAdopted'));
});

test('a join that fails is tried again until patience is over, and reported once', () => {
  const set = (harness: Harness) => {
    harness.fake.joinResult = -221;
  };
  const harness = restarted({ active: [LV1], file: fileOf(LV1), set });
  for (let n = 0; harness.state.adoption !== null && n < 100; n++) pass(harness);
  assert.deepEqual(
    harness.logged.filter((event) => event === 'lockspace.notAdopted' || event.includes('lv.')),
    ['lockspace.notAdopted', 'lv.activeUnlocked'],
  );
  assert.ok(harness.state.nowMs >= 80_000);
  assert.match(harness.adoptFile ?? '', new RegExp(`LV: .* ${LV1} `), 'the next one is told');
  harness.fake.joinResult = 0;
  harness.open(1);
  harness.start('a');
  assert.deepEqual(modes(harness), [`${LV1} ex`], 'its LV is locked when it is started');
  assert.equal(harness.state.remembered.size, 0);
});

test('leases that only an administrator can release are reported at once', () => {
  const set = (harness: Harness) => {
    harness.fake.joinResult = -16;
  };
  const harness = restarted({ file: fileOf(LV1), set });
  assert.ok(harness.logged.includes('lockspace.notAdopted'));
});

test('a VG that is dropped or stopped is not adopted any more', () => {
  const set = (harness: Harness) => {
    harness.fake.answers = false;
  };
  for (const request of ['drop_vg', 'stop_vg']) {
    const harness = restarted({ file: fileOf(LV1), set });
    harness.open(1);
    harness.ask(1, `request="${request}" vg_name="a"`);
    harness.fake.answers = true;
    harness.fake.found = [];
    while (harness.state.adoption !== null) pass(harness);
    assert.ok(!harness.logged.includes('lockspace.notAdopted'));
    assert.equal(harness.state.remembered.size, 0);
  }
});
