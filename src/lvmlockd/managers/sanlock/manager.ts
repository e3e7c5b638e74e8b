import type { ByteString } from '../../../base/bytes.ts';
import { ERRNO } from '../../../base/errno.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import {
  getLockspaces,
  removeLockspace,
  status,
  version,
} from '../../../wire/sanlock/daemon-calls.ts';
import { MAX_NAME_BYTES } from '../../../wire/sanlock/socket.ts';
import {
  both,
  type FoundSpace,
  type FoundSpaces,
  type LockManager,
  type LossReport,
  type ManagerAdvice,
  type ManagerSpace,
  OK,
  type Outcome,
  type ReleaseKeptOutcome,
  type VgPlace,
} from '../manager.ts';
import type { ManagerSteps } from '../steps.ts';
import { TRAITS } from '../traits.ts';
import { ask } from './ask.ts';
import { lockLvOfPath, lockLvPath, sanlockSpaceName, vgArgsFor } from './layout.ts';
import { SanlockSpace, type SanlockSpaceSettings } from './lockspace.ts';
import { codeOf, isAnswered } from './results.ts';
import { dyingIn } from './status.ts';
import type { SanlockTimes } from './times.ts';
import { initVg, renameVg } from './vg-leases.ts';

/** lvm's leases kept by a sanlock daemon (spec 31 §1–§4). */
export function sanlockManager(settings: SanlockSpaceSettings): LockManager {
  const { times } = settings;
  return {
    lockType: 'sanlock',
    traits: TRAITS.sanlock,
    advice: ADVICE,
    patienceMs: times.sessionMs,
    *isRunning(): ManagerSteps<boolean> {
      return isAnswered(yield* ask(version(), times.quickMs));
    },
    initVg: (vg, enableGl, alignMb = 0) => initVg(vg, { enableGl, alignMb }, times),
    open: (vg: VgPlace, session: number): ManagerSpace => new SanlockSpace(vg, session, settings),
    renameVg: (vg: VgPlace): ManagerSteps<Outcome> => renameVg(vg, times),
    refreshLv: null,
    findSpaces: (vgNames) => findSpaces(vgNames, times),
    *findLosses(): ManagerSteps<LossReport> {
      const answer = yield* ask(status(), times.quickMs);
      return { answered: isAnswered(answer), dying: answer.ok ? dyingIn(answer.value) : [] };
    },
    releaseKept: (vgName) => releaseKept(vgName, times),
    spaceName: sanlockSpaceName,
  };
}

function* findSpaces(
  vgNames: readonly ByteString[],
  times: SanlockTimes,
): ManagerSteps<FoundSpaces> {
  const answer = yield* ask(getLockspaces(), times.quickMs);
  const spaces: FoundSpace[] = [];
  for (const area of answer.ok ? answer.value : []) {
    const known = vgNames.find((vgName) => sanlockSpaceName(vgName) === area.name);
    // A name that fills the field may have been cut: the VG's full name is not known then.
    const isWhole = area.name.startsWith('lvm_') && area.name.length < MAX_NAME_BYTES;
    const vgName = known ?? (isWhole ? area.name.slice('lvm_'.length) : null);
    const lockLv = vgName === null ? null : lockLvOfPath(vgName, area.path);
    if (vgName === null || lockLv === null) continue;
    const vgLockArgs = vgArgsFor(lockLv);
    spaces.push({ vgName, vgUuid: '', vgLockArgs, hostId: Number(area.hostId) });
  }
  return { answered: isAnswered(answer), spaces };
}

/** Texts for the log of lvmlockd. */
const ADVICE: ManagerAdvice = {
  notRunning:
    'start it (systemctl start wdmd sanlock), then repeat vgchange --lockstart for this VG',
  keptLocks:
    'LVs of this VG may be active here since before a restart of sanlock: deactivate them ' +
    '(lvchange -an), then lvmlockctl --drop this VG, and start it again; where the log of sanlock ' +
    'has lockspace.closed, do as that says instead',
};

/** Releases leases that a restarted sanlock keeps of the one before (decision 0015). */
function* releaseKept(vgName: ByteString, times: SanlockTimes): ManagerSteps<ReleaseKeptOutcome> {
  const name = sanlockSpaceName(vgName);
  const joined = yield* ask(getLockspaces(), times.quickMs);
  const isJoined = joined.ok && joined.value.some((area) => area.name === name);
  if (!isAnswered(joined) || isJoined) return { ...both(LD_RESULT.ENOLS), keepsNothing: false };
  const path = lockLvPath(vgName, LOCK_LV);
  const area = { name, hostId: ANY_HOST, path, offset: 0n, flags: 0 };
  const answer = yield* ask(removeLockspace(area), times.leaveMs);
  const code = codeOf(answer);
  if (code === -ERRNO.EBUSY) return { ...both(LD_RESULT.BUSY), keepsNothing: false };
  if (answer.ok) return { ...OK, keepsNothing: true };
  const keepsNothing = isAnswered(answer) && code === -ERRNO.ENOENT;
  return { ...both(LD_RESULT.ENOLS), keepsNothing };
}

const LOCK_LV = 'lvmlock';
const ANY_HOST = 0n;
