import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Diagnosis } from './diagnosis.ts';
import type { DoctorFacts, HostLease, LeaseArea } from './facts.ts';
import { doctorFindings } from './findings.ts';
import type { Kind } from './kinds.ts';
import { HEALTHY } from './testing/healthy-facts.ts';

type Change = Partial<DoctorFacts>;
type SnapshotChange = Partial<DoctorFacts['snapshot']>;

const [SPACE] = HEALTHY.snapshot.lockspaces;
const [VG] = HEALTHY.snapshot.vgs;
const [LV] = VG?.lvs ?? [];
const [AREA] = HEALTHY.areas;
const [MAPPING] = HEALTHY.mappings ?? [];
const [SLOTS] = HEALTHY.slots;
assert.ok(SPACE && VG && LV && AREA && MAPPING && SLOTS);

const snapshot = (change: SnapshotChange): Change => ({
  snapshot: { ...HEALTHY.snapshot, ...change },
});
const config = (change: Partial<DoctorFacts['config']>): Change => ({
  config: { ...HEALTHY.config, ...change },
});
const lvm = (change: object): Change =>
  config({ lvm: { ...(HEALTHY.config.lvm as object), ...change } as never });
const space = (change: object) => snapshot({ lockspaces: [{ ...SPACE, ...change }] });
const vg = (change: object) => snapshot({ vgs: [{ ...VG, ...change }] });
const area = (change: Partial<LeaseArea>): Change => ({ areas: [{ ...AREA, ...change }] });
const hostLease = (change: Partial<HostLease>, joined: LeaseArea['joined'] = null): Change => {
  const host = { hostId: 1, hostName: 'node1', generation: 3, timestampS: 4991, ioTimeoutS: 10 };
  const hosts = [{ ...host, isRenewed: null, watchedS: 0, damage: null, ...change }];
  const read = { kind: 'done', space: { maxHosts: 2000, hosts, damagedBlocks: [] } } as const;
  const unjoined = joined === null ? snapshot({ lockspaces: [] }) : {};
  return { ...area({ joined, read }), ...unjoined };
};
const daemon = (name: string, state: 'silent' | 'absent') => ({
  daemons: HEALTHY.snapshot.daemons.map((one) => (one.name === name ? { ...one, state } : one)),
});
const sanlockProcess = (change: object): Change => ({
  processes: HEALTHY.processes.map((one) => (one.name === 'sanlock' ? { ...one, ...change } : one)),
});
const unit = (change: object): Change => ({
  units: (HEALTHY.units ?? []).map((one) =>
    one.name === 'lvmlocks.service' ? { ...one, ...change } : one,
  ),
});
const mapping = (change: object): Change => ({ mappings: [{ ...MAPPING, ...change }] });

