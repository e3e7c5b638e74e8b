import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HeldMode, OK, type SpaceNotices } from './managers/manager.ts';
import { type ActiveLvReply, done, type ProgramReply } from './managers/steps.ts';
import { type Inspection, inspectVg } from './vg-inspection.ts';

const MIB = 1024 * 1024;
const VG = 'v'.repeat(32);
const VG_UUID = 'vvvvvv-vvvv-vvvv-vvvv-vvvv-vvvv-vvvvvv';

/** An LV's uuid from one letter. */
const uuid = (letter: string) => letter.repeat(32);
const dashed = (letter: string) => [6, 4, 4, 4, 4, 4, 6].map((n) => letter.repeat(n)).join('-');

interface Lv {
  readonly letter: string;
  readonly sizeMib: number;
  /** As `lvs` shows it. */
  readonly name?: string;
  readonly args?: string;
}

/** One host: its devices, what the disk says, and the programs that it runs. */
class Host {
  devices: ActiveLvReply[] = [];
  metadata: readonly Lv[] = [];
  /** As read under the VG's lock, if it differs. */
  lockedMetadata: readonly Lv[] | null = null;
  readonly locks = new Map<string, HeldMode>();
  readonly ran: string[] = [];
  /** Device-mapper refuses to remove what is open. */
  readonly open = new Set<string>();
  refreshes: ProgramReply = { status: 0, output: '', trouble: '' };
  reads: ProgramReply | null = null;
  /** When the metadata has been read under the lock. */
  whenLocked: () => void = () => {};

  active(letter: string, sizeMib: number, more: Partial<ActiveLvReply> & { suffix?: string } = {}) {
    const { suffix = '', ...facts } = more;
    this.devices.push({
      deviceName: `vg-${letter}${suffix}`,
      deviceUuid: `LVM-${VG}${uuid(letter)}${suffix}`,
      vgUuid: VG,
      lvUuid: uuid(letter),
      sizeBytes: sizeMib * MIB,
      isHeld: false,
      ...facts,
    });
  }

