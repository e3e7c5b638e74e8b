import type { ByteString } from '../../base/bytes.ts';
import type { Adopt, LockScope, ManagedLockType } from '../../wire/lvmlockd/requests.ts';
import type { ActiveLvReply, ManagerSteps } from './steps.ts';
import type { ManagerTraits } from './traits.ts';

/**
 * A lock manager gives the core procedures that yield effects (steps.ts), and traits for the few
 * decisions that are the core's own (traits.ts). A new one is a folder beside `sanlock`, a
 * carrier of its protocol in `programs`, and an entry where the program is composed.
 *
 * How the procedures fit the three protocols (spec 31 §1–§6, 40 §7, 50 D):
 * - sanlock: a session is a registered connection, one for each lockspace; its calls are those of
 *   the sanlock socket. Leases are slots on an LV of the VG.
 * - dlm: a session is the open device of a lockspace, whose requests are the calls; the names of
 *   the cluster and of its nodes are read from configfs, by calls outside of a session. `prepare`
 *   compares the cluster with the VG lock args, `leave` closes by force. Locks are conversions of a
 *   null lock; `adopted` are its orphans. `refreshLv` runs a command on the other nodes.
 * - idm: a session is a connection, one for each lockspace; calls name the drives, which start_vg
 *   and the lock requests list: VgPlace and ResourceRef get these paths with it.
 */
export interface LockManager {
  /** As requests and replies name it. */
  readonly lockType: ManagedLockType;
  readonly traits: ManagerTraits;
  readonly advice: ManagerAdvice;
  /** How long requests wait for one that was killed; then the locks count as not protected. */
  readonly patienceMs: number;
  /** `isChosen`: the global lock has a lock type already; in test mode nothing else is running. */
  isRunning(isChosen: boolean): ManagerSteps<boolean>;
  /**
   * Makes a VG shared; `enableGl`: it carries the global lock, where that lives in a VG. `alignMb`:
   * of the areas of its leases; 0: as large as the device allows.
   */
  initVg(vg: VgPlace, enableGl: boolean, alignMb?: number): ManagerSteps<InitVgOutcome>;
  /** `session` is unique among the lockspaces of this daemon process. */
  open(vg: VgPlace, session: number): ManagerSpace;
  /** With the trait `renamesVgs` only. */
  renameVg(vg: VgPlace): ManagerSteps<Outcome>;
  /** Has the other hosts read the size of an LV anew; null: it cannot reach them. */
  readonly refreshLv: ((path: ByteString) => ManagerSteps<Outcome>) | null;
  /** Lockspaces of an earlier lvmlockd; `vgNames`: of VGs that it is known to have started. */
  findSpaces(vgNames: readonly ByteString[]): ManagerSteps<FoundSpaces>;
  /** With the trait `sendsSigterm` only. */
  findLosses(): ManagerSteps<LossReport>;
  /** Releases locks that it keeps for no living process, of a VG not joined. ENOLS: none. */
  releaseKept(vgName: ByteString): ManagerSteps<ReleaseKeptOutcome>;
  /** Its name of the VG's lockspace: two VGs with one such name are one lockspace to it. */
  spaceName(vgName: ByteString): ByteString;
}

/** Texts for the log, which say what the administrator is to do. */
export interface ManagerAdvice {
  /** The lock manager does not run. */
  readonly notRunning: string;
  /** It keeps locks of an earlier lvmlockd, and refuses the join (BUSY). */
  readonly keptLocks: string;
}