/** For each kind the facts that are other than on a healthy host. */
const FAULTS: Readonly<Record<Kind, Change>> = {
  lvmConfUnreadable: config({ lvm: 'Parse error at byte 26' }),
  lvmConfUnknownKey: config({ unknownLvmKeys: ['global/frob'] }),
  lvmWithoutLvmlockd: config({ hasLvmlockd: false }),
  lvmlockdNotUsed: lvm({ usesLvmlockd: false }),
  sanlockConfRefused: config({ sanlockConf: [{ verdict: 'refused', text: 'sanlock.conf:1' }] }),
  sanlockConfQuestionable: config({
    sanlockConf: [{ verdict: 'questionable', text: 'sanlock.conf:1' }],
  }),
  defaultsLineSkipped: config({
    defaults: [{ path: '/etc/default/wdmd', line: 1, text: 'export A=1' }],
  }),
  wdmdScriptSkipped: config({ wdmdScripts: [{ path: '/etc/wdmd.d/x', why: 'notExecutable' }] }),
  hostIdUnset: lvm({ hostId: null }),
  hostIdOutOfRange: lvm({ hostId: 2001 }),
  hostIdInUse: hostLease({ hostName: 'node2', isRenewed: true }),
  hostIdUsedBefore: hostLease({ hostName: 'node2', isRenewed: false }),
  hostLeaseDamaged: hostLease({ hostId: 7, damage: 'LEADER_CHECKSUM' }, AREA.joined),
  timestampAhead: hostLease({ timestampS: 6000 }, AREA.joined),
  watchdogOff: { sanlock: { ...settings(), usesWatchdog: false } },
  watchdogDeviceAbsent: { ...snapshot(daemon('wdmd', 'absent')), watchdogs: [] },
  watchdogHeld: {
    ...snapshot(daemon('wdmd', 'absent')),
    watchdogs: [{ path: '/dev/watchdog0', identity: null, holders: [{ pid: 1, name: 'systemd' }] }],
  },
  watchdogSoftware: {
    watchdogs: [
      {
        path: '/dev/watchdog0',
        identity: 'Software Watchdog',
        holders: [{ pid: 100, name: 'wdmd' }],
      },
    ],
  },
  watchdogDutyDead: {
    watchdogClients: [{ name: 'sanlock_lvm_vg:1', pid: 101, isDead: true, leftS: 40 }],
  },
  daemonAbsent: snapshot(daemon('lvmlockd', 'absent')),
  daemonSilent: snapshot(daemon('lvmlockd', 'silent')),
  daemonTwice: {
    processes: [...HEALTHY.processes, ...HEALTHY.processes.map((one) => ({ ...one, pid: 300 }))],
  },
  staleRunFile: {
    ...snapshot(daemon('lvmlockd', 'absent')),
    runFiles: HEALTHY.runFiles.map((one) => ({ ...one, isUsed: one.of === 'wdmd' })),
  },
  wdmdUncleanEnd: {
    ...snapshot(daemon('wdmd', 'absent')),
    runFiles: HEALTHY.runFiles.map((one) => ({ ...one, isUsed: one.of !== 'wdmd' })),
  },
  programReplaced: sanlockProcess({ isReplaced: true }),
  priorityLow: sanlockProcess({ isRealtime: false }),
  memoryNotLocked: sanlockProcess({ lockedBytes: 0 }),
  unitFailed: unit({ active: 'failed', result: 'exit-code' }),
  unitDisabled: unit({ isEnabled: false }),
  unitAbsent: unit({ load: 'absent' }),
  deviceMapperAbsent: { mappings: null },
  leaseDeviceGone: area({ read: { kind: 'failed', errno: 'ENXIO' } }),
  leaseDeviceHung: area({ read: { kind: 'silent', waitedS: 5 } }),
  leaseUnreadable: area({ read: { kind: 'failed', errno: 'EIO' } }),
  leaseProcessHung: sanlockProcess({ isUninterruptible: true, waitsIn: 'io_schedule' }),
  leaseNotPermitted: area({
    access: { isRegularFile: false, uid: 0, gid: 6, mode: 0o660, byUid: 112, mayUse: false },
  }),
  runFolderFull: { folders: [{ path: '/run/sanlock', freeBytes: 0, freeFiles: 10 }] },
  pathsQueueForever: {
    multipaths: [
      { name: 'mpatha', lockspaces: ['lvm_vg'], queues: true, retry: 'never', paths: 2 },
    ],
  },
  pathRetryTooLong: {
    multipaths: [{ name: 'mpatha', lockspaces: ['lvm_vg'], queues: true, retry: 90, paths: 2 }],
  },
  pathFailoverTooLong: {
    transports: [
      {
        ...{ kind: 'fibreChannel', name: 'rport-1:0-1', lockspaces: ['lvm_vg'] },
        ...{ setting: '/sys/x', failsAfterS: null },
      },
    ],
  },
  lockspaceFailing: space({ phase: 'failing', ageS: 81 }),
  lockspaceMoving: space({ phase: 'joining' }),
  lockspaceLate: space({ ageS: 41 }),
  renewalTimeouts: space({ renewals: [{ ...SPACE.renewals[0], timeouts: 1 }] }),
  renewalSlow: space({ renewals: SPACE.renewals.map((one) => ({ ...one, readMs: 6000 })) }),
  hostDead: vg({
    lvs: [
      {
        ...LV,
        holders: [{ hostId: 2, generation: 1, mode: 'ex', hostName: 'node2', state: 'dead' }],
      },
    ],
  }),
  orphanLease: space({
    leases: [
      {
        ...{ name: 'lvuuid', path: '/x', offsetBytes: 0, isShared: false, isHeld: true },
        ...{ pid: null, command: null },
      },
    ],
  }),
  vgLost: vg({ trouble: 'killed' }),
  vgReturning: vg({ trouble: 'returning' }),
  vgNotStarted: vg({ isStarted: false, hasGlobalLock: null }),
  vgClustered: { clusteredVgs: ['old'] },
  vgLockArgsWrong: vg({ lockArgs: 'lvmlock' }),
  noGlobalLock: vg({ hasGlobalLock: false }),
  twoGlobalLocks: snapshot({ vgs: [VG, { ...VG, name: 'vg2', lvs: [] }] }),
  leaseSlotsWrong: {
    slots: [{ ...SLOTS, leases: { ...SLOTS.leases, lvs: [] } }],
  },
  leaseAreaFull: {
    ...lvm({ lockLvExtendMib: 0 }),
    slots: [{ ...SLOTS, leases: { ...SLOTS.leases, slots: SLOTS.leases.slots.slice(0, 3) } }],
  },
  lvActiveUnlocked: vg({ lvs: [{ ...LV, lockHere: null }] }),
  lvMappingGhost: mapping({ lv: null }),
  lvOtherSize: mapping({ otherSize: { bytes: 8388608, wantedBytes: 16777216 } }),
  lvCutOff: mapping({ isErrorTable: true }),
  hostBlockDamaged: area({
    read: {
      kind: 'done',
      space: {
        ...{ maxHosts: 2000, hosts: [] },
        damagedBlocks: [
          {
            ...{ lease: 'vg (VG lock)', lv: null, resource: 'VGLK', offsetBytes: 69206016 },
            ...{ hostId: 2, damage: 'checksum' },
          },
        ],
      },
    },
  }),
  clockUnsynchronised: { clock: { isSynchronised: false } },
};

