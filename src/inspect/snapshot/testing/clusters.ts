import type {
  LeaseHolder,
  LockspaceSeen,
  LvSeen,
  MemberSeen,
  RenewalSeen,
  Snapshot,
  VgSeen,
} from '../snapshot.ts';

/** Made-up snapshots: alpha, beta and gamma share the VG vg0; alpha looks. */

export const IO_TIMEOUT_S = 10;
export const FAIL_S = 80;
const START_S = 100_000;

export function member(hostId: number, name: string, more: Partial<MemberSeen> = {}): MemberSeen {
  const known = { hostId, name, generation: 1, state: 'live', ioTimeoutS: IO_TIMEOUT_S } as const;
  return { ...known, isThisHost: hostId === 1, ageS: 3, ...more };
}

export function holder(hostId: number, hostName: string, mode: 'ex' | 'sh' = 'ex'): LeaseHolder {
  return { hostId, hostName, mode, generation: 1, state: 'live' };
}

export function lv(name: string, holders: LvSeen['holders'] = []): LvSeen {
  const own = { name, uuid: `uuid-${name}`, lockArgs: '1.0.0:70254592' };
  return { ...own, isActiveHere: null, lockHere: null, trouble: null, holders };
}

export function vg(name: string, lvs: readonly LvSeen[], more: Partial<VgSeen> = {}): VgSeen {
  return {
    name,
    uuid: `uuid-${name}`,
    lockType: 'sanlock',
    lockArgs: '1.0.0:lvmlock',
    lockspace: `lvm_${name}`,
    isStarted: true,
    trouble: null,
    hasGlobalLock: true,
    holders: [],
    lvs,
    ...more,
  };
}

/** One each 2·t, with a slower one now and then. */
export function renewals(count: number, lastS = START_S): readonly RenewalSeen[] {
  return Array.from({ length: count }, (_, n) => ({
    timestampS: lastS - (count - 1 - n) * 2 * IO_TIMEOUT_S,
    readMs: n % 17 === 0 ? 41 : 2 + (n % 3),
    writeMs: 1 + (n % 2),
    timeouts: 0,
    errors: 0,
  }));
}

export function lockspace(name: string, more: Partial<LockspaceSeen> = {}): LockspaceSeen {
  return {
    name,
    phase: 'joined',
    ioTimeoutS: IO_TIMEOUT_S,
    generation: '1',
    ageS: 4,
    hostId: 1,
    path: `/dev/mapper/${name.replace(/^lvm_/, '')}-lvmlock`,
    offsetBytes: 0,
    sectorSize: 512,
    areaBytes: 1024 * 1024,
    failS: FAIL_S,
    renewals: renewals(30),
    members: [member(1, 'alpha'), member(2, 'beta'), member(3, 'gamma')],
    leases: [],
    ...more,
  };
}

/** @param atS seconds after the first of them */
export function snapshot(more: Partial<Snapshot> = {}, atS = 0): Snapshot {
  return {
    taken: { wallMs: 1_800_000_000_000 + atS * 1000, monotonicS: START_S + 4 + atS },
    host: { name: 'alpha', hostId: 1 },
    daemons: (['wdmd', 'sanlock', 'lvmlockd'] as const).map((name, place) => ({
      name,
      state: 'running',
      pid: 700 + place,
      isOriginal: false,
      version: '3.8.5',
    })),
    watchdog: { state: 'on', clients: [{ name: 'lvm_vg0', pid: 701, isDead: false, leftS: 60 }] },
    lockspaces: [lockspace('lvm_vg0')],
    vgs: [vg('vg0', [lv('data'), lv('root')])],
    unread: [],
    ...more,
  };
}
