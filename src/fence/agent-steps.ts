import { assert } from '../base/assert.ts';
import type { Result } from '../base/result.ts';
import type { SanlockCall } from '../wire/sanlock/call.ts';
import type { SanlockFailure } from '../wire/sanlock/failure.ts';
import type { FenceStart } from './start-message.ts';

/** What `fence_sanlock` does, one at a time; each is answered by the reply of its kind. */
export type AgentEffect =
  | { readonly kind: 'call'; readonly call: SanlockCall<unknown> }
  | { readonly kind: 'sleep'; readonly forMs: number }
  /** Finds the local fence_sanlockd. */
  | { readonly kind: 'findDaemon' }
  /** SIGUSR2: this host is fencing. */
  | { readonly kind: 'signalFencing'; readonly daemonPid: number }
  /** Starts the daemon that waits. */
  | { readonly kind: 'sendStart'; readonly start: FenceStart }
  /** Leaves a note for the daemon which host this agent fences; and takes it away. */
  | { readonly kind: 'writeNote'; readonly text: string }
  | { readonly kind: 'removeNote' }
  | { readonly kind: 'print' | 'complain'; readonly text: string };

export type AgentReply =
  | { readonly kind: 'called'; readonly result: Result<unknown, SanlockFailure> }
  /** null: it does not run. */
  | { readonly kind: 'daemon'; readonly pid: number | null }
  /** Of `sendStart` and `writeNote`: null, or why it could not be done. */
  | { readonly kind: 'tried'; readonly failure: string | null }
  | { readonly kind: 'done' };

export type AgentSteps<T> = Generator<AgentEffect, T, AgentReply>;

/** `off`: the host asked about is off. */
export type AgentOutcome = 'done' | 'off' | 'failed';

export function* call<T>(of: SanlockCall<T>): AgentSteps<Result<T, SanlockFailure>> {
  const reply = yield { kind: 'call', call: of };
  assert(reply.kind === 'called', 'a call is answered with its result');
  return reply.result as Result<T, SanlockFailure>; // what the `decode` of this call gave
}

export function* findDaemon(): AgentSteps<number | null> {
  const reply = yield { kind: 'findDaemon' };
  assert(reply.kind === 'daemon', 'the daemon was looked up');
  return reply.pid;
}

/** @returns null, or why it could not be done */
export function* attempt(
  effect: Extract<AgentEffect, { kind: 'sendStart' | 'writeNote' }>,
): AgentSteps<string | null> {
  const reply = yield effect;
  assert(reply.kind === 'tried', 'what was tried has a result');
  return reply.failure;
}

export function* complain(text: string): AgentSteps<void> {
  yield { kind: 'complain', text };
}

export function* print(text: string): AgentSteps<void> {
  yield { kind: 'print', text };
}

export function* sleep(forMs: number): AgentSteps<void> {
  yield { kind: 'sleep', forMs };
}
