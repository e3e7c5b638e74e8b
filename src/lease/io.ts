import { assert } from '../base/assert.ts';
import { fail, ok, type Result } from '../base/result.ts';
import type { LeaseError, LeaseErrorCode } from './lease-error.ts';
import { leaseTimes } from './lease-times.ts';
import type { Member } from './member.ts';
import type { DiskRole, Effect, Reply, Steps } from './steps.ts';

export type Facts = Readonly<Record<string, string | number | bigint>>;

export function leaseError(code: LeaseErrorCode, during: string, facts: Facts = {}): LeaseError {
  return { code, during, facts };
}

export function errnoError(errno: number, during: string, facts: Facts = {}): LeaseError {
  return { code: 'ERRNO', errno, during, facts };
}

/** An I/O that did not end in `done`, as a refusal. */
export function ioError(reply: Reply, during: string): LeaseError {
  assert(reply.outcome !== 'done', 'only a failed or unknown reply is an error');
  if (reply.outcome === 'unknown') return leaseError('AIO_TIMEOUT', during);
  return errnoError(reply.errno, during);
}

export interface Span {
  readonly disk: DiskRole;
  readonly offset: number;
  readonly length: number;
  readonly timeoutMs: number;
}

/** One read; the bytes stay valid until the next yield. */
export function* readSpan(
  span: Span,
  during: string,
): Steps<Result<Timed<Uint8Array>, LeaseError>> {
  const reply = yield { op: 'read', ...span };
  if (reply.outcome !== 'done') return fail(ioError(reply, during));
  assert(reply.bytes.length === span.length, 'a read gives all it asked for');
  return ok({ nowMs: reply.nowMs, value: reply.bytes });
}

export interface Timed<T> {
  readonly nowMs: number;
  readonly value: T;
}

/** One write of whole sectors; its reply is the caller's, who must treat `unknown` as such. */
export function* writeSpan(
  at: { readonly disk: DiskRole; readonly offset: number; readonly timeoutMs: number },
  bytes: Uint8Array,
): Steps<Reply> {
  assert(bytes.length % 512 === 0, 'writes are whole sectors');
  const effect: Effect = { op: 'write', bytes, ...at };
  return yield effect;
}

export function* sleep(forMs: number): Steps<number> {
  const reply = yield { op: 'sleep', forMs };
  return reply.nowMs;
}

/** Work left for later: after t, then every 2·t, until it is done or our stay ends (spec 10 §9.3). */
export function* keepTrying(member: Member, once: () => Steps<'done' | 'again'>): Steps<void> {
  const { ioTimeoutMs, renewalIntervalMs } = leaseTimes(member.ioTimeoutS);
  yield* sleep(ioTimeoutMs);
  while (member.ended?.() !== true) {
    if ((yield* once()) === 'done') return;
    yield* sleep(renewalIntervalMs);
  }
}

/** Waits until no write of ours to that span of the resource is under way; false = one still is. */
export function* settle(
  member: Pick<Member, 'ioTimeoutS'>,
  at: { readonly offset: number; readonly length: number },
): Steps<boolean> {
  const { ioTimeoutMs: timeoutMs } = leaseTimes(member.ioTimeoutS);
  const reply = yield { op: 'settle', disk: 'resource', timeoutMs, ...at };
  return reply.outcome === 'done';
}