  inspect(wanted: readonly string[] = [], comparedWith: string | null = null): Inspection {
    const notices: SpaceNotices = {
      tell: () => done(OK),
      shownMs: 60_000,
      devices: () => done([...this.devices]),
    };
    const order = { vgName: 'vg', notices, locks: () => this.locks, wanted, comparedWith };
    const steps = inspectVg(order);
    let turn = steps.next({ kind: 'slept' });
    while (!turn.done) {
      assert.equal(turn.value.kind, 'program');
      const { words } = turn.value as { words: readonly string[] };
      turn = steps.next({ kind: 'program', ...this.#program(words) });
    }
    return turn.value;
  }

  #program(words: readonly string[]): ProgramReply {
    const [program, command] = words;
    const isLocked = command === 'lvs' && !words.includes('--nolocking');
    this.ran.push(command === 'lvs' ? `lvs${isLocked ? ' locked' : ''}` : words.join(' '));
    if (command === 'lvs') {
      if (isLocked) this.whenLocked();
      const lvs = isLocked ? (this.lockedMetadata ?? this.metadata) : this.metadata;
      return this.reads ?? { status: 0, output: report(lvs), trouble: '' };
    }
    if (program === 'lvm') {
      for (const lv of this.metadata) {
        if (!words.includes(`vg/${lv.name ?? lv.letter}`) || this.refreshes.status !== 0) continue;
        this.devices = this.devices.map((one) =>
          one.lvUuid === uuid(lv.letter) ? { ...one, sizeBytes: lv.sizeMib * MIB } : one,
        );
      }
      return this.refreshes;
    }
    const deviceUuid = words.at(-1) ?? '';
    if (this.open.has(deviceUuid)) return { status: 1, output: '', trouble: 'busy' };
    this.devices = this.devices.filter((one) => one.deviceUuid !== deviceUuid);
    return { status: 0, output: '', trouble: '' };
  }
}

function report(lvs: readonly Lv[]): string {
  return lvs
    .map(
      ({ letter, sizeMib, name = letter, args = '' }) =>
        `  ${dashed(letter)}:${VG_UUID}:${sizeMib * MIB}:${args}:${name}\n`,
    )
    .join('');
}

const LEASED = { args: '1.0.0:70254592' };
const inspectedBy = (found: Inspection) => {
  assert.equal(found.kind, 'inspected');
  return found as Extract<Inspection, { kind: 'inspected' }>;
};
const REFRESH = 'lvm lvchange --refresh --partial';

test('a shared LV whose size is not that of the metadata is refreshed, and its size compared', () => {
  const host = new Host();
  host.metadata = [{ letter: 'a', sizeMib: 16, ...LEASED }];
  host.active('a', 8);
  host.locks.set(uuid('a'), 'sh');
  const { refreshed, sizes, findings } = inspectedBy(host.inspect());
  assert.deepEqual(host.ran, ['lvs', `${REFRESH} vg/a`, 'lvs']);
  const [one] = refreshed;
  assert.deepEqual(
    [one?.fromBytes, one?.toBytes, one?.wantedBytes],
    [8, 16, 16].map((n) => n * MIB),
  );
  assert.deepEqual(sizes, new Map([[uuid('a'), 16 * MIB]]));
  assert.deepEqual(findings, []);
});

test('an LV that another host names is refreshed whatever its size, if it is active here', () => {
  const host = new Host();
  host.metadata = ['a', 'b', 'c'].map((letter) => ({ letter, sizeMib: 8, ...LEASED }));
  host.active('a', 8);
  host.active('b', 8);
  for (const letter of ['a', 'b']) host.locks.set(uuid(letter), 'sh');
  inspectedBy(host.inspect(['bbbbbbbb', 'cccccccc']));
  assert.deepEqual(host.ran, ['lvs', `${REFRESH} vg/b`, 'lvs']);
  host.locks.set(uuid('a'), 'ex');
  host.ran.length = 0;
  inspectedBy(host.inspect(['']));
  assert.deepEqual(host.ran, ['lvs', `${REFRESH} vg/b`, 'lvs'], 'all that are shared here');
});

test('an exclusive LV, a hidden one and a layer below are not refreshed for their size', () => {
  const host = new Host();
  host.metadata = [
    { letter: 'a', sizeMib: 16, ...LEASED },
    { letter: 'h', sizeMib: 16, name: '[h]' },
  ];
  host.active('a', 8);
  host.active('h', 8);
  host.active('a', 4, { suffix: '-real', isHeld: true });
  host.locks.set(uuid('a'), 'ex').set(uuid('h'), 'sh');
  inspectedBy(host.inspect());
  assert.deepEqual(host.ran, ['lvs']);
});

test('a refresh that fails, or leaves the old size, is a finding', () => {
  const host = new Host();
  host.metadata = [{ letter: 'a', sizeMib: 16, ...LEASED }];
  host.active('a', 8);
  host.locks.set(uuid('a'), 'sh');
  host.refreshes = { status: 5, output: '', trouble: 'VG vg lock failed' };
  const { refreshed, findings } = inspectedBy(host.inspect());
  assert.equal(refreshed[0]?.trouble, 'VG vg lock failed');
  assert.deepEqual(
    findings.map(({ kind }) => kind),
    ['otherSize'],
  );
});

test('the mapping of an LV that the VG has no more is removed, unless it is used or locked', () => {
  for (const [how, removes] of [
    ['free', true],
    ['open', false],
    ['locked', false],
  ] as const) {
    const host = new Host();
    host.metadata = [{ letter: 'a', sizeMib: 8, ...LEASED }];
    host.active('g', 8);
    if (how === 'open') host.open.add(`LVM-${VG}${uuid('g')}`);
    if (how === 'locked') host.locks.set(uuid('g'), 'sh');
    const { removed, findings } = inspectedBy(host.inspect());
    assert.equal(removed.length, removes ? 1 : 0, how);
    assert.deepEqual(
      findings.map(({ kind }) => kind),
      removes ? [] : ['ghost'],
      how,
    );
    const asks = host.ran.some((words) => words.startsWith('dmsetup'));
    assert.equal(asks, how !== 'locked', `${how}: ${host.ran}`);
  }
});

test('nothing is removed that the metadata has under the lock, or that went or came meanwhile', () => {
  const making = new Host();
  making.active('n', 8);
  making.lockedMetadata = [{ letter: 'n', sizeMib: 8 }];
  assert.deepEqual(inspectedBy(making.inspect()).removed, []);

  const removing = new Host();
  removing.metadata = [{ letter: 'a', sizeMib: 8 }];
  removing.active('r', 8);
  removing.whenLocked = () => {
    removing.devices = [];
    removing.active('s', 8); // not seen before
  };
  assert.deepEqual(inspectedBy(removing.inspect()).findings, []);
  assert.deepEqual(removing.ran, ['lvs', 'lvs locked']);
});

test('metadata of another VG of that name, or that cannot be read, removes nothing', () => {
  const other = new Host();
  other.metadata = [{ letter: 'a', sizeMib: 8 }];
  other.active('g', 8, { vgUuid: 'w'.repeat(32) });
  assert.deepEqual(inspectedBy(other.inspect()).removed, []);
  assert.deepEqual(other.ran, ['lvs', 'lvs locked']);
  for (const reads of [
    { status: 5, output: '', trouble: 'Volume group "vg" not found' },
    { status: 0, output: 'nonsense\n', trouble: '' },
    { status: null, output: '', trouble: 'it has not ended within 60000 ms' },
  ]) {
    const host = new Host();
    host.active('g', 8);
    host.reads = reads;
    assert.equal(host.inspect().kind, 'unread');
    assert.deepEqual(host.ran, ['lvs']);
  }
});

test('a mapping with another one above it is left until that one is gone', () => {
  const host = new Host();
  host.metadata = [{ letter: 'a', sizeMib: 8 }];
  host.active('g', 8);
  host.active('g', 8, { suffix: '-real', isHeld: true });
  assert.equal(inspectedBy(host.inspect()).removed.length, 1);
  assert.deepEqual(
    host.devices.map(({ deviceName }) => deviceName),
    ['vg-g-real'],
  );
});

test('an LV with a lease that is active without its lock is a finding, a thin LV is not', () => {
  const host = new Host();
  host.metadata = [
    { letter: 'a', sizeMib: 8, ...LEASED },
    { letter: 't', sizeMib: 8 },
    { letter: 'd', sizeMib: 8, ...LEASED, name: '[d]' },
  ];
  host.active('a', 8);
  host.active('t', 8);
  host.active('d', 8, { isHeld: true });
  const { findings } = inspectedBy(host.inspect());
  assert.deepEqual(findings, [{ kind: 'activeUnlocked', lvUuid: uuid('a'), device: 'vg-a' }]);
  host.locks.set(uuid('a'), 'ex');
  assert.deepEqual(inspectedBy(host.inspect()).findings, []);
});

test('the metadata is read again only for other suspects, and not at all without an LV', () => {
  const host = new Host();
  inspectedBy(host.inspect());
  assert.deepEqual(host.ran, []);
  host.metadata = [{ letter: 't', sizeMib: 8 }];
  host.active('t', 8);
  const { comparedWith } = inspectedBy(host.inspect());
  assert.deepEqual(host.ran, ['lvs']);
  assert.equal(inspectedBy(host.inspect([], comparedWith)).comparedWith, null);
  assert.deepEqual(host.ran, ['lvs']);
  host.active('u', 8);
  host.inspect([], comparedWith);
  assert.equal(host.ran.length > 1, true);
});
