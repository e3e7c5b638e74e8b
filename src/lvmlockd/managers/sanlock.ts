import type {
  FoundSpace,
  LockManager,
  LossReport,
  ManagerSpace,
  ManagerSteps,
  Outcome,
  VgPlace,
} from './manager.ts';
import { lockLvOfPath, sanlockSpaceName, vgArgsFor } from './sanlock-layout.ts';
import { ask, initVg, renameVg } from './sanlock-slots.ts';
import { SanlockSpace, type SanlockSpaceSettings } from './sanlock-space.ts';

/** lvm's leases kept by a sanlock daemon (spec 31 §1–§4). */
export function sanlockManager(settings: SanlockSpaceSettings): LockManager {
  const { times } = settings;
  return {
    kind: 'sanlock',
    *isRunning(): ManagerSteps<boolean> {
      return (yield* ask({ call: 'version' }, times.quickMs)).answered;
    },
    initVg: (vg: VgPlace, enableGl: boolean) => initVg(vg, enableGl, times),
    open: (vg: VgPlace, session: number): ManagerSpace => new SanlockSpace(vg, session, settings),
    renameVg: (vg: VgPlace): ManagerSteps<Outcome> => renameVg(vg, times),
    *findSpaces(): ManagerSteps<readonly FoundSpace[]> {
      const answer = yield* ask({ call: 'getLockspaces' }, times.quickMs);
      const found: FoundSpace[] = [];
      for (const area of answer.areas) {
        // A name that fills the field may have been cut: the VG's full name is not known then.
        if (!area.name.startsWith('lvm_') || area.name.length >= SANLOCK_NAME_BYTES) continue;
        const vgName = area.name.slice('lvm_'.length);
        const lockLv = lockLvOfPath(vgName, area.path);
        if (lockLv === null) continue;
        const vgLockArgs = vgArgsFor(lockLv);
        found.push({ vgName, vgUuid: '', vgLockArgs, hostId: Number(area.hostId) });
      }
      return found;
    },
    *findLosses(): ManagerSteps<LossReport> {
      const { answered, dying } = yield* ask({ call: 'status' }, times.quickMs);
      return { answered, dying };
    },
    sameSpace: (one, other) => sanlockSpaceName(one) === sanlockSpaceName(other),
  };
}

const SANLOCK_NAME_BYTES = 48;
