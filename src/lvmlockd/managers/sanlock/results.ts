import { ERRNO } from '../../../base/errno.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import type { Adopt, LockScope } from '../../../wire/lvmlockd/requests.ts';
import { SANLOCK_CODES } from '../../../wire/sanlock/codes.ts';
import type { LockOutcome, Outcome } from '../manager.ts';
import type { SanlockResult } from './ask.ts';

/** sanlock's numbers to ours: they overlap, so none may pass through (spec 30 §3.2, 31 §4). */

const HELD_BY_OTHERS: ReadonlySet<number> = new Set([
  SANLOCK_CODES.ACQUIRE_IDLIVE,
  SANLOCK_CODES.ACQUIRE_OWNED,
  SANLOCK_CODES.ACQUIRE_OTHER,
]);

/** Another host is about to have it, or was faster. */
const CONTENDED: ReadonlySet<number> = new Set([
  SANLOCK_CODES.ACQUIRE_OWNED_RETRY,
  SANLOCK_CODES.DBLOCK_LVER,
  SANLOCK_CODES.DBLOCK_MBAL,
]);

const TRY_LATER: ReadonlySet<number> = new Set([
  -ERRNO.EAGAIN,
  SANLOCK_CODES.AIO_TIMEOUT,
  ...CONTENDED,
]);

/** Its grants pause, it still releases something of that name, or the lockspace is in doubt. */
const LOCAL_DELAY: ReadonlySet<number> = new Set([-ERRNO.EAGAIN, -ERRNO.EBUSY, -ERRNO.ENOSPC]);

const STORAGE: ReadonlySet<number> = new Set([
  -ERRNO.EIO,
  SANLOCK_CODES.DBLOCK_READ,
  SANLOCK_CODES.DBLOCK_WRITE,
  SANLOCK_CODES.LEADER_READ,
  SANLOCK_CODES.LEADER_WRITE,
]);

type Answer = SanlockResult<unknown>;

/** 0, or the negative code of the failure. */
export function codeOf(answer: Answer): number {
  return answer.ok ? 0 : answer.error.code;
}

/** The daemon answered, be it with a refusal; false: not reached, or no answer in time. */
export function isAnswered(answer: Answer): boolean {
  return answer.ok || answer.error.outcome === 'refused';
}

/**
 * The daemon is gone, or went before it answered: what it did with the call is not known. Not a
 * call that took too long: that daemon is there, and remembers.
 */
export function isInterrupted(answer: Answer): boolean {
  if (isAnswered(answer) || answer.ok) return false;
  const { outcome, code } = answer.error;
  return outcome === 'unsent' ? GONE.has(code) : code === -ERRNO.ENOTCONN;
}

/** Connecting failed because nobody listens. */
const GONE: ReadonlySet<number> = new Set([
  -ERRNO.ENOTCONN,
  -ERRNO.ECONNREFUSED,
  -ERRNO.ECONNRESET,
  -ERRNO.ENOENT,
  -ERRNO.EPIPE,
]);

function interrupted(answer: Answer): { readonly interrupted?: true } {
  return isInterrupted(answer) ? { interrupted: true } : {};
}

function heldElsewhere(answer: Answer): { readonly heldElsewhere?: true } {
  return isHeldElsewhere(answer) ? { heldElsewhere: true } : {};
}

/** The refusal's code; 0 for success and for a call without an answer. */
function refusalOf(answer: Answer): number {
  return isAnswered(answer) ? codeOf(answer) : 0;
}

export function lockOutcome(
  answer: Answer,
  asked: { readonly scope: LockScope; readonly mode: 'sh' | 'ex' },
): LockOutcome {
  const result = lockResult(answer, asked.scope);
  const retry = HELD_BY_OTHERS.has(codeOf(answer)) && asked.mode === 'sh';
  const nothing = { version: 0, glEnabled: null };
  const why = { ...interrupted(answer), ...heldElsewhere(answer) };
  return { result, lmResult: result, retry, ...nothing, ...why };
}

function lockResult(answer: Answer, scope: LockScope): number {
  if (answer.ok) return LD_RESULT.OK;
  const code = refusalOf(answer);
  if (code === 0) return LD_RESULT.ELMERR;
  if (code === SANLOCK_CODES.AIO_TIMEOUT) return LD_RESULT.EIOTIMEOUT;
  if (code === -ERRNO.EUCLEAN) return LD_RESULT.EORPHAN;
  if (HELD_BY_OTHERS.has(code) || TRY_LATER.has(code)) return LD_RESULT.AGAIN;
  if (code === -ERRNO.EMSGSIZE && scope === 'lv') return LD_RESULT.MSGSIZE;
  if (STORAGE.has(code) || code === -ERRNO.ENOSPC) return LD_RESULT.ELOCKIO;
  return LD_RESULT.ELMERR;
}

