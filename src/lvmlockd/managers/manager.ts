import type { ByteString } from '../../base/bytes.ts';
import type { LockScope } from '../../wire/lvmlockd/requests.ts';
import type { ManagerSteps } from './steps.ts';

export type ManagerKind = 'sanlock' | 'dlm' | 'idm';

/** What happened: `result` is for lvm (LD_RESULT), `lmResult` what the lock manager said. */
export interface Outcome {
  readonly result: number;
  readonly lmResult: number;
}

export interface VgPlace {
  readonly vgName: ByteString;
  readonly vgUuid: ByteString;
  readonly vgLockArgs: ByteString;
}

export interface ResourceRef {
  readonly scope: LockScope;
  /** GLLK, VGLK, or the LV's uuid. */
  readonly name: ByteString;
  readonly lvLockArgs: ByteString;
}

export type HeldMode = 'sh' | 'ex';

export interface HeldLock {
  readonly resource: ResourceRef;
  readonly mode: HeldMode;
  /** Written into the lock's value block when nonzero. */
  readonly newVersion: number;
}

export interface LockOutcome extends Outcome {
  /** Worth another try even for an LV: the holder may let go soon. */
  readonly retry: boolean;
  /** From the value block; 0 when there is none. */
  readonly version: number;
  /** False when it was seen that this VG no longer carries the global lock; null: not looked at. */
  readonly glEnabled: boolean | null;
}

/** A lock found in the lock manager that an earlier lvmlockd left. */
export interface AdoptedLock {
  readonly resource: ResourceRef;
  readonly mode: HeldMode;
}

export interface PrepareOutcome extends Outcome {
  /** This VG's global lock is enabled. */
  readonly glEnabled: boolean;
}

export interface JoinOutcome extends Outcome {
  readonly adopted: readonly AdoptedLock[];
}

/** `result`: 0 nobody else, BUSY others are there or it cannot be known. */
export interface HostsOutcome extends Outcome {
  readonly unknown: boolean;
}

export interface InitLvOutcome extends Outcome {
  readonly lvLockArgs: ByteString;
}

export interface LeaveHow {
  /** Still held here; empty when `dropAll`. */
  readonly held: readonly HeldLock[];
  /** The VG is being removed: leases become unusable, the lockspace is cleared. */
  readonly removeVg: boolean;
  /** Give up everything at once, whatever the lock manager thinks (drop_vg). */
  readonly dropAll: boolean;
}

export interface LeaveOutcome extends Outcome {
  /** The lock manager said that it is left; false: it stays, or nobody answered. */
  readonly confirmed: boolean;
}

/** One VG's lockspace in a lock manager. Procedures of one space run one after another. */
export interface ManagerSpace {
  /** Quick checks, answered before the lockspace is joined. */
  prepare(hostId: number): ManagerSteps<PrepareOutcome>;
  /** `adopt`: being joined already, with locks of an earlier lvmlockd, is fine. */
  join(adopt: boolean): ManagerSteps<JoinOutcome>;
  leave(how: LeaveHow): ManagerSteps<LeaveOutcome>;
  /** Forgets a lockspace that could not be started, without touching what is joined. */
  abandon(): ManagerSteps<void>;
  /** `checkGl`: look first whether this VG's global lock is still enabled. */
  lock(resource: ResourceRef, mode: HeldMode, checkGl: boolean): ManagerSteps<LockOutcome>;
  convert(held: HeldLock, mode: HeldMode): ManagerSteps<Outcome>;
  unlock(held: HeldLock): ManagerSteps<Outcome>;
  freeLv(resource: ResourceRef): ManagerSteps<Outcome>;
  findFree(): ManagerSteps<Outcome>;
  initLv(lvUuid: ByteString): ManagerSteps<InitLvOutcome>;
  readGl(): ManagerSteps<boolean>;
  switchGl(enable: boolean): ManagerSteps<Outcome>;
  otherHosts(): ManagerSteps<HostsOutcome>;
}

export interface InitVgOutcome extends Outcome {
  readonly vgLockArgs: ByteString;
}

/** A lockspace that the lock manager has joined, found at start. */
export interface FoundSpace extends VgPlace {
  readonly hostId: number;
}

/** What happens to whom while the lock manager gives a lockspace up. */
export interface LossReport {
  /** false: the lock manager did not answer. */
  readonly answered: boolean;
  /** Lockspace names that are being removed or lost. */
  readonly dying: readonly ByteString[];
}

export interface GiveBackOutcome extends Outcome {
  /** It said that it keeps nothing of that VG any more: it has no reason to stop anybody. */
  readonly keepsNothing: boolean;
}

export interface LockManager {
  readonly kind: ManagerKind;
  isRunning(): ManagerSteps<boolean>;
  initVg(vg: VgPlace, enableGl: boolean): ManagerSteps<InitVgOutcome>;
  /** `session` is unique in this daemon's life. */
  open(vg: VgPlace, session: number): ManagerSpace;
  renameVg(vg: VgPlace): ManagerSteps<Outcome>;
  /** Lockspaces of an earlier lvmlockd. */
  findSpaces(): ManagerSteps<readonly FoundSpace[]>;
  findLosses(): ManagerSteps<LossReport>;
  /** Leases that it keeps for nobody who runs, of a VG that is not joined. ENOLS: there are none. */
  giveBack(vgName: ByteString): ManagerSteps<GiveBackOutcome>;
  /** Do two VG names mean one lockspace to the lock manager? */
  sameSpace(oneVgName: ByteString, otherVgName: ByteString): boolean;
}

export const LONGEST_VG_NAME = 60;

/** `"lvm_" + VG name`, as in dumps; '' for a name that is too long (spec 30 §4.1). */
export function lockspaceName(vgName: ByteString): ByteString {
  const longest = 63;
  return vgName.length > LONGEST_VG_NAME ? '' : `lvm_${vgName}`.slice(0, longest);
}

export const OK: Outcome = { result: 0, lmResult: 0 };

export function both(result: number): Outcome {
  return { result, lmResult: result };
}
