import type { ByteString } from '../../../base/bytes.ts';
import { ERRNO } from '../../../base/errno.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import type { ResourceText } from '../../../wire/sanlock/strings.ts';
import { both, type ManagerSteps, OK, type Outcome } from '../manager.ts';
import type { SanlockAnswer } from './asks.ts';
import { UNUSED_NAME } from './layout.ts';
import { areaOutcome, isHeld, isHeldElsewhere, isLocalDelay } from './results.ts';
import { ask, type SanlockTimes, sleep } from './slots.ts';

/**
 * Giving the lease at an offset another name. Reading the leader and then writing it anew is no
 * lock: another host may take the lease in between, and would lose it without being told. So the
 * lease is acquired under its old name, which fails where the name is another one or a living host
 * owns it, and released under its new name, in one write of its owner (spec 31 §2).
 */

export interface Renaming {
  /** The registered connection that acquires. */
  readonly session: number;
  /** With the old name. */
  readonly lease: ResourceText;
  readonly newName: ByteString;
}

interface Renamed extends SanlockAnswer {
  /** The answer is the release's: the slot was ours. */
  readonly wasOurs: boolean;
}

/** How long our own sanlock may be busy with itself; lvm waits, and asks again after an AGAIN. */
const DELAY_TRIES = 10;
const DELAY_PAUSE_MS = 500;

/**
 * The answer of the first call that failed, or that of the release. While our own sanlock cannot
 * acquire just now, the same lease is tried again: that says nothing about who has it.
 */
function* rename(how: Renaming, times: SanlockTimes): ManagerSteps<Renamed> {
  const { session, lease, newName } = how;
  let got = yield* acquireOwn(how, times);
  for (let tries = 1; isLocalDelay(got) && tries < DELAY_TRIES; tries++) {
    yield* sleep(DELAY_PAUSE_MS);
    got = yield* acquireOwn(how, times);
  }
  if (got.code < 0 || !got.answered) return { ...got, wasOurs: false };
  const resources = [lease, { ...lease, name: newName }];
  const command = { call: 'release', resources, rename: true } as const;
  return { ...(yield* ask(command, times.diskMs, session)), wasOurs: true };
}

/** An earlier call without answer may have left it with us: nobody else uses our connection. */
function* acquireOwn({ session, lease }: Renaming, times: SanlockTimes) {
  const acquire = { call: 'acquire', resource: lease, lvb: false, orphan: false } as const;
  let got = yield* ask(acquire, times.diskMs, session);
  const isLeft = got.code === -ERRNO.EEXIST;
  // A free slot's orphan is nobody's: an lvmlockd ended between the two calls. sanlock knows it by
  // its name, wherever it is, and would refuse every other free slot because of it.
  const isOrphan = got.code === -ERRNO.EUCLEAN && lease.name === UNUSED_NAME;
  if (isOrphan) got = yield* ask({ ...acquire, orphan: true }, times.diskMs, session);
  if (!isLeft && !(isOrphan && got.code >= 0 && got.answered)) return got;
  yield* ask({ call: 'release', resources: [lease], rename: false }, times.diskMs, session);
  return yield* ask(acquire, times.diskMs, session);
}

/** Whose name is in a slot now; null when it cannot be read. */
function* nameIn(lease: ResourceText, times: SanlockTimes): ManagerSteps<ByteString | null> {
  const resource = { ...lease, name: '' };
  const answer = yield* ask({ call: 'readResource', resource }, times.diskMs);
  return answer.code < 0 ? null : answer.name;
}

/** An LV's lease becomes a free slot; INVAL where it is not that LV's, BUSY where it is in use. */
export function* freeLease(
  how: Omit<Renaming, 'newName'>,
  times: SanlockTimes,
): ManagerSteps<Outcome> {
  const answer = yield* rename({ ...how, newName: UNUSED_NAME }, times);
  if (isOtherName(answer)) {
    const name = yield* nameIn(how.lease, times);
    return name === UNUSED_NAME ? OK : both(LD_RESULT.INVAL);
  }
  if (answer.code === SANLOCK_CODES.LEADER_MAGIC) return both(LD_RESULT.INVAL);
  // An EAGAIN that stays may be a living host's shared hold: it is in use, for all that is known.
  return isHeld(answer) ? both(LD_RESULT.BUSY) : laterOr(answer);
}

/** Enables or disables the global lock; AGAIN while another host has it, or changes it. */
export function* switchName(how: Renaming, times: SanlockTimes): ManagerSteps<Outcome> {
  const answer = yield* rename(how, times);
  if (isOtherName(answer)) {
    const name = yield* nameIn(how.lease, times);
    return name === how.newName ? OK : both(LD_RESULT.EARGS);
  }
  return isHeld(answer) ? both(LD_RESULT.AGAIN) : laterOr(answer);
}

/**
 * A free slot becomes an LV's lease. `taken`: somebody else was faster. AGAIN without that: our own
 * sanlock grants nothing for now, and the next slot would fare no better.
 */
export function* takeSlot(
  how: Renaming,
  times: SanlockTimes,
): ManagerSteps<Outcome & { readonly taken: boolean }> {
  const answer = yield* rename(how, times);
  if (answer.wasOurs) return { ...areaOutcome(answer), taken: false };
  const taken = isOtherName(answer) || isHeldElsewhere(answer);
  if (taken || isLocalDelay(answer)) return { ...both(LD_RESULT.AGAIN), taken };
  return { ...areaOutcome(answer), taken: false };
}

function isOtherName({ answered, code }: SanlockAnswer): boolean {
  return answered && code === SANLOCK_CODES.LEADER_RESOURCE;
}

function laterOr(answer: Renamed): Outcome {
  return isLocalDelay(answer) ? both(LD_RESULT.AGAIN) : areaOutcome(answer);
}