/** Of a request to adopt; null: the answer says nothing about orphans. */
export function adoptResult(answer: Answer, adopt: Adopt): number | null {
  const code = refusalOf(answer);
  if (adopt === 'no') return null;
  if (code === -ERRNO.EUCLEAN) return LD_RESULT.EADOPT_RETRY;
  return adopt === 'only' && code === -ERRNO.ENOENT ? LD_RESULT.EADOPT_NONE : null;
}

export function convertOutcome(answer: Answer): Outcome {
  const result = lockResult(answer, 'vg');
  return { result, lmResult: result, ...interrupted(answer), ...heldElsewhere(answer) };
}

/** A lease that is being released: for lvm it is gone, with or without an answer. */
export function releaseOutcome(answer: Answer): Outcome {
  return { result: 0, lmResult: answer.ok ? 0 : LD_RESULT.ELMERR, ...interrupted(answer) };
}

/**
 * What an acquire says about a lease that lvmlockd held before its sanlock was gone. `otherMode`:
 * this host holds it, but not in the mode asked for. `later`: sanlock cannot tell yet.
 */
export function stillOurs(answer: Answer): 'ours' | 'otherMode' | 'orphan' | 'later' | 'lost' {
  if (answer.ok) return 'ours';
  const code = codeOf(answer);
  if (!isAnswered(answer)) return 'later';
  if (code === -ERRNO.EEXIST) return 'otherMode';
  if (code === -ERRNO.EUCLEAN) return 'orphan';
  const isLater = TRY_LATER.has(code) || LOCAL_DELAY.has(code) || STORAGE.has(code);
  return isLater && code !== SANLOCK_CODES.ACQUIRE_OWNED_RETRY ? 'later' : 'lost';
}

/** A client has the lease, here or on another host, or is about to have it. */
export function isHeld(answer: Answer): boolean {
  const code = refusalOf(answer);
  if (code === SANLOCK_CODES.AIO_TIMEOUT) return false; // the storage, not a holder
  const isOrphan = code === -ERRNO.EUCLEAN;
  return isOrphan || HELD_BY_OTHERS.has(code) || TRY_LATER.has(code);
}

/** Another host, and not our own sanlock's state, keeps us from that lease. */
export function isHeldElsewhere(answer: Answer): boolean {
  const code = refusalOf(answer);
  return HELD_BY_OTHERS.has(code) || CONTENDED.has(code);
}

/** An acquire that our own sanlock refuses for now; says nothing about the lease. */
export function isLocalDelay(answer: Answer): boolean {
  return LOCAL_DELAY.has(refusalOf(answer));
}

/** The lease at that place has another name. */
export function isOtherName(answer: Answer): boolean {
  return refusalOf(answer) === SANLOCK_CODES.LEADER_RESOURCE;
}

/** For formatting, reading and joining. */
export function areaOutcome(answer: Answer): Outcome {
  const result = areaResult(answer);
  return { result, lmResult: result, ...interrupted(answer) };
}

function areaResult(answer: Answer): number {
  if (answer.ok) return LD_RESULT.OK;
  const code = refusalOf(answer);
  if (code === 0) return LD_RESULT.EMANAGER;
  if (code === -ERRNO.ENODEV || code === -ERRNO.EPERM) return LD_RESULT.EDEVOPEN;
  if (code === -ERRNO.EMSGSIZE) return LD_RESULT.MSGSIZE;
  if (STORAGE.has(code) || code === SANLOCK_CODES.AIO_TIMEOUT) return LD_RESULT.ELOCKIO;
  return LD_RESULT.ELMERR;
}

/** Reading or writing there goes past the end of the device. */
export function isPastEnd(answer: Answer): boolean {
  const code = refusalOf(answer);
  return code === -ERRNO.EMSGSIZE || code === -ERRNO.ENOSPC;
}

const CORRUPT: ReadonlySet<number> = new Set([
  SANLOCK_CODES.DBLOCK_CHECKSUM,
  SANLOCK_CODES.LEADER_DIFF,
  SANLOCK_CODES.LEADER_MAGIC,
  SANLOCK_CODES.LEADER_VERSION,
  SANLOCK_CODES.LEADER_LOCKSPACE,
  SANLOCK_CODES.LEADER_CHECKSUM,
]);

/** No host can acquire that lease. Another resource's name in it is no damage, but a wrong place. */
export function isCorrupt(answer: Answer): boolean {
  return isAnswered(answer) && CORRUPT.has(codeOf(answer));
}