/** One VG's lockspace in a lock manager, with its session: calls in it go out one by one. */
export interface ManagerSpace {
  /** As device-mapper names the device of the leases; '' where they are on no LV. */
  readonly leaseDevice: ByteString;
  /**
   * Quick checks, answered before the lockspace is joined. `hostId` 0: none is set. `adoptOnly`:
   * EADOPT_NONE where the lock manager has not joined it already.
   */
  prepare(hostId: number, adoptOnly?: boolean): ManagerSteps<PrepareOutcome>;
  /** `adopt`: a lockspace that is joined already, with locks of an earlier lvmlockd, is taken. */
  join(adopt: boolean): ManagerSteps<JoinOutcome>;
  /**
   * Has a `prepare` or `join` under way end soon, with CANCELED or, if it was faster, with its
   * outcome. What it still gets later is given back.
   */
  cancel(): ManagerSteps<void>;
  /** During a join with a host id that another host had (`mayBeTaken`). */
  watchRival(): ManagerSteps<RivalWatch>;
  /** Does the lock manager have this lockspace now? */
  presence(): ManagerSteps<Presence>;
  /**
   * Opens a channel that the lock manager ends with the lockspace, whatever ends that: it is told
   * as the end of the session `watchOf`. 'unwatched': there is no such channel now.
   */
  watch(): ManagerSteps<'watching' | 'absent' | 'unwatched'>;
  leave(how: LeaveHow): ManagerSteps<LeaveOutcome>;
  /** Ends the session of a lockspace that could not be started; a membership stays as it is. */
  abandon(): ManagerSteps<void>;
  /**
   * `checkGl`: check first whether this VG's global lock is still enabled. `repair`: a damaged lease
   * may be written anew, if surely nobody holds it. `adopt`: an orphan of the other mode is
   * EADOPT_RETRY; `only`: no orphan is EADOPT_NONE, and nothing is locked.
   */
  lock(
    resource: ResourceRef,
    mode: HeldMode,
    checkGl: boolean,
    repair?: boolean,
    adopt?: Adopt,
  ): ManagerSteps<LockOutcome>;
  convert(held: HeldLock, mode: HeldMode): ManagerSteps<Outcome>;
  unlock(held: HeldLock): ManagerSteps<Outcome>;
  /** With the trait `lvLeases` only, as the two below: the LV's lease becomes a free one. */
  freeLv(resource: ResourceRef): ManagerSteps<Outcome>;
  /** Finds a free lease; MSGSIZE: there is none, and lvm is to extend the device. */
  findFree(): ManagerSteps<Outcome>;
  /**
   * Gives an LV a lease; without a running lockspace too. `isAgain`: an earlier call for it was
   * interrupted, so the lease may be there already. `behind`: lock args of another LV, behind which
   * the search begins; '': where the last one ended.
   */
  initLv(lvUuid: ByteString, isAgain?: boolean, behind?: ByteString): ManagerSteps<InitLvOutcome>;
  /** With `globalLock` in a VG only: does this VG carry it? null: its slot cannot be read. */
  readGl(): ManagerSteps<boolean | null>;
  /** With `globalLock` in a VG only. */
  switchGl(enable: boolean): ManagerSteps<Outcome>;
  /**
   * After the session was lost: opens it again, and takes each of these locks as its own again.
   * `patienceMs`: for locks about which the lock manager cannot say anything yet.
   */
  reattach(held: readonly KnownLock[], patienceMs: number): ManagerSteps<ReattachOutcome>;
  /**
   * The uuids, without dashes, of the VG's LVs that are active on this host, without the LV of the
   * leases; null: it cannot be known. Prepared or not.
   */
  activeLvs(): ManagerSteps<readonly ByteString[] | null>;
  /** With the trait `lvLeases` only: the LVs that have a lease. */
  leasedLvs(): ManagerSteps<readonly ResourceRef[]>;
  /** The host that keeps this one from a lock; null: none, or it cannot be known now. */
  holder(resource: ResourceRef): ManagerSteps<HostSeen | null>;
  /** This host in the lockspace, its name left out; null: it cannot be known now. */
  membership(): ManagerSteps<HostSeen | null>;
  /** In a lock manager of tests: another host seems to hold an LV from now on. */
  readonly pretendHeld?: (lvUuid: ByteString, mode: HeldMode | 'un') => void;
  /** Is another host in the lockspace? */
  otherHosts(): ManagerSteps<HostsOutcome>;
  /** null: hosts cannot tell each other anything here. */
  readonly notices: SpaceNotices | null;
}

/**
 * Hosts of one lockspace tell each other what to read anew. Notices arrive while the lockspace is
 * watched, and may be lost.
 */
export interface SpaceNotices {
  /** AGAIN: something else is being told there; tell it later. A later notice replaces it. */
  tell(notice: RefreshNotice): ManagerSteps<Outcome>;
  /** So long a notice that was told is shown to hosts that listen. */
  readonly shownMs: number;
  /** The devices of this VG's LVs on this host, without that of the leases; null: not known. */
  devices(): ManagerSteps<readonly ActiveLvReply[] | null>;
}

/** The size of an LV has changed. */
export interface RefreshNotice {
  /** Higher with each notice of one host in one boot. */
  readonly order: number;
  /** The first LV_MARK_BYTES of its uuid without dashes; '': any LV of the VG. */
  readonly lvMark: ByteString;
}

/** Enough of a random uuid; an LV with the same mark is read anew for nothing. */
export const LV_MARK_BYTES = 8;

/** As another host told it; heard again and again for as long as it is shown. */
export interface HeardNotice extends RefreshNotice {
  readonly fromHostId: number;
  readonly fromGeneration: number;
}

/** 'quiet': that host has not renewed for a while; 'over': the join has ended, or is ahead. */
export type RivalWatch =
  | { readonly found: 'quiet' | 'over' }
  | { readonly found: 'renewed'; readonly by: HostSeen };

/** 'unknown': it did not answer. */
export type Presence = 'joined' | 'absent' | 'unknown';

/** The number of the channel that watches the lockspace of a session. */
export function watchOf(session: number): number {
  return -session;
}

/** `result` is for lvm (LD_RESULT), `lmResult` the result of the lock manager. */
export interface Outcome {
  readonly result: number;
  readonly lmResult: number;
  /**
   * The lock manager was gone before it answered, and what it did is not known. The same procedure
   * may be run again once the session is open again.
   */
  readonly interrupted?: true;
  /** Another host has the lock, or is about to: `holder` may say which. */
  readonly heldElsewhere?: true;
}