function settings() {
  const { sanlock } = HEALTHY;
  assert.ok(sanlock !== null);
  return sanlock;
}

function of(change: Change): readonly Diagnosis[] {
  return doctorFindings({ ...HEALTHY, ...change });
}

function finding(kind: Kind, more: Change = {}): Diagnosis {
  const found = of({ ...FAULTS[kind], ...more }).find((one) => one.kind === kind);
  assert.ok(found !== undefined, kind);
  return found;
}

test('nothing is found on a healthy host', () => {
  assert.deepEqual(of({}), []);
});

test('every fault is found, with what was seen, why, and what to do', () => {
  for (const kind of Object.keys(FAULTS) as Kind[]) {
    const { evidence, cause, plan, found } = finding(kind);
    assert.ok(evidence.length > 0 && evidence.every((text) => text !== ''), kind);
    assert.ok(plan.length > 0, kind);
    for (const text of [found, cause, ...plan.map(({ does }) => does)]) {
      assert.match(text, /^[^\s].*[^.\s]$/s, `${kind}: ${text}`);
    }
    for (const step of plan) if (step.kind === 'manual') assert.notEqual(step.why, '', kind);
  }
});

test('problems come first, then cautions, then notes', () => {
  const weights = of({
    ...FAULTS.watchdogOff,
    ...FAULTS.vgClustered,
    ...FAULTS.clockUnsynchronised,
  });
  assert.deepEqual(
    weights.map(({ weight }) => weight),
    ['problem', 'caution', 'note'],
  );
});

/** What --fix would do about it. */
const safeOf = (kind: Kind, more: Change = {}) =>
  finding(kind, more).plan.flatMap((step) => (step.kind === 'safe' ? [step.fix.kind] : []));

const INACTIVE: Change = { mappings: (HEALTHY.mappings ?? []).slice(1) };

test('nothing is started anew beside LVs that are active: their locks would be given away', () => {
  assert.deepEqual(safeOf('vgNotStarted'), [], 'vg/lv is active');
  assert.deepEqual(safeOf('vgNotStarted', INACTIVE), ['startVg']);
  const absent = snapshot(daemon('sanlock', 'absent'));
  assert.deepEqual(safeOf('daemonAbsent', absent), [], 'an original would begin anew');
  assert.deepEqual(safeOf('daemonAbsent', { ...absent, ...INACTIVE }), ['startUnit']);
  assert.deepEqual(safeOf('daemonAbsent'), ['startUnit'], 'lvmlockd finds its locks with sanlock');
  const daemons = HEALTHY.snapshot.daemons.map((one) => ({ ...one, state: 'absent' as const }));
  const starts = of(snapshot({ daemons })).flatMap(({ plan }) =>
    plan.flatMap((step) => (step.kind === 'safe' && 'unit' in step.fix ? [step.fix.unit] : [])),
  );
  assert.deepEqual(starts, ['wdmd.service'], 'the unit of lvmlockd wants that of sanlock');
  assert.deepEqual(safeOf('unitFailed'), []);
  assert.deepEqual(safeOf('unitFailed', INACTIVE), ['startUnit']);
});

test('a daemon that systemd starts again and again is not merely to be started', () => {
  const units = (HEALTHY.units ?? []).map((one) =>
    one.name === 'lvmlockd.service' ? { ...one, active: 'changing' as const } : one,
  );
  const { evidence, plan } = finding('daemonAbsent', { units });
  assert.match(evidence.join(), /lvmlockd\.service: it is being started/);
  assert.deepEqual(
    plan.map(({ does }) => does),
    ['see why', 'start lvmlockd.service'],
  );
});

