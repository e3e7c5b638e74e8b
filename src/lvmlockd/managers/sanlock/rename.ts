import type { ByteString } from '../../../base/bytes.ts';
import { ERRNO } from '../../../base/errno.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import { readResource } from '../../../wire/sanlock/area-calls.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import { acquire, release } from '../../../wire/sanlock/lease-calls.ts';
import type { Resource } from '../../../wire/sanlock/types.ts';
import { both, OK, type Outcome } from '../manager.ts';
import { type ManagerSteps, sleep } from '../steps.ts';
import { ask, type SanlockResult } from './ask.ts';
import { UNUSED_NAME } from './layout.ts';
import {
  areaOutcome,
  codeOf,
  isHeld,
  isHeldElsewhere,
  isLocalDelay,
  isOtherName,
} from './results.ts';
import type { SanlockTimes } from './times.ts';

/**
 * Giving the lease at an offset another name. Reading the leader and then writing it anew is no
 * lock: another host may take the lease in between, and would lose it without notice. So the
 * lease is acquired under its old name, which fails where the name is another one or a living host
 * owns it, and released under its new name, in one write of its owner (spec 31 §2).
 */

export interface Renaming {
  /** The registered connection that acquires. */
  readonly session: number;
  /** With the old name. */
  readonly lease: Resource;
  readonly newName: ByteString;
}

interface Renamed {
  /** Of the first call that failed, or of the release. */
  readonly answer: SanlockResult<number>;
  /** The answer is the release's: the slot was ours. */
  readonly wasOurs: boolean;
}

/** How long our own sanlock may be busy with itself; lvm waits, and asks again after an AGAIN. */
const DELAY_TRIES = 10;
const DELAY_PAUSE_MS = 500;

/**
 * Again while the release leaves the old name: a host that tried at the same time has recorded our
 * win in the leader, and then we do not write it.
 */
function* rename(how: Renaming, times: SanlockTimes): ManagerSteps<Renamed> {
  for (let tries = 1; ; tries++) {
    const renamed = yield* renameOnce(how, times);
    const hasOldName = renamed.wasOurs && codeOf(renamed.answer) === SANLOCK_CODES.RELEASE_OWNER;
    if (!hasOldName || tries >= DELAY_TRIES) return renamed;
  }
}

/**
 * While our own sanlock cannot acquire just now, the same lease is tried again: that says nothing
 * about its owner.
 */
function* renameOnce(how: Renaming, times: SanlockTimes): ManagerSteps<Renamed> {
  const { session, lease, newName } = how;
  let got = yield* acquireOwn(how, times);
  for (let tries = 1; isLocalDelay(got) && tries < DELAY_TRIES; tries++) {
    yield* sleep(DELAY_PAUSE_MS);
    got = yield* acquireOwn(how, times);
  }
  if (!got.ok) return { answer: got, wasOurs: false };
  const call = release([lease, { ...lease, name: newName }], { rename: true });
  return { answer: yield* ask(call, times.diskMs, session), wasOurs: true };
}

/** A lease held already is from an earlier call without answer: only lvmlockd uses the session. */
function* acquireOwn({ session, lease }: Renaming, times: SanlockTimes) {
  const get = (orphan: boolean) => {
    const call = acquire([lease], { ownerNowait: true, orphan });
    return ask(call, times.diskMs, session);
  };
  let got = yield* get(false);
  const isLeft = codeOf(got) === -ERRNO.EEXIST;
  // An orphan free slot has no user: an lvmlockd ended between the two calls. sanlock knows it by
  // its name, wherever it is, and would refuse every other free slot because of it.
  const isOrphan = codeOf(got) === -ERRNO.EUCLEAN && lease.name === UNUSED_NAME;
  if (isOrphan) got = yield* get(true);
  if (!isLeft && !(isOrphan && got.ok)) return got;
  yield* ask(release([lease]), times.diskMs, session);
  return yield* get(false);
}

/** The name in a slot now; null when it cannot be read. */
function* nameIn(lease: Resource, times: SanlockTimes): ManagerSteps<ByteString | null> {
  const answer = yield* ask(readResource({ ...lease, name: '' }), times.diskMs);
  return answer.ok ? answer.value.name : null;
}

/** An LV's lease becomes a free slot; INVAL where it is not that LV's, BUSY where it is in use. */
export function* freeLease(
  how: Omit<Renaming, 'newName'>,
  times: SanlockTimes,
): ManagerSteps<Outcome> {
  const { answer } = yield* rename({ ...how, newName: UNUSED_NAME }, times);
  if (isOtherName(answer)) {
    const name = yield* nameIn(how.lease, times);
    return name === UNUSED_NAME ? OK : both(LD_RESULT.INVAL);
  }
  if (codeOf(answer) === SANLOCK_CODES.LEADER_MAGIC) return both(LD_RESULT.INVAL);
  // An EAGAIN that stays may be a living host's shared hold: the lease counts as in use.
  return isHeld(answer) ? both(LD_RESULT.BUSY) : laterOr(answer);
}

/** Enables or disables the global lock; AGAIN while another host has it, or changes it. */
export function* switchName(how: Renaming, times: SanlockTimes): ManagerSteps<Outcome> {
  const { answer } = yield* rename(how, times);
  if (isOtherName(answer)) {
    const name = yield* nameIn(how.lease, times);
    return name === how.newName ? OK : both(LD_RESULT.EARGS);
  }
  return isHeld(answer) ? both(LD_RESULT.AGAIN) : laterOr(answer);
}

/**
 * A free slot becomes an LV's lease. `taken`: another host was faster. AGAIN without that: our own
 * sanlock grants nothing for now, and would refuse the next slot too.
 */
export function* takeSlot(
  how: Renaming,
  times: SanlockTimes,
): ManagerSteps<Outcome & { readonly taken: boolean }> {
  const { answer, wasOurs } = yield* rename(how, times);
  if (wasOurs) return { ...areaOutcome(answer), taken: false };
  const taken = isOtherName(answer) || isHeldElsewhere(answer);
  if (taken || isLocalDelay(answer)) return { ...both(LD_RESULT.AGAIN), taken };
  return { ...areaOutcome(answer), taken: false };
}

function laterOr(answer: SanlockResult<number>): Outcome {
  return isLocalDelay(answer) ? both(LD_RESULT.AGAIN) : areaOutcome(answer);
}
