import { assert } from '../../../base/assert.ts';
import type { Result } from '../../../base/result.ts';
import type { SanlockCall } from '../../../wire/sanlock/call.ts';
import type { SanlockFailure } from '../../../wire/sanlock/failure.ts';
import type { ManagerReply, ManagerSteps, SessionEffect } from '../steps.ts';

/** The protocol of the effects made here, and only here. */
export const SANLOCK_PROTOCOL = 'sanlock';

export type SanlockResult<T> = Result<T, SanlockFailure>;

/** One call, over the registered connection of a lockspace (`session`) or over any (null). */
export function* ask<T>(
  call: SanlockCall<T>,
  deadlineMs: number,
  session: number | null = null,
): ManagerSteps<SanlockResult<T>> {
  const protocol = SANLOCK_PROTOCOL;
  return answerTo(call, yield { kind: 'call', protocol, session, call, deadlineMs });
}

/** Calls at the same time, all that are given; one or more. @returns answers in their order */
export function* askEach<T>(
  calls: readonly SanlockCall<T>[],
  deadlineMs: number,
): ManagerSteps<readonly SanlockResult<T>[]> {
  assert(calls.length > 0, 'what makes calls has some to make');
  const reply = yield { kind: 'calls', protocol: SANLOCK_PROTOCOL, calls, deadlineMs };
  assert(reply.kind === 'answers', 'calls get answers');
  assert(reply.answers.length === calls.length, 'each call gets an answer');
  return reply.answers as readonly SanlockResult<T>[]; // as with one call: see `answerTo`
}

/** Connects for a lockspace, with `call` as the first one. */
export function* openSession<T>(
  session: number,
  call: SanlockCall<T>,
  deadlineMs: number,
): ManagerSteps<SanlockResult<T>> {
  const protocol = SANLOCK_PROTOCOL;
  return answerTo(call, yield { kind: 'openSession', protocol, session, call, deadlineMs });
}

/** To sanlock the end of a registered connection is the end of the process that registered. */
export function* closeSession(session: number): ManagerSteps<void> {
  yield { kind: 'closeSession', protocol: SANLOCK_PROTOCOL, session };
}

/**
 * The carrier answers an effect with the decoded answer of that very call, or with its failure, and
 * the generator is given nothing else before it goes on. The compiler cannot know this: one
 * generator yields calls of many types, and `yield` has one type of reply.
 */
function answerTo<T>(_call: SanlockCall<T>, reply: ManagerReply): SanlockResult<T> {
  assert(reply.kind === 'answer', 'a call gets an answer');
  return reply.answer as SanlockResult<T>;
}

/** For the carrier: the calls inside an effect of this protocol. */
export function sanlockCallsOf(
  effect: Extract<SessionEffect, { kind: 'calls' }>,
): readonly SanlockCall<unknown>[] {
  assert(effect.protocol === SANLOCK_PROTOCOL, 'a carrier is given calls of its protocol');
  return effect.calls as readonly SanlockCall<unknown>[]; // as they were yielded above
}

/** For the carrier: the call inside an effect of this protocol. */
export function sanlockCallOf(
  effect: Extract<SessionEffect, { kind: 'call' | 'openSession' }>,
): SanlockCall<unknown> {
  assert(effect.protocol === SANLOCK_PROTOCOL, 'a carrier is given calls of its protocol');
  return effect.call as SanlockCall<unknown>; // as it was yielded above
}
