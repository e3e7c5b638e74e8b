import type { ByteString } from '../../../base/bytes.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import { readResource, writeResource } from '../../../wire/sanlock/area-calls.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import { both, type InitLvOutcome, OK, type Outcome, type ResourceRef } from '../manager.ts';
import type { ManagerSteps } from '../steps.ts';
import { ask } from './ask.ts';
import {
  type LeaseSite,
  lvArgsFor,
  offsetOfArgs,
  resourceAt,
  SLOT_FIRST_LV,
  UNUSED_NAME,
} from './layout.ts';
import { takeSlot } from './rename.ts';
import { isNeverWritten } from './repair-lease.ts';
import { areaOutcome, codeOf, isAnswered, isCorrupt, isPastEnd } from './results.ts';
import type { SanlockTimes } from './times.ts';

/** The slots of the LVs: finding a free one, and taking it. */

export type SlotScan = Outcome & {
  readonly offset: number;
  /** The free slot has a leader; false: its area was never written. */
  readonly isWritten: boolean;
};

export interface SlotRange {
  readonly from: number;
  readonly before: number;
  /** A slot of that name refuses the search; '': none does. */
  readonly refuseName: ByteString;
}

/**
 * Finds a free slot from `from` on. An area that was never written is free: lvm zeroes what it adds
 * to the device. A damaged lease is not: it may be an LV's. At the end of the device the answer is
 * -90 and the offset where it ends.
 */
export function* scanFree(
  site: LeaseSite,
  range: SlotRange,
  times: SanlockTimes,
): ManagerSteps<SlotScan> {
  for (let offset = range.from; offset < range.before; offset += site.sizes.alignBytes) {
    const at = { offset, isWritten: true };
    const answer = yield* ask(readResource(resourceAt(site, '', offset)), times.diskMs);
    if (isPastEnd(answer)) return { ...both(LD_RESULT.MSGSIZE), ...at };
    if (codeOf(answer) === SANLOCK_CODES.LEADER_MAGIC) {
      if (yield* isNeverWritten(site, offset, times)) return { ...OK, offset, isWritten: false };
      continue; // damaged: perhaps an LV's
    }
    if (isCorrupt(answer)) continue;
    if (!answer.ok) return { ...areaOutcome(answer), ...at };
    const { name } = answer.value;
    if (name === UNUSED_NAME) return { ...OK, ...at };
    if (range.refuseName !== '' && name === range.refuseName) {
      return { result: LD_RESULT.EXIST, lmResult: 0, ...at };
    }
  }
  return { ...both(LD_RESULT.MSGSIZE), offset: range.before, isWritten: true };
}

/** Reads every slot to the end of the device: only for what nothing else can tell. */
export function* leasedLvs(
  site: LeaseSite,
  times: SanlockTimes,
): ManagerSteps<readonly ResourceRef[]> {
  const { alignBytes } = site.sizes;
  const found: ResourceRef[] = [];
  for (let slot = 0, offset = firstLvOffset(site); slot < MAX_SLOTS; slot++, offset += alignBytes) {
    const answer = yield* ask(readResource(resourceAt(site, '', offset)), times.diskMs);
    // lvm zeroes what it adds to the device, and fills it from the front.
    if (isPastEnd(answer) || (!answer.ok && !isAnswered(answer))) break;
    const hasNoLeader = codeOf(answer) === SANLOCK_CODES.LEADER_MAGIC;
    if (hasNoLeader && (yield* isNeverWritten(site, offset, times))) break;
    if (!answer.ok || answer.value.name === UNUSED_NAME) continue;
    found.push({ scope: 'lv', name: answer.value.name, lvLockArgs: lvArgsFor(offset) });
  }
  return found;
}

/** More than lvmlockd keeps locks of. */
const MAX_SLOTS = 10_000;

export function firstLvOffset(site: LeaseSite): number {
  return SLOT_FIRST_LV * site.sizes.alignBytes;
}

/** The slot after that of an LV with these lock args; null: they name no slot of an LV. */
export function offsetBehind(site: LeaseSite, lvLockArgs: ByteString): number | null {
  const offset = offsetOfArgs(lvLockArgs);
  const { alignBytes } = site.sizes;
  if (offset === null || offset % alignBytes !== 0) return null;
  return Math.max(offset + alignBytes, firstLvOffset(site));
}

/**
 * Takes the first free slot from `from` on for an LV. In a running lockspace the slot is acquired,
 * so that no other host takes it at the same time; lvm's VG lock keeps hosts apart otherwise, and
 * where an area was never written.
 */
export function* initLv(
  site: LeaseSite,
  want: {
    readonly lvUuid: ByteString;
    readonly from: number;
    /** The registered connection; null: the VG's lockspace does not run here. */
    readonly session: number | null;
    /** An earlier call for this LV was interrupted: it may have taken a slot. */
    readonly isAgain: boolean;
    /** A search has just read the slot at `from`, and found it free. */
    readonly isSeenFree: boolean;
  },
  times: SanlockTimes,
): ManagerSteps<InitLvOutcome & { readonly offset: number }> {
  const { lvUuid, session } = want;
  const { alignBytes } = site.sizes;
  const before = Number.MAX_SAFE_INTEGER;
  for (let { from, isSeenFree } = want; ; isSeenFree = false) {
    const found: SlotScan =
      isSeenFree && session !== null
        ? { ...OK, offset: from, isWritten: true }
        : yield* scanFree(site, { from, before, refuseName: lvUuid }, times);
    const { offset, result } = found;
    if (result === LD_RESULT.EXIST && want.isAgain) {
      return { ...OK, offset, lvLockArgs: lvArgsFor(offset) };
    }
    if (result !== 0) return { ...found, lmResult: 0, lvLockArgs: '' };
    if (session === null || !found.isWritten) {
      const wrote = yield* ask(writeResource(resourceAt(site, lvUuid, offset)), times.diskMs);
      if (!wrote.ok) return { ...areaOutcome(wrote), offset, lvLockArgs: '' };
      return { ...OK, offset, lvLockArgs: lvArgsFor(offset) };
    }
    const lease = resourceAt(site, UNUSED_NAME, offset);
    const { taken, ...took } = yield* takeSlot({ session, lease, newName: lvUuid }, times);
    if (!taken) {
      return { ...took, offset, lvLockArgs: took.result === 0 ? lvArgsFor(offset) : '' };
    }
    from = offset + alignBytes;
  }
}
