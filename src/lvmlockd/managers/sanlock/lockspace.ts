import type { ByteString } from '../../../base/bytes.ts';
import { ERRNO } from '../../../base/errno.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import {
  readValueBlock,
  VALUE_BLOCK_BYTES,
  valueBlockBytes,
} from '../../../wire/lvmlockd/value-block.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import { RES_FLAGS } from '../../../wire/sanlock/socket.ts';
import type { ResourceText } from '../../../wire/sanlock/strings.ts';
import {
  type AdoptedLock,
  both,
  type HeldLock,
  type HeldMode,
  type HostsOutcome,
  type InitLvOutcome,
  type JoinOutcome,
  type LeaveHow,
  type LeaveOutcome,
  type LockOutcome,
  type ManagerSpace,
  type ManagerSteps,
  OK,
  type Outcome,
  type PrepareOutcome,
  type ResourceRef,
  type VgPlace,
} from '../manager.ts';
import type { SanlockAnswer, SanlockCommand } from './asks.ts';
import { firstLvOffset, initLv, scanFree } from './free-slots.ts';
import { otherHosts } from './hosts.ts';
import {
  areaAt,
  GL_DISABLED_NAME,
  GL_NAME,
  type LeaseSite,
  lockLvOfArgs,
  lockLvPath,
  lvArgsFor,
  MAX_HOST_ID,
  REMOVED_NAME,
  resourceAt,
  resourceOf,
  SLOT_GL,
  sanlockSpaceName,
  UNUSED_NAME,
  VG_NAME,
} from './layout.ts';
import { freeLease, switchName } from './rename.ts';
import { areaOutcome, convertOutcome, lockOutcome } from './results.ts';
import { ask, deviceAt, type SanlockTimes, siteOf, sleep } from './slots.ts';

export interface SanlockSpaceSettings {
  readonly times: SanlockTimes;
  /** The program sanlock runs when it loses the lockspace. */
  readonly killpath: ByteString;
}

const DEVICE_POLL_MS = 100;
const DEVICE_POLLS = 15; //  lvm has just made the device: udev may need a moment
const JOIN_POLL_MS = 500;
const REMOVE_POLL_MS = 250;
const REMOVE_POLLS = 20; //  for leases that sanlock is still writing free

const NO_LV_NAMES: ReadonlySet<ByteString> = new Set([
  ...[GL_NAME, GL_DISABLED_NAME, VG_NAME, UNUSED_NAME],
]);

/** A VG's lockspace in sanlock, with its registered connection (spec 31 §3, §4). */
export class SanlockSpace implements ManagerSpace {
  readonly #vg: VgPlace;
  readonly #session: number;
  readonly #settings: SanlockSpaceSettings;
  #site: LeaseSite | null = null;
  #hostId = 0;
  /** Where the search for a free slot begins; null: at the first LV slot. */
  #freeFrom: number | null = null;

  constructor(vg: VgPlace, session: number, settings: SanlockSpaceSettings) {
    this.#vg = vg;
    this.#session = session;
    this.#settings = settings;
  }

