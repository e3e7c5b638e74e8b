import type { ByteString } from '../../base/bytes.ts';
import { MIB } from '../../base/units.ts';
import { LD_RESULT } from '../../wire/lvmlockd-numbers.ts';
import {
  both,
  type LockManager,
  type ManagerSpace,
  type ManagerSteps,
  OK,
  type Outcome,
  type VgPlace,
} from './manager.ts';
import {
  lockLvOfArgs,
  lockLvPath,
  lvArgsFor,
  MAX_HOST_ID,
  SLOT_FIRST_LV,
  vgArgsFor,
} from './sanlock-layout.ts';
import { deviceAt, sleep } from './sanlock-slots.ts';

const JOIN_MS = 2000;

/** `--test`: sanlock without sanlock. Every lock is granted, nothing is written (spec 31 §7). */
export function testManager(isChosen: () => boolean): LockManager {
  // The first VG made or started carries the global lock.
  const global: { vgName: ByteString | null } = { vgName: null };
  const claimGl = (vgName: ByteString) => {
    global.vgName ??= vgName;
    return global.vgName === vgName;
  };
  return {
    kind: 'sanlock',
    *isRunning(): ManagerSteps<boolean> {
      return isChosen();
    },
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
        dropGl: () => {
          if (global.vgName === vg.vgName) global.vgName = null;
        },
      }),
    *renameVg(): ManagerSteps<Outcome> {
      return OK;
    },
    *findSpaces() {
      return [];
    },
    *findLosses() {
      return { dying: [] };
    },
    sameSpace: (one, other) => one === other,
  };
}

function testSpace(
  vg: VgPlace,
  gl: { readonly claimGl: () => boolean; readonly dropGl: () => void },
): ManagerSpace {
  let nextSlot = SLOT_FIRST_LV;
  const versions = new Map<ByteString, number>();
  function* succeed(): ManagerSteps<Outcome> {
    return OK;
  }
  return {
    *prepare(hostId) {
      const lockLv = lockLvOfArgs(vg.vgLockArgs);
      if (lockLv === null) return { ...both(LD_RESULT.EARGS), glEnabled: false };
      const device = yield* deviceAt(lockLvPath(vg.vgName, lockLv));
      if (!device.exists) return { ...both(LD_RESULT.EARGS), glEnabled: false };
      if (hostId < 1 || hostId > MAX_HOST_ID) {
        return { ...both(LD_RESULT.EHOSTID), glEnabled: false };
      }
      return { ...OK, glEnabled: gl.claimGl() };
    },
    *join() {
      yield* sleep(JOIN_MS);
      return { ...OK, adopted: [] };
    },
    *leave(how) {
      if (how.removeVg) gl.dropGl();
      return OK;
    },
    *abandon() {},
    *lock(ref) {
      return { ...OK, retry: false, version: versions.get(ref.name) ?? 0, glEnabled: null };
    },
    *convert(held) {
      if (held.newVersion !== 0) versions.set(held.resource.name, held.newVersion);
      return OK;
    },
    *unlock(held) {
      if (held.newVersion !== 0) versions.set(held.resource.name, held.newVersion);
      return OK;
    },
    freeLv: succeed,
    findFree: succeed,
    *initLv() {
      const lvLockArgs = lvArgsFor(nextSlot * MIB);
      nextSlot += 1;
      return { ...OK, lvLockArgs };
    },
    *readGl() {
      return gl.claimGl();
    },
    switchGl: succeed,
    *otherHosts() {
      return { ...OK, unknown: false };
    },
  };
}
