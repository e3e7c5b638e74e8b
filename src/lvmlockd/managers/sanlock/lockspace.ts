import type { ByteString } from '../../../base/bytes.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import type { Adopt } from '../../../wire/lvmlockd/requests.ts';
import {
  both,
  type HeldLock,
  type HeldMode,
  type HostSeen,
  type HostsOutcome,
  type InitLvOutcome,
  type JoinOutcome,
  type KnownLock,
  type LeaveHow,
  type LeaveOutcome,
  type LockOutcome,
  type ManagerSpace,
  OK,
  type Outcome,
  type PrepareOutcome,
  type Presence,
  type ReattachOutcome,
  type ResourceRef,
  type RivalWatch,
  type SpaceNotices,
  type VgPlace,
  watchOf,
} from '../manager.ts';
import { type ActiveLvReply, activeLvs, done, type ManagerSteps } from '../steps.ts';
import { closeSession } from './ask.ts';
import { firstLvOffset, initLv, leasedLvs, offsetBehind, scanFree } from './free-slots.ts';
import { readGlName, switchGl } from './gl-slot.ts';
import { holderOf, ownHost } from './host-names.ts';
import { tell } from './host-notices.ts';
import { type HostRecord, hostOnDisk, otherHosts } from './hosts.ts';
import { cancelJoin, joinSpace } from './join.ts';
import {
  GL_DISABLED_NAME,
  GL_NAME,
  lockLvDevice,
  lockLvOfArgs,
  lockLvPath,
  MAX_HOST_ID,
  maxHostIdOf,
  resourceOf,
  sanlockSpaceName,
} from './layout.ts';
import { convertLease, lockLease, refused, unlockLease } from './lease-lock.ts';
import { leaveSpace } from './leave.ts';
import type { JoinAttempt, OpenSpace } from './open-space.ts';
import { presenceOf, watchSpace } from './presence.ts';
import { reattachLocks } from './reattach.ts';
import { registerSession } from './registration.ts';
import { freeLease } from './rename.ts';
import { formerOwner, watchRival } from './rival.ts';
import { deviceOnceThere, isJoinedThere, siteOf } from './site.ts';
import type { SanlockTimes } from './times.ts';

export interface SanlockSpaceSettings {
  readonly times: SanlockTimes;
  /** The program sanlock runs when it loses the lockspace. */
  readonly killpath: ByteString;
}

/** For a record that start_vg only tells to lvm. */
const HOST_LEASE_MS = 500;

/** A VG's lockspace in sanlock, with its registered connection (spec 31 §3, §4). */
export class SanlockSpace implements ManagerSpace {
  readonly #vg: VgPlace;
  readonly #session: number;
  readonly #settings: SanlockSpaceSettings;
  readonly #attempt: JoinAttempt = { isCancelled: false, isAdding: false };
  /** Of the host id, and not this host; null: nobody. */
  #formerOwner: HostRecord | null = null;
  /** null: not prepared. */
  #open: OpenSpace | null = null;
  /** Where the search for a free slot begins; null: at the first LV slot. */
  #freeFrom: number | null = null;
  /** Seen free by the last search; whoever takes it makes sure of it by its lease. */
  #seenFree: number | null = null;
  /** Taken here for an LV and not freed here since: a search need not read it. */
  #lastTaken: number | null = null;

  constructor(vg: VgPlace, session: number, settings: SanlockSpaceSettings) {
    this.#vg = vg;
    this.#session = session;
    this.#settings = settings;
  }

  get leaseDevice(): ByteString {
    const { vgName, vgLockArgs } = this.#vg;
    return lockLvDevice(vgName, lockLvOfArgs(vgLockArgs) ?? '');
  }

