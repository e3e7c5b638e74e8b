import type { DoctorFacts } from '../facts.ts';

/** A host on which nothing is wrong: one shared VG with an LV that is active and locked here. */
export const HEALTHY: DoctorFacts = {
  snapshot: {
    taken: { wallMs: 0, monotonicS: 5000 },
    host: { name: 'node1', hostId: 1 },
    daemons: (['wdmd', 'sanlock', 'lvmlockd'] as const).map((name, index) => ({
      ...{ name, pid: 100 + index, isOriginal: false, version: null },
      state: 'running' as const,
    })),
    watchdog: { state: 'on', clients: [] },
    lockspaces: [
      {
        ...{ name: 'lvm_vg', phase: 'joined', ioTimeoutS: 10, generation: '3', ageS: 9 },
        ...{ hostId: 1, path: '/dev/mapper/vg-lvmlock', offsetBytes: 0 },
        ...{ sectorSize: 512, areaBytes: 1048576, failS: 80, members: [] },
        renewals: [1, 2, 3, 4, 5, 6].map((n) => ({
          ...{ timestampS: 4000 + n * 20, readMs: 3, writeMs: 2, timeouts: 0, errors: 0 },
        })),
        leases: [],
      },
    ],
    vgs: [
      {
        ...{ name: 'vg', uuid: 'vguuid', lockType: 'sanlock', lockArgs: '1.0.0:lvmlock' },
        ...{ lockspace: 'lvm_vg', isStarted: true, trouble: null, hasGlobalLock: true },
        holders: [],
        lvs: [
          {
            ...{ name: 'lv', uuid: 'lvuuid', lockArgs: '1.0.0:70254592', isActiveHere: true },
            ...{ lockHere: 'ex', trouble: null, holders: [] },
          },
        ],
      },
    ],
    unread: [],
  },
  config: {
    lvmFolder: '/etc/lvm',
    lvm: { usesLvmlockd: true, hostId: 1, lockLvExtendMib: 256, activates: true },
    lvmUnread: null,
    ...{ unknownLvmKeys: [], hasLvmlockd: true, sanlockConf: [], defaults: [], wdmdScripts: [] },
  },
  sanlock: {
    ...{ hostName: 'node1', usesWatchdog: true, wantsPriority: true, mlockLevel: 1 },
    ...{ uid: 0, gid: 0 },
  },
  areas: [
    {
      ...{ lockspace: 'lvm_vg', vg: 'vg', path: '/dev/mapper/vg-lvmlock', offsetBytes: 0 },
      joined: { hostId: 1, generation: 3 },
      read: {
        kind: 'done',
        space: {
          maxHosts: 2000,
          hosts: [
            {
              ...{ hostId: 1, hostName: 'node1', generation: 3, timestampS: 4991, ioTimeoutS: 10 },
              ...{ isRenewed: null, watchedS: 0, damage: null },
            },
          ],
          damagedBlocks: [],
        },
      },
      ...{ readAtS: 5001, access: null },
    },
  ],
  watchdogs: [
    { path: '/dev/watchdog0', identity: 'iTCO_wdt', holders: [{ pid: 100, name: 'wdmd' }] },
  ],
  watchdogClients: [{ name: 'sanlock_lvm_vg:1', pid: 101, isDead: false, leftS: 71 }],
  processes: (['wdmd', 'sanlock', 'lvmlockd'] as const).map((name, index) => ({
    ...{ name, pid: 100 + index, role: 'daemon' as const, commandLine: `${name} daemon` },
    ...{ isUninterruptible: false, waitsIn: null, isRealtime: true, lockedBytes: 4096 },
    isReplaced: false,
  })),
  runFiles: [
    { path: '/run/lvmlockd.pid', of: 'lvmlockd', kind: 'pidFile', pid: 102, isUsed: true },
    { path: '/dev/shm/wdmd', of: 'wdmd', kind: 'crashGuard', pid: null, isUsed: true },
  ],
  folders: [{ path: '/run/sanlock', freeBytes: 1e9, freeFiles: 1e6 }],
  units: ['wdmd', 'sanlock', 'lvmlockd', 'lvmlocks'].map((name) => ({
    ...{ name: `${name}.service`, load: 'loaded' as const, isEnabled: true },
    ...{ active: 'active' as const, result: 'success' },
  })),
  multipaths: [{ name: 'mpatha', lockspaces: ['lvm_vg'], queues: true, retry: 20, paths: 2 }],
  transports: [
    {
      ...{ kind: 'iscsi', session: 1, name: 'iSCSI session1', lockspaces: ['lvm_vg'] },
      ...{ setting: '/sys/x', failsAfterS: 15 },
    },
  ],
  clusteredVgs: [],
  mappings: [
    {
      ...{ name: 'vg-lv', uuid: 'LVM-vguuidlvuuid', lv: 'vg/lv', vg: 'vg', isOpen: true },
      ...{ isShared: true, isErrorTable: false, isLv: true, otherSize: null },
    },
    {
      ...{ name: 'vg-lvmlock', uuid: 'LVM-vguuidlock', lv: 'vg/lvmlock', vg: 'vg', isOpen: true },
      ...{ isShared: true, isErrorTable: false, isLv: true, otherSize: null },
    },
  ],
  slots: [
    {
      vg: 'vg',
      freeMib: 1000,
      leases: {
        lockspace: 'lvm_vg',
        areaBytes: 1048576,
        lvs: [{ name: 'lv', uuid: 'lvuuid', lockArgs: '1.0.0:70254592' }],
        slots: [
          { offset: 68157440, holds: { kind: 'lease', lockspace: 'lvm_vg', name: 'GLLK' } },
          { offset: 69206016, holds: { kind: 'lease', lockspace: 'lvm_vg', name: 'VGLK' } },
          { offset: 70254592, holds: { kind: 'lease', lockspace: 'lvm_vg', name: 'lvuuid' } },
          { offset: 71303168, holds: { kind: 'free' } },
        ],
      },
    },
  ],
  clock: { isSynchronised: true },
  guests: [],
};
