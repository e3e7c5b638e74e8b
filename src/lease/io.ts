import { assert } from '../base/assert.ts';
import { fail, ok, type Result } from '../base/result.ts';
import type { LeaseError, LeaseErrorCode } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import type { Member } from './member.ts';
import type { DiskRole, Effect, Reply, Steps } from './steps.ts';

/** What was found, by name, for logs and texts; no code depends on them. */
export type Facts = Readonly<Record<string, string | number | bigint>>;

/**
 * A refusal.
 * @param during what was attempted, for logs and texts alone
 */
export function leaseError(code: LeaseErrorCode, during: string, facts: Facts = {}): LeaseError {
  return { code, during, facts };
}

/**
 * A refusal with a number of the kernel.
 * @param errno positive
 */
export function errnoError(errno: number, during: string, facts: Facts = {}): LeaseError {
  return { code: 'ERRNO', errno, during, facts };
}

/** An I/O that did not end in `done`, as a refusal: AIO_TIMEOUT for `unknown`, else ERRNO. */
export function ioError(reply: Reply, during: string): LeaseError {
  assert(reply.outcome !== 'done', 'only a failed or unknown reply is an error');
  if (reply.outcome === 'unknown') return leaseError('AIO_TIMEOUT', during);
  return errnoError(reply.errno, during);
}

/** Bytes of one device, in whole sectors, and how long reading them may take. */
export interface Span {
  readonly disk: DiskRole;
  readonly offset: number;
  readonly length: number;
  readonly timeoutMs: number;
}

/**
 * One read; the bytes stay valid until the next yield.
 * @returns AIO_TIMEOUT or ERRNO; EMSGSIZE past the end of the device.
 */
export function* readSpan(
  span: Span,
  during: string,
): Steps<Result<Timed<Uint8Array>, LeaseError>> {
  const reply = yield { op: 'read', ...span };
  if (reply.outcome !== 'done') return fail(ioError(reply, during));
  assert(reply.bytes.length === span.length, 'a read gives all it asked for');
  return ok({ nowMs: reply.nowMs, value: reply.bytes });
}

/** A value, and our monotonic clock when its reply came. */
export interface Timed<T> {
  readonly nowMs: number;
  readonly value: T;
}

/**
 * One write of whole sectors. The caller must distinguish `unknown` from `failed`: the write may still
 * land.
 */
export function* writeSpan(
  at: { readonly disk: DiskRole; readonly offset: number; readonly timeoutMs: number },
  bytes: Uint8Array,
): Steps<Reply> {
  assert(bytes.length % 512 === 0, 'writes are whole sectors');
  const effect: Effect = { op: 'write', bytes, ...at };
  return yield effect;
}

/** Waits, and gives our monotonic clock afterwards, in milliseconds. */
export function* sleep(forMs: number): Steps<number> {
  const reply = yield { op: 'sleep', forMs };
  return reply.nowMs;
}

/**
 * Work that goes on after the answer: after t, then every 2·t, until it is done or our membership
 * ends (spec 10 §9.3).
 */
export function* keepTrying(member: Member, once: () => Steps<'done' | 'again'>): Steps<void> {
  const { ioTimeoutMs, renewalIntervalMs } = leaseTimes(member.ioTimeoutS);
  yield* sleep(ioTimeoutMs);
  while (member.ended?.() !== true) {
    if ((yield* once()) === 'done') return;
    yield* sleep(renewalIntervalMs);
  }
}

/**
 * Waits up to t until no write of ours to that span of the resource is under way; false = one still
 * is.
 */
export function* settle(
  member: Pick<Member, 'ioTimeoutS'>,
  at: { readonly offset: number; readonly length: number },
): Steps<boolean> {
  const { ioTimeoutMs: timeoutMs } = leaseTimes(member.ioTimeoutS);
  const reply = yield { op: 'settle', disk: 'resource', timeoutMs, ...at };
  return reply.outcome === 'done';
}
