import type { ByteString } from '../../base/bytes.ts';
import { LD_RESULT } from '../../wire/lvmlockd-numbers.ts';
import { ERRNO, SANLOCK_CODES } from '../../wire/sanlock-codes.ts';
import type { ResourceText } from '../../wire/sanlock-strings.ts';
import { both, type ManagerSteps, OK, type Outcome } from './manager.ts';
import type { SanlockAnswer } from './sanlock-asks.ts';
import { UNUSED_NAME } from './sanlock-layout.ts';
import { areaOutcome, isHeld } from './sanlock-results.ts';
import { ask, type SanlockTimes } from './sanlock-slots.ts';

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

/** The answer of the first call that failed, or that of the release. */
function* rename(how: Renaming, times: SanlockTimes): ManagerSteps<SanlockAnswer> {
  const { session, lease, newName } = how;
  const acquire = { call: 'acquire', resource: lease, lvb: false, orphan: false } as const;
  let got = yield* ask(acquire, times.diskMs, session);
  if (got.code === -ERRNO.EEXIST) {
    // An earlier call without answer left it with us: nobody else uses it under our connection.
    const release = { call: 'release', resources: [lease], rename: false } as const;
    yield* ask(release, times.diskMs, session);
    got = yield* ask(acquire, times.diskMs, session);
  }
  if (got.code < 0 || !got.answered) return got;
  const resources = [lease, { ...lease, name: newName }];
  return yield* ask({ call: 'release', resources, rename: true }, times.diskMs, session);
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
  return isHeld(answer) ? both(LD_RESULT.BUSY) : areaOutcome(answer);
}

/** Enables or disables the global lock; AGAIN while another host has it, or changes it. */
export function* switchName(how: Renaming, times: SanlockTimes): ManagerSteps<Outcome> {
  const answer = yield* rename(how, times);
  if (isOtherName(answer)) {
    const name = yield* nameIn(how.lease, times);
    return name === how.newName ? OK : both(LD_RESULT.EARGS);
  }
  return isHeld(answer) ? both(LD_RESULT.AGAIN) : areaOutcome(answer);
}

/** A free slot becomes an LV's lease. `taken`: somebody else was faster. */
export function* takeSlot(
  how: Renaming,
  times: SanlockTimes,
): ManagerSteps<Outcome & { readonly taken: boolean }> {
  const answer = yield* rename(how, times);
  if (isOtherName(answer) || isHeld(answer)) return { ...both(LD_RESULT.AGAIN), taken: true };
  return { ...areaOutcome(answer), taken: false };
}

function isOtherName({ answered, code }: SanlockAnswer): boolean {
  return answered && code === SANLOCK_CODES.LEADER_RESOURCE;
}