test('where lvm does not say of which VG a mapping is, it may be of each; a local one is of none', () => {
  const uuid = 'LVM-vguuidother';
  const unknown = mapping({ name: 'vg-other', uuid, lv: null, vg: null, isShared: null });
  assert.deepEqual(safeOf('vgNotStarted', unknown), []);
  assert.deepEqual(safeOf('unitFailed', unknown), []);
  const ofOther = mapping({ name: 'x', uuid: 'LVM-otheruuid', lv: null, vg: null, isShared: null });
  assert.deepEqual(safeOf('vgNotStarted', ofOther), ['startVg']);
  const local = mapping({ name: 'os-root', lv: 'os/root', vg: 'os', isShared: false });
  assert.deepEqual(safeOf('unitFailed', local), ['startUnit']);
  const named = mapping({ name: 'vg-lvmlock2', lv: 'vg/lvmlock2' });
  assert.deepEqual(safeOf('vgNotStarted', named), [], 'the leases are in vg/lvmlock');
});

test('an LV is not said to be unlocked while nobody knows, or sanlock keeps its lease', () => {
  const unlocked = { vgs: [{ ...VG, lvs: [{ ...LV, lockHere: null }] }] };
  const isTold = (change: SnapshotChange) =>
    of(snapshot({ ...unlocked, ...change })).some(({ kind }) => kind === 'lvActiveUnlocked');
  assert.equal(isTold({}), true);
  assert.equal(isTold(daemon('lvmlockd', 'absent')), false);
  assert.equal(isTold(daemon('lvmlockd', 'silent')), false);
  const lease = { name: 'lvuuid', path: '/x', offsetBytes: 0, isShared: false, isHeld: true };
  const leases = [{ ...lease, pid: null, command: null }];
  assert.equal(isTold({ lockspaces: [{ ...SPACE, leases }] }), false);
});

test('another size is told by lvmlockd of ours, or seen; not of an LV whose I/O fails, or a local one', () => {
  const isTold = (change: Change) => of(change).some(({ kind }) => kind === 'lvOtherSize');
  const otherSize = { bytes: 8388608, wantedBytes: 16777216 };
  const said = vg({ lvs: [{ ...LV, trouble: 'otherSize' }] });
  assert.equal(isTold({ ...said, mappings: [] }), true);
  assert.equal(isTold(said), false, 'it was refreshed since');
  assert.equal(isTold(mapping({ otherSize })), true);
  assert.equal(isTold(mapping({ otherSize, isErrorTable: true })), false);
  assert.equal(isTold(mapping({ otherSize, isShared: false })), false);
});

test('a renewal that is newer than the first look is none of the future', () => {
  const later = hostLease({ timestampS: 5090 }, AREA.joined);
  const [read] = later.areas ?? [];
  assert.ok(read !== undefined);
  assert.deepEqual(of({ ...later, areas: [{ ...read, readAtS: 5091 }] }), []);
  assert.deepEqual(of(later)[0]?.kind, 'timestampAhead');
});

test('what --fix does not do: anything that is in use, or that only its owner can judge', () => {
  assert.deepEqual(safeOf('lvMappingGhost'), [], 'it is open');
  assert.deepEqual(safeOf('lvMappingGhost', mapping({ lv: null, isOpen: false })), [
    'removeMapping',
  ]);
  for (const kind of ['orphanLease', 'vgLost', 'twoGlobalLocks', 'hostBlockDamaged'] as const) {
    assert.deepEqual(safeOf(kind), [], kind);
  }
  for (const kind of ['daemonSilent', 'daemonTwice', 'wdmdUncleanEnd', 'hostIdInUse'] as const) {
    assert.deepEqual(safeOf(kind), [], kind);
  }
});

test('what is to be typed is one word for a shell, whatever a name has', () => {
  const command = (kind: Kind, more: Change = {}) =>
    finding(kind, more).plan.flatMap((step) =>
      step.kind === 'manual' ? (step.command ?? []) : [],
    );
  assert.deepEqual(command('hostBlockDamaged'), [
    'holdfast repair lvm_vg:VGLK:/dev/mapper/vg-lvmlock:69206016',
  ]);
  const evil = { ...SPACE, name: "a'$(reboot)", ageS: 9 };
  const renewals = (SPACE.renewals ?? []).map((one) => ({ ...one, timeouts: 1 }));
  assert.deepEqual(command('renewalTimeouts', snapshot({ lockspaces: [{ ...evil, renewals }] })), [
    "sanlock client renewal -s 'a'\\''$(reboot)'",
  ]);
});

