import type { LockspaceSeen, LvSeen, MemberSeen, Snapshot, VgSeen } from '../snapshot.ts';

/** A host that is as it should be; tests change what they are about. */
export function healthySnapshot(change: Partial<Snapshot> = {}): Snapshot {
  const running = { state: 'running', isOriginal: false, version: null } as const;
  return {
    taken: { wallMs: Date.UTC(2026, 10, 30, 12), monotonicS: 1000 },
    host: { name: 'alpha', hostId: 1 },
    daemons: [
      { name: 'wdmd', pid: 11, ...running },
      { name: 'sanlock', pid: 12, ...running, version: '3.8.5' },
      { name: 'lvmlockd', pid: 13, ...running },
    ],
    watchdog: {
      state: 'on',
      clients: [{ name: 'sanlock_lvm_vg0:1', pid: 12, isDead: false, leftS: 70 }],
    },
    lockspaces: [lockspace()],
    vgs: [vg()],
    unread: [],
    ...change,
  };
}

export function lockspace(change: Partial<LockspaceSeen> = {}): LockspaceSeen {
  return {
    ...{ name: 'lvm_vg0', phase: 'joined', ioTimeoutS: 10, generation: '3', ageS: 5 },
    ...{ hostId: 1, path: '/dev/mapper/vg0-lvmlock', offsetBytes: 0 },
    ...{ sectorSize: 512, areaBytes: 1048576, failS: 80 },
    renewals: [
      { timestampS: 900, readMs: 0, writeMs: 0, timeouts: 0, errors: 0 },
      { timestampS: 920, readMs: 3, writeMs: 1, timeouts: 0, errors: 0 },
      { timestampS: 995, readMs: 8, writeMs: 2, timeouts: 0, errors: 0 },
    ],
    members: [member(), member({ hostId: 2, name: 'beta', isThisHost: false })],
    leases: [],
    ...change,
  };
}

export function member(change: Partial<MemberSeen> = {}): MemberSeen {
  return {
    ...{ hostId: 1, generation: 3, name: 'alpha', state: 'live', isThisHost: true },
    ...{ ioTimeoutS: 10, ageS: 5 },
    ...change,
  };
}

export function vg(change: Partial<VgSeen> = {}): VgSeen {
  return {
    ...{ name: 'vg0', uuid: 'V', lockType: 'sanlock', lockArgs: '1.0.0:lvmlock' },
    ...{ lockspace: 'lvm_vg0', isStarted: true, trouble: null, hasGlobalLock: true },
    holders: [],
    lvs: [lv()],
    ...change,
  };
}

export function lv(change: Partial<LvSeen> = {}): LvSeen {
  return {
    ...{ name: 'data', uuid: 'L', lockArgs: '1.0.0:70254592', isActiveHere: true },
    ...{ lockHere: 'ex', trouble: null },
    holders: [{ hostId: 1, generation: 3, mode: 'ex', hostName: 'alpha', state: 'live' }],
    ...change,
  };
}