  get #times(): SanlockTimes {
    return this.#settings.times;
  }

  *prepare(hostId: number): ManagerSteps<PrepareOutcome> {
    const refuse = (result: number) => ({ ...both(result), glEnabled: false });
    const lockLv = lockLvOfArgs(this.#vg.vgLockArgs);
    if (lockLv === null) return refuse(LD_RESULT.EARGS);
    const path = lockLvPath(this.#vg.vgName, lockLv);
    if (!(yield* waitForDevice(path))) return refuse(LD_RESULT.EARGS);
    if (hostId < 1 || hostId > MAX_HOST_ID) return refuse(LD_RESULT.EHOSTID);
    this.#hostId = hostId;
    const { quickMs } = this.#times;
    const commands: SanlockCommand[] = [
      { call: 'register' },
      { call: 'killpath', path: this.#settings.killpath, args: killArgs(this.#vg.vgName) },
      { call: 'restrictSigkill' },
    ];
    for (const command of commands) {
      const answer = yield* this.#ask(command, quickMs);
      if (answer.code < 0) return refuse(LD_RESULT.EMANAGER);
    }
    const site = yield* siteOf(this.#vg, this.#times);
    if (!('path' in site)) return { ...site, glEnabled: false };
    this.#site = site;
    const glName = yield* this.#readGlName(site);
    if (glName !== GL_NAME && glName !== GL_DISABLED_NAME) return refuse(LD_RESULT.EARGS);
    return { ...OK, glEnabled: glName === GL_NAME };
  }

  *join(adopt: boolean): ManagerSteps<JoinOutcome> {
    const site = this.#site;
    if (site === null) return { ...both(LD_RESULT.EARGS), adopted: [] };
    const area = areaAt(site, this.#hostId);
    const { ioTimeoutS, joinMs, quickMs } = this.#times;
    let added = yield* ask({ call: 'addLockspace', area, ioTimeoutS }, joinMs);
    // An earlier lvmlockd was joining or leaving when it ended: sanlock finishes that first.
    for (let waitedMs = 0; isUnderWay(added) && waitedMs < joinMs; waitedMs += JOIN_POLL_MS) {
      yield* sleep(JOIN_POLL_MS);
      added = yield* ask({ call: 'addLockspace', area, ioTimeoutS }, joinMs);
    }
    const wasThere = added.code === -ERRNO.EEXIST && adopt;
    // It keeps what an lvmlockd before left locked: only a person can say that it is unused.
    if (added.code === -ERRNO.EBUSY) return { ...both(LD_RESULT.BUSY), adopted: [] };
    if (added.code < 0 && !wasThere) return { ...areaOutcome(added), adopted: [] };
    const used = yield* ask({ call: 'usedByOrphans', name: site.spaceName }, quickMs);
    if (used.code < 0) {
      if (!wasThere) yield* this.#remove(site, true);
      return { ...areaOutcome(used), adopted: [] };
    }
    return { ...OK, adopted: wasThere ? yield* this.#adoptOrphans(site) : [] };
  }

  /**
   * Takes over what a crashed lvmlockd held. GL and VG locks ended with its commands, and so did
   * the renaming of a free slot.
   */
  *#adoptOrphans(site: LeaseSite): ManagerSteps<AdoptedLock[]> {
    const status = yield* ask({ call: 'status' }, this.#times.quickMs);
    const adopted: AdoptedLock[] = [];
    for (const lease of status.leases) {
      const { resource } = lease;
      if (lease.list !== 'orphan' || resource.lockspaceName !== site.spaceName) continue;
      const disk = resource.disks[0];
      if (disk === undefined) continue;
      const mode: HeldMode = (resource.flags & RES_FLAGS.SHARED) !== 0 ? 'sh' : 'ex';
      const wanted = withMode(resourceAt(site, resource.name, Number(disk.offset)), mode);
      const command = { call: 'acquire', resource: wanted, lvb: false, orphan: true } as const;
      const answer = yield* this.#ask(command, this.#times.diskMs);
      if (answer.code < 0) continue;
      if (NO_LV_NAMES.has(resource.name)) {
        yield* this.#release([wanted]);
        continue;
      }
      const lvLockArgs = lvArgsFor(Number(disk.offset));
      adopted.push({ resource: { scope: 'lv', name: resource.name, lvLockArgs }, mode });
    }
    return adopted;
  }

  *leave(how: LeaveHow): ManagerSteps<LeaveOutcome> {
    const site = this.#site;
    if (site === null) {
      yield* this.#hangUp();
      return { ...OK, confirmed: false };
    }
    // lvm asked before; a host that has joined since then would lose its host lease.
    const others = how.removeVg ? yield* this.otherHosts() : OK;
    const isRemoved = how.removeVg && others.result === 0;
    for (const held of how.held) {
      if (isRemoved && held.resource.scope !== 'lv') yield* this.#releaseRemoved(site, held);
      else yield* this.unlock(held);
    }
    yield* this.#ask({ call: 'releaseAll' }, this.#times.diskMs);
    if (others.result !== 0) return { ...both(others.result), confirmed: false };
    const removed = yield* this.#remove(site, !how.dropAll);
    if (removed.result !== 0) return removed;
    if (isRemoved) {
      const area = areaAt(site, 0, UNUSED_NAME);
      const { ioTimeoutS, diskMs } = this.#times;
      yield* ask({ call: 'writeLockspace', area, ioTimeoutS }, diskMs);
    }
    yield* this.#hangUp();
    return removed;
  }

  /**
   * Orphans would keep sanlock from ever finishing, so it is asked to leave only when unused;
   * a lease that is still being written free gets some time first.
   */
  *#remove(site: LeaseSite, onlyUnused: boolean): ManagerSteps<LeaveOutcome> {
    const area = areaAt(site, this.#hostId);
    const { leaveMs, quickMs } = this.#times;
    for (let poll = 0; onlyUnused && poll < REMOVE_POLLS; poll++) {
      const command = { call: 'remLockspace', area, onlyUnused: true } as const;
      const answer = yield* ask(command, leaveMs);
      if (answer.code !== -ERRNO.EBUSY) return this.#removed(answer, false);
      const status = yield* ask({ call: 'status' }, quickMs);
      const ours = status.leases.filter((one) => one.resource.lockspaceName === site.spaceName);
      if (ours.some((one) => one.list === 'orphan')) {
        return { ...both(LD_RESULT.BUSY), confirmed: false };
      }
      yield* sleep(REMOVE_POLL_MS);
    }
    const command = { call: 'remLockspace', area, onlyUnused: false } as const;
    return this.#removed(yield* ask(command, leaveMs), !onlyUnused);
  }

  /** -2: sanlock has given it up already. Without a daemon there is nothing left to leave. */
  #removed(answer: SanlockAnswer, mustLeave: boolean): LeaveOutcome {
    const confirmed = answer.code >= 0 || answer.code === -ERRNO.ENOENT;
    const isLate = answer.code === -ERRNO.ETIMEDOUT && !mustLeave;
    if (isLate) return { ...both(LD_RESULT.BUSY), confirmed: false };
    if (confirmed || !answer.answered) return { ...OK, confirmed: confirmed && answer.answered };
    return { ...areaOutcome(answer), confirmed: false };
  }

  *abandon(): ManagerSteps<void> {
    yield* this.#hangUp();
  }

  *#hangUp(): ManagerSteps<void> {
    yield* this.#ask({ call: 'hangUp' }, this.#times.quickMs);
  }

  *lock(ref: ResourceRef, mode: HeldMode, checkGl: boolean): ManagerSteps<LockOutcome> {
    const site = this.#site;
    const resource = site === null ? null : resourceOf(site, ref);
    if (site === null || resource === null) return refused(LD_RESULT.REFUSED);
    const glName = checkGl ? yield* this.#readGlName(site) : null;
    const glEnabled = glName === GL_DISABLED_NAME ? false : null;
    if (ref.scope === 'gl' && glEnabled === false) return refused(LD_RESULT.ENOLS, false);
    const wanted = withMode(resource, mode);
    const lvb = ref.scope !== 'lv';
    const answer = yield* this.#acquire(wanted, lvb);
    if (answer.code < 0 || !answer.answered) {
      if (ref.scope === 'gl' && answer.code === SANLOCK_CODES.LEADER_RESOURCE) {
        const now = yield* this.#readGlName(site);
        if (now === GL_DISABLED_NAME) return refused(LD_RESULT.ENOLS, false);
      }
      return { ...lockOutcome(answer, { scope: ref.scope, mode }), glEnabled };
    }
    return lvb ? yield* this.#checkValue(wanted, glEnabled) : { ...granted(0), glEnabled };
  }

  /** A lease that a call without answer left with us, or an orphan of ours, is taken over. */
  *#acquire(resource: ResourceText, lvb: boolean): ManagerSteps<SanlockAnswer> {
    const { diskMs } = this.#times;
    const answer = yield* this.#ask({ call: 'acquire', resource, lvb, orphan: false }, diskMs);
    if (answer.code === -ERRNO.EEXIST) {
      yield* this.#release([resource]);
      return yield* this.#ask({ call: 'acquire', resource, lvb, orphan: false }, diskMs);
    }
    if (answer.code !== -ERRNO.EUCLEAN) return answer;
    return yield* this.#ask({ call: 'acquire', resource, lvb, orphan: true }, diskMs);
  }

  /** An error must not leave the lease behind, so it is released before the refusal. */
  *#checkValue(resource: ResourceText, glEnabled: boolean | null): ManagerSteps<LockOutcome> {
    const length = VALUE_BLOCK_BYTES;
    const answer = yield* this.#ask({ call: 'getLvb', resource, length }, this.#times.quickMs);
    const block = readValueBlock(answer.code < 0 ? new Uint8Array(0) : answer.bytes);
    if (block.isReadable && !block.isRemoved) return { ...granted(block.version), glEnabled };
    yield* this.#release([resource]);
    return refused(block.isReadable ? LD_RESULT.EREMOVED : LD_RESULT.INVAL, glEnabled);
  }

  *convert(held: HeldLock, mode: HeldMode): ManagerSteps<Outcome> {
    const site = this.#site;
    const resource = site === null ? null : resourceOf(site, held.resource);
    if (resource === null) return both(LD_RESULT.REFUSED);
    yield* this.#writeVersion(resource, held);
    const wanted = withMode(resource, mode);
    const answer = yield* this.#ask({ call: 'convert', resource: wanted }, this.#times.diskMs);
    if (answer.code === -ERRNO.EALREADY) return OK;
    return convertOutcome(answer);
  }

  /** sanlock goes on trying when the disk does not let it: for us the lock is gone either way. */
  *unlock(held: HeldLock): ManagerSteps<Outcome> {
    const site = this.#site;
    const resource = site === null ? null : resourceOf(site, held.resource);
    if (resource === null) return OK;
    yield* this.#writeVersion(resource, held);
    const answer = yield* this.#release([resource]);
    return { result: 0, lmResult: answer.code < 0 ? LD_RESULT.ELMERR : 0 };
  }

  *#writeVersion(resource: ResourceText, held: HeldLock): ManagerSteps<void> {
    if (held.newVersion === 0 || held.resource.scope === 'lv') return;
    const lvb = valueBlockBytes(held.newVersion);
    yield* this.#ask({ call: 'setLvb', resource, lvb }, this.#times.quickMs);
  }

  *#releaseRemoved(site: LeaseSite, held: HeldLock): ManagerSteps<void> {
    const resource = resourceOf(site, held.resource);
    if (resource === null) return;
    const resources = [resource, { ...resource, name: REMOVED_NAME }];
    yield* this.#ask({ call: 'release', resources, rename: true }, this.#times.diskMs);
  }

  *freeLv(ref: ResourceRef): ManagerSteps<Outcome> {
    const site = this.#site;
    const resource = site === null ? null : resourceOf(site, ref);
    const offset = Number(resource?.disks[0]?.offset ?? 0n);
    if (site === null || resource === null || offset < firstLvOffset(site)) {
      return both(LD_RESULT.REFUSED);
    }
    return yield* freeLease({ session: this.#session, lease: resource }, this.#times);
  }

  *findFree(): ManagerSteps<Outcome> {
    const site = this.#site;
    if (site === null) return both(LD_RESULT.EARGS);
    const first = firstLvOffset(site);
    const from = this.#freeFrom ?? first;
    const upward = { from, before: Number.MAX_SAFE_INTEGER, refuseName: '' };
    const above = yield* scanFree(site, upward, this.#times);
    if (above.result === 0 || above.result === LD_RESULT.MSGSIZE) this.#freeFrom = above.offset;
    if (above.result !== LD_RESULT.MSGSIZE || from === first) return withoutOffset(above);
    const below = yield* scanFree(site, { from: first, before: from, refuseName: '' }, this.#times);
    if (below.result === 0) this.#freeFrom = below.offset;
    return withoutOffset(below);
  }

  *initLv(lvUuid: ByteString): ManagerSteps<InitLvOutcome> {
    // Without a running lockspace nobody can acquire: a VG is being made shared.
    const session = this.#site === null ? null : this.#session;
    if (this.#site === null) {
      const found = yield* siteOf(this.#vg, this.#times);
      if (!('path' in found)) return { ...found, lvLockArgs: '' };
      this.#site = found;
    }
    const from = this.#freeFrom ?? firstLvOffset(this.#site);
    const done = yield* initLv(this.#site, { lvUuid, from, session }, this.#times);
    const { result, lmResult, lvLockArgs } = done;
    return { result, lmResult, lvLockArgs };
  }

  *readGl(): ManagerSteps<boolean> {
    return this.#site !== null && (yield* this.#readGlName(this.#site)) === GL_NAME;
  }

  *#readGlName(site: LeaseSite): ManagerSteps<ByteString | null> {
    const resource = resourceAt(site, '', SLOT_GL * site.sizes.alignBytes);
    const answer = yield* ask({ call: 'readResource', resource }, this.#times.diskMs);
    return answer.code < 0 ? null : answer.name;
  }

  *switchGl(enable: boolean): ManagerSteps<Outcome> {
    const site = this.#site;
    if (site === null) return both(LD_RESULT.EARGS);
    const [oldName, newName] = enable ? [GL_DISABLED_NAME, GL_NAME] : [GL_NAME, GL_DISABLED_NAME];
    const lease = resourceAt(site, oldName, SLOT_GL * site.sizes.alignBytes);
    return yield* switchName({ session: this.#session, lease, newName }, this.#times);
  }

  *otherHosts(): ManagerSteps<HostsOutcome> {
    return yield* otherHosts(sanlockSpaceName(this.#vg.vgName), this.#hostId, this.#times);
  }

  *#release(resources: readonly ResourceText[]): ManagerSteps<SanlockAnswer> {
    return yield* this.#ask({ call: 'release', resources, rename: false }, this.#times.diskMs);
  }

  #ask(command: SanlockCommand, deadlineMs: number): ManagerSteps<SanlockAnswer> {
    return ask(command, deadlineMs, this.#session);
  }
}

function isUnderWay({ code }: SanlockAnswer): boolean {
  return code === -ERRNO.EINPROGRESS || code === -ERRNO.EAGAIN;
}

function* waitForDevice(path: ByteString): ManagerSteps<boolean> {
  for (let poll = 0; poll < DEVICE_POLLS; poll++) {
    const device = yield* deviceAt(path);
    if (device.exists) return true;
    yield* sleep(DEVICE_POLL_MS);
  }
  return false;
}

/** sanlock splits the arguments at blanks; a backslash keeps one. */
function killArgs(vgName: ByteString): ByteString {
  return `--kill ${vgName.replace(/[\\\s]/g, (c) => `\\${c}`)}`;
}

function withMode(resource: ResourceText, mode: HeldMode): ResourceText {
  const flags = (resource.flags & ~RES_FLAGS.SHARED) | RES_FLAGS.PERSISTENT;
  return { ...resource, flags: mode === 'sh' ? flags | RES_FLAGS.SHARED : flags };
}

function granted(version: number): LockOutcome {
  return { ...OK, retry: false, version, glEnabled: null };
}

function refused(result: number, glEnabled: boolean | null = null): LockOutcome {
  return { ...both(result), retry: false, version: 0, glEnabled };
}

function withoutOffset(outcome: Outcome): Outcome {
  return { result: outcome.result, lmResult: outcome.lmResult };
}