/** A VG, and where the lock manager finds its locks. */
export interface VgPlace {
  readonly vgName: ByteString;
  readonly vgUuid: ByteString;
  readonly vgLockArgs: ByteString;
}

/** A lock of a VG's lockspace. */
export interface ResourceRef {
  readonly scope: LockScope;
  /** GLLK, VGLK, or the LV's uuid. */
  readonly name: ByteString;
  readonly lvLockArgs: ByteString;
}

export type HeldMode = 'sh' | 'ex';

/** A lock that the lock manager holds for lvmlockd. */
export interface HeldLock {
  readonly resource: ResourceRef;
  readonly mode: HeldMode;
  /** Written into the lock's value block when nonzero. */
  readonly newVersion: number;
}

/** A lock held here, to be attached to a new session. */
export interface KnownLock {
  readonly lock: HeldLock;
  /** A conversion to shared was cut, and is done again: then shared is enough. */
  readonly isSteppingDown: boolean;
}

/** A lock that was held here, and is not ours any more. */
export interface LostLock {
  readonly lock: HeldLock;
  /** The host id that owns it now; null: not known. */
  readonly owner: number | null;
}

export interface ReattachOutcome {
  /** `absent`: the lock manager has not joined this lockspace. */
  readonly found: 'attached' | 'absent' | 'unreachable';
  readonly lost: readonly LostLock[];
}

export interface LockOutcome extends Outcome {
  /** Worth another try even for an LV: the holder may release it soon. */
  readonly retry: boolean;
  /** From the value block; 0 when there is none. */
  readonly version: number;
  /** false: this VG does not carry the global lock any more; null: not checked. */
  readonly glEnabled: boolean | null;
  /** The lease is damaged: it is to be repaired, was, or was not. Absent: it is sound. */
  readonly repair?: 'needed' | 'done' | 'refused';
}

/** A lock found in the lock manager that an earlier lvmlockd left. */
export interface AdoptedLock {
  readonly resource: ResourceRef;
  readonly mode: HeldMode;
}

export interface PrepareOutcome extends Outcome {
  /** EHOSTID: the largest host id that the leases have room for; absent: none is set. */
  readonly maxHostId?: number;
  /** This VG's global lock is enabled. */
  readonly glEnabled: boolean;
  /** Of this host id's last join; absent: not known. */
  readonly prevGeneration?: number;
  /** A host of another name had the host id and has not left: it may be running. */
  readonly mayBeTaken?: boolean;
}

export interface JoinOutcome extends Outcome {
  /** With EHOSTID: the host that has the host id. */
  readonly rival?: HostSeen;
  readonly adopted: readonly AdoptedLock[];
  /** LVs whose orphan the lock manager did not hand over. */
  readonly notAdopted: readonly ByteString[];
}

/** A host of a lockspace, for people. */
export interface HostSeen {
  readonly hostId: number;
  /** 0: not known. */
  readonly generation: number;
  /** At its last renewal, by its own monotonic clock; 0: not known. */
  readonly timestampS: number;
  /** FREE, LIVE, FAIL, DEAD, UNKNOWN; '': not known. */
  readonly state: ByteString;
  /** '': not known. */
  readonly name: ByteString;
}

/** `result`: 0 no other host, BUSY others are there or it cannot be known. */
export interface HostsOutcome extends Outcome {
  readonly unknown: boolean;
}

export interface InitLvOutcome extends Outcome {
  readonly lvLockArgs: ByteString;
}

/** What becomes of the locks of a lockspace that is left. */
export interface LeaveHow {
  /** Still held here; empty when `dropAll`. */
  readonly held: readonly HeldLock[];
  /** The VG is being removed: leases become unusable, the lockspace is cleared. */
  readonly removeVg: boolean;
  /** Give up everything at once, even if locks are in use (drop_vg). */
  readonly dropAll: boolean;
}

export interface LeaveOutcome extends Outcome {
  /** The lock manager confirmed that it is left; false: it stays, or there was no answer. */
  readonly confirmed: boolean;
}

export interface InitVgOutcome extends Outcome {
  readonly vgLockArgs: ByteString;
}

/** A lockspace that the lock manager has joined, found at start. */
export interface FoundSpace extends VgPlace {
  readonly hostId: number;
}

export interface FoundSpaces {
  /** false: the lock manager did not answer. */
  readonly answered: boolean;
  readonly spaces: readonly FoundSpace[];
}

/** The lockspaces that the lock manager gives up. */
export interface LossReport {
  /** false: the lock manager did not answer. */
  readonly answered: boolean;
  /** Lockspaces that it removes or loses, by the names of `spaceName`. */
  readonly dying: readonly ByteString[];
}

export interface ReleaseKeptOutcome extends Outcome {
  /** It confirmed that it keeps no lock of that VG: it has no reason to signal lvmlockd. */
  readonly keepsNothing: boolean;
}

/** Success of lvmlockd and of the lock manager. */
export const OK: Outcome = { result: 0, lmResult: 0 };

/** One result for lvm and for the lock manager. */
export function both(result: number): Outcome {
  return { result, lmResult: result };
}