  *prepare(hostId: number, adoptOnly = false): ManagerSteps<PrepareOutcome> {
    const refuse = (result: number) => ({ ...both(result), glEnabled: false });
    const { vgName, vgLockArgs } = this.#vg;
    const { times, killpath } = this.#settings;
    const lockLv = lockLvOfArgs(vgLockArgs);
    if (lockLv === null) return refuse(LD_RESULT.EARGS);
    const device = yield* deviceOnceThere(lockLvPath(vgName, lockLv));
    if (!device.exists) return refuse(LD_RESULT.EARGS);
    if (this.#attempt.isCancelled) return refuse(LD_RESULT.CANCELED);
    const badHostId = (maxHostId: number) => ({ ...refuse(LD_RESULT.EHOSTID), maxHostId });
    if (hostId < 1 || hostId > MAX_HOST_ID) return badHostId(MAX_HOST_ID);
    const program = { vgName, killpath, quickMs: times.quickMs };
    if (!(yield* registerSession(this.#session, program))) return refuse(LD_RESULT.EMANAGER);
    // It may be forgotten already, and nobody would close the session then.
    if (this.#attempt.isCancelled) yield* closeSession(this.#session);
    if (this.#attempt.isCancelled) return refuse(LD_RESULT.CANCELED);
    if (adoptOnly && !(yield* isJoinedThere(vgName, times))) return refuse(LD_RESULT.EADOPT_NONE);
    const site = yield* siteOf(this.#vg, times);
    if (!('path' in site)) return { ...site, glEnabled: false };
    const maxHostId = maxHostIdOf(site.sizes);
    if (hostId > maxHostId) return badHostId(maxHostId);
    this.#open = { site, hostId, session: this.#session, times };
    const glName = yield* readGlName(site, times);
    if (this.#attempt.isCancelled) return refuse(LD_RESULT.CANCELED);
    if (glName !== GL_NAME && glName !== GL_DISABLED_NAME) return refuse(LD_RESULT.EARGS);
    const before = yield* hostOnDisk(site, hostId, HOST_LEASE_MS);
    const known = before === null ? {} : { prevGeneration: before.generation };
    this.#formerOwner = yield* formerOwner(this.#open, before);
    const taken = this.#formerOwner === null ? {} : { mayBeTaken: true };
    return { ...OK, glEnabled: glName === GL_NAME, ...known, ...taken };
  }

  *join(adopt: boolean): ManagerSteps<JoinOutcome> {
    if (this.#open === null) return { ...both(LD_RESULT.EARGS), adopted: [], notAdopted: [] };
    return yield* joinSpace(this.#open, adopt, this.#attempt);
  }

  *cancel(): ManagerSteps<void> {
    this.#attempt.isCancelled = true;
    if (this.#open !== null) yield* cancelJoin(this.#open, this.#attempt);
  }

  *watchRival(): ManagerSteps<RivalWatch> {
    if (this.#open === null || this.#formerOwner === null) return { found: 'over' };
    return yield* watchRival(this.#open, this.#formerOwner, this.#attempt);
  }

  presence(): ManagerSteps<Presence> {
    return presenceOf(sanlockSpaceName(this.#vg.vgName), this.#settings.times);
  }

  watch(): ManagerSteps<'watching' | 'absent' | 'unwatched'> {
    const name = sanlockSpaceName(this.#vg.vgName);
    return watchSpace(watchOf(this.#session), name, this.#settings.times);
  }

  *leave(how: LeaveHow): ManagerSteps<LeaveOutcome> {
    yield* closeSession(watchOf(this.#session)); // its own end is no news
    if (this.#open !== null) return yield* leaveSpace(this.#open, how);
    yield* closeSession(this.#session);
    return { ...OK, confirmed: false };
  }

  *abandon(): ManagerSteps<void> {
    yield* closeSession(watchOf(this.#session));
    yield* closeSession(this.#session);
  }

  *lock(
    ref: ResourceRef,
    mode: HeldMode,
    checkGl: boolean,
    repair = false,
    adopt: Adopt = 'no',
  ): ManagerSteps<LockOutcome> {
    if (this.#open === null) return refused(LD_RESULT.REFUSED);
    return yield* lockLease(this.#open, ref, { mode, checkGl, repair, adopt });
  }

  *convert(held: HeldLock, mode: HeldMode): ManagerSteps<Outcome> {
    if (this.#open === null) return both(LD_RESULT.REFUSED);
    return yield* convertLease(this.#open, held, mode);
  }

  *unlock(held: HeldLock): ManagerSteps<Outcome> {
    if (this.#open === null) return OK;
    return yield* unlockLease(this.#open, held);
  }

  *freeLv(ref: ResourceRef): ManagerSteps<Outcome> {
    const open = this.#open;
    const resource = open === null ? null : resourceOf(open.site, ref);
    const offset = Number(resource?.disks[0]?.offset ?? 0n);
    if (open === null || resource === null || offset < firstLvOffset(open.site)) {
      return both(LD_RESULT.REFUSED);
    }
    const freed = yield* freeLease({ session: this.#session, lease: resource }, open.times);
    if (freed.result === 0 && offset === this.#lastTaken) this.#lastTaken = null;
    return freed;
  }

  *findFree(): ManagerSteps<Outcome> {
    if (this.#open === null) return both(LD_RESULT.EARGS);
    const { site, times } = this.#open;
    const first = firstLvOffset(site);
    const last = this.#freeFrom ?? first;
    const from = last === this.#lastTaken ? last + site.sizes.alignBytes : last;
    const upward = { from, before: Number.MAX_SAFE_INTEGER, refuseName: '' };
    const above = yield* scanFree(site, upward, times);
    if (above.result === 0 || above.result === LD_RESULT.MSGSIZE) this.#freeFrom = above.offset;
    this.#seenFree = above.result === 0 && above.isWritten ? above.offset : null;
    if (above.result !== LD_RESULT.MSGSIZE || from === first) return withoutOffset(above);
    const below = yield* scanFree(site, { from: first, before: from, refuseName: '' }, times);
    if (below.result === 0) this.#freeFrom = below.offset;
    return withoutOffset(below);
  }

  *initLv(lvUuid: ByteString, isAgain = false, behind = ''): ManagerSteps<InitLvOutcome> {
    // Without a running lockspace no host can acquire: a VG is being made shared.
    const open = this.#open;
    const { times } = this.#settings;
    const site = open === null ? yield* siteOf(this.#vg, times) : open.site;
    if (!('path' in site)) return { ...site, lvLockArgs: '' };
    const from = offsetBehind(site, behind) ?? this.#freeFrom ?? firstLvOffset(site);
    const session = open === null ? null : open.session;
    const isSeenFree = from === this.#seenFree && !isAgain;
    this.#seenFree = null;
    const want = { lvUuid, from, session, isAgain, isSeenFree };
    const { offset, ...done } = yield* initLv(site, want, times);
    if (done.result === 0) this.#lastTaken = offset;
    return done;
  }

  *readGl(): ManagerSteps<boolean | null> {
    if (this.#open === null) return null;
    const name = yield* readGlName(this.#open.site, this.#open.times);
    return name === null ? null : name === GL_NAME;
  }

  *switchGl(enable: boolean): ManagerSteps<Outcome> {
    if (this.#open === null) return both(LD_RESULT.EARGS);
    return yield* switchGl(this.#open, enable);
  }

  *reattach(held: readonly KnownLock[], patienceMs: number): ManagerSteps<ReattachOutcome> {
    if (this.#open === null) return { found: 'absent', lost: [] };
    const { vgName } = this.#vg;
    const { times, killpath } = this.#settings;
    const program = { vgName, killpath, quickMs: times.quickMs };
    yield* closeSession(this.#session); // of an attempt before
    if (!(yield* registerSession(this.#session, program)))
      return { found: 'unreachable', lost: [] };
    return yield* reattachLocks(this.#open, held, patienceMs);
  }

  *activeLvs(): ManagerSteps<readonly ByteString[] | null> {
    const devices = yield* this.#devices();
    return devices === null ? null : [...new Set(devices.map(({ lvUuid }) => lvUuid))];
  }

  /** The LV of the leases is active as long as the lockspace is joined: it tells the VG's uuid. */
  *#devices(): ManagerSteps<readonly ActiveLvReply[] | null> {
    const lvs = yield* activeLvs();
    const lockLv = lvs?.find(({ deviceName }) => deviceName === this.leaseDevice);
    if (lvs === null || lockLv === undefined) return null; // not under device-mapper here
    return lvs.filter(({ vgUuid, lvUuid }) => vgUuid === lockLv.vgUuid && lvUuid !== lockLv.lvUuid);
  }

  *leasedLvs(): ManagerSteps<readonly ResourceRef[]> {
    return this.#open === null ? [] : yield* leasedLvs(this.#open.site, this.#open.times);
  }

  *holder(ref: ResourceRef): ManagerSteps<HostSeen | null> {
    const resource = this.#open === null ? null : resourceOf(this.#open.site, ref);
    if (this.#open === null || resource === null) return null;
    return yield* holderOf(this.#open, resource);
  }

  *membership(): ManagerSteps<HostSeen | null> {
    return this.#open === null ? null : yield* ownHost(this.#open);
  }

  otherHosts(): ManagerSteps<HostsOutcome> {
    if (this.#open === null) return done({ ...both(LD_RESULT.BUSY), unknown: true });
    const { site, hostId, times } = this.#open;
    return otherHosts(site, hostId, times);
  }

  get notices(): SpaceNotices {
    return {
      tell: (notice) =>
        this.#open === null ? done(both(LD_RESULT.ENOLS)) : tell(this.#open, notice),
      shownMs: this.#settings.times.noticeMs,
      devices: () => this.#devices(),
    };
  }
}

function withoutOffset(outcome: Outcome): Outcome {
  const { result, lmResult, interrupted } = outcome;
  return interrupted === undefined ? { result, lmResult } : { result, lmResult, interrupted };
}