test('a path is given up in half of the time until its leases are lost, from now on and for good', () => {
  const setting = '/sys/class/iscsi_session/session3/recovery_tmo';
  const commands = (failsAfterS: number | null) =>
    of({
      transports: [
        {
          ...{ kind: 'iscsi', session: 3, name: 'iSCSI session3', lockspaces: ['lvm_vg'] },
          ...{ setting, failsAfterS },
        },
      ],
    }).flatMap(({ plan }) => plan.map((step) => step.kind === 'manual' && step.command));
  const name = 'node.session.timeo.replacement_timeout';
  const wanted = [`iscsiadm -m session -r 3 -o update -n ${name} -v 40`, `echo 40 >${setting}`];
  assert.deepEqual(commands(120), wanted);
  assert.deepEqual(commands(80), wanted, 'the leases are lost then');
  assert.deepEqual(commands(null), wanted);
  assert.deepEqual(commands(79), []);
});

test('--fix gives a lease file to sanlock, if its owner may use it; a device is left to udev', () => {
  const file = (mode: number, change: object = {}) =>
    area({
      access: { isRegularFile: true, uid: 0, gid: 0, mode, byUid: 112, mayUse: false, ...change },
    });
  assert.deepEqual(safeOf('leaseNotPermitted', file(0o100600)), ['setOwner']);
  assert.deepEqual(safeOf('leaseNotPermitted', file(0o100400)), []);
  assert.deepEqual(safeOf('leaseNotPermitted', file(0o100600, { uid: 112 })), [], 'its folder');
  assert.deepEqual(safeOf('leaseNotPermitted'), []);
});

test('a renewal that was slow once is no finding, nor are a few in an hour', () => {
  const slow = (slowMs: readonly number[], all: number) => {
    const renewals = Array.from({ length: all }, (_, at) => ({
      ...{ timestampS: 4000 + at, readMs: 3, writeMs: slowMs[at] ?? 2, timeouts: 0, errors: 0 },
    }));
    return of(space({ renewals })).map(({ kind, evidence }) => `${kind}: ${evidence}`);
  };
  assert.deepEqual(slow([9000], 6), []);
  assert.deepEqual(slow([5000, 5000], 6), []);
  assert.deepEqual(slow([6000, 9000], 6), [
    'renewalSlow: for a read or a write, 2 of the last 6 renewals took more than 5000 ms, half of ' +
      'the io timeout: up to 9000 ms, most lately at 4001 s of CLOCK_MONOTONIC',
  ]);
  assert.deepEqual(slow(Array(8).fill(9000), 180), []);
  assert.equal(slow(Array(9).fill(9000), 180).length, 1);
});

test('a VG that cannot be started is not said to be unstarted as well', () => {
  const unstarted = { ...VG, isStarted: false, hasGlobalLock: null };
  const taken = hostLease({ hostName: 'node2', isRenewed: true });
  const change = { ...taken, ...snapshot({ lockspaces: [], vgs: [unstarted] }) };
  assert.deepEqual(
    of(change).map(({ kind }) => kind),
    ['hostIdInUse'],
  );
});

test('a host id that was left is free; an earlier start of this host is no other one', () => {
  assert.deepEqual(of(hostLease({ hostName: 'node2', timestampS: 0 })), []);
  const name = '01234567-89ab-cdef-0123-456789abcdef.node1';
  assert.deepEqual(of(hostLease({ hostName: name })), []);
});

test('lockspaces of 4096-byte sectors have room for fewer hosts', () => {
  const space = { maxHosts: 250, hosts: [], damagedBlocks: [] };
  const change = { ...lvm({ hostId: 251 }), ...area({ read: { kind: 'done', space } }) };
  assert.deepEqual(
    of(change).map(({ kind }) => kind),
    ['hostIdOutOfRange'],
  );
});

test('a host without lvm, as one of guests alone, lacks nothing', () => {
  const nothing = snapshot({ vgs: [], lockspaces: [] });
  const own = { ...nothing, ...config({ lvm: null }), areas: [], slots: [], mappings: null };
  assert.deepEqual(of(own), []);
});

test("what the guard's check says of guests is told too", () => {
  const guests = [{ kind: 'noWatchdog', weight: 'caution', found: 'so', cure: 'do' }] as const;
  const [found] = of({ guests });
  assert.deepEqual([found?.kind, found?.plan[0]?.does], ['guest.noWatchdog', 'do']);
});
