import type { ByteString } from '../../../base/bytes.ts';
import { MIB } from '../../../base/units.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import {
  both,
  type HeldLock,
  type HeldMode,
  type LockManager,
  type ManagerSpace,
  OK,
  type VgPlace,
} from '../manager.ts';
import { deviceAt, done, sleep } from '../steps.ts';
import { TRAITS } from '../traits.ts';
import {
  lockLvOfArgs,
  lockLvPath,
  lvArgsFor,
  MAX_HOST_ID,
  SLOT_FIRST_LV,
  vgArgsFor,
} from './layout.ts';
import { refused } from './lease-lock.ts';

const JOIN_MS = 2000;

/** `--test`: sanlock without sanlock. Every lock is granted, nothing is written (spec 31 §7). */
export function testManager(): LockManager {
  // The first VG made or started carries the global lock.
  const global: { vgName: ByteString | null } = { vgName: null };
  const claimGl = (vgName: ByteString) => {
    global.vgName ??= vgName;
    return global.vgName === vgName;
  };
  return {
    lockType: 'sanlock',
    traits: TRAITS.sanlock,
    advice: { notRunning: '', keptLocks: '' }, // neither happens
    patienceMs: 0,
    isRunning: (isChosen) => done(isChosen),
    *initVg(vg: VgPlace) {
      const refuse = { result: LD_RESULT.EARGS, lmResult: 0, vgLockArgs: vg.vgLockArgs };
      if (vg.vgLockArgs === '') return refuse;
      const device = yield* deviceAt(lockLvPath(vg.vgName, vg.vgLockArgs));
      if (!device.exists) return refuse;
      claimGl(vg.vgName);
      return { ...OK, vgLockArgs: vgArgsFor(vg.vgLockArgs) };
    },
    open: (vg: VgPlace) =>
      testSpace(vg, {
        claimGl: () => claimGl(vg.vgName),
        hasGl: () => global.vgName === vg.vgName,
        setGl: () => {
          global.vgName = vg.vgName;
        },
        dropGl: () => {
          if (global.vgName === vg.vgName) global.vgName = null;
        },
      }),
    renameVg: () => done(OK),
    refreshLv: null,
    findSpaces: () => done({ answered: true, spaces: [] }),
    findLosses: () => done({ answered: true, dying: [] }),
    releaseKept: () => done({ ...both(LD_RESULT.ENOLS), keepsNothing: true }),
    spaceName: (vgName) => vgName,
  };
}

function testSpace(
  vg: VgPlace,
  gl: {
    readonly claimGl: () => boolean;
    readonly hasGl: () => boolean;
    readonly setGl: () => void;
    readonly dropGl: () => void;
  },
): ManagerSpace {
  let nextSlot = SLOT_FIRST_LV;
  const versions = new Map<ByteString, number>();
  /** LVs that another host is to seem to hold. */
  const elsewhere = new Map<ByteString, HeldMode>();
  const keepVersion = ({ resource, newVersion }: HeldLock) => {
    if (newVersion !== 0) versions.set(resource.name, newVersion);
    return done(OK);
  };
  return {
    *prepare(hostId, adoptOnly = false) {
      const refuse = (result: number) => ({ ...both(result), glEnabled: false });
      const lockLv = lockLvOfArgs(vg.vgLockArgs);
      if (lockLv === null) return refuse(LD_RESULT.EARGS);
      const device = yield* deviceAt(lockLvPath(vg.vgName, lockLv));
      if (!device.exists) return refuse(LD_RESULT.EARGS);
      if (hostId < 1 || hostId > MAX_HOST_ID) return refuse(LD_RESULT.EHOSTID);
      // Nothing outlives a daemon in test mode.
      if (adoptOnly) return refuse(LD_RESULT.EADOPT_NONE);
      return { ...OK, glEnabled: gl.claimGl() };
    },
    *join() {
      yield* sleep(JOIN_MS);
      return { ...OK, adopted: [], notAdopted: [] };
    },
    cancel: () => done(undefined),
    watchRival: () => done({ found: 'over' }),
    presence: () => done('joined'),
    watch: () => done('watching'),
    leave: (how) => {
      if (how.removeVg) gl.dropGl();
      return done({ ...OK, confirmed: true });
    },
    abandon: () => done(undefined),
    lock: (ref, mode, _checkGl, _repair, adopt = 'no') => {
      if (adopt === 'only') return done(refused(LD_RESULT.EADOPT_NONE));
      const other = elsewhere.get(ref.name);
      const isHeld = other === 'ex' || (other === 'sh' && mode === 'ex');
      const result = isHeld ? LD_RESULT.AGAIN : LD_RESULT.OK;
      const version = versions.get(ref.name) ?? 0;
      return done({ result, lmResult: 0, retry: false, version, glEnabled: null });
    },
    pretendHeld: (lvUuid, mode) => {
      if (mode === 'un') elsewhere.delete(lvUuid);
      else elsewhere.set(lvUuid, mode);
    },
    convert: keepVersion,
    unlock: keepVersion,
    freeLv: () => done(OK),
    findFree: () => done(OK),
    initLv: () => {
      const lvLockArgs = lvArgsFor(nextSlot * MIB);
      nextSlot += 1;
      return done({ ...OK, lvLockArgs });
    },
    reattach: () => done({ found: 'attached', lost: [] }),
    leaseDevice: '',
    activeLvs: () => done(null),
    leasedLvs: () => done([]),
    readGl: () => done(gl.hasGl()),
    switchGl: (enable) => {
      if (enable) gl.setGl();
      else gl.dropGl();
      return done(OK);
    },
    holder: () => done(null),
    membership: () => done(null),
    otherHosts: () => done({ ...OK, unknown: false }),
    notices: null,
  };
}
