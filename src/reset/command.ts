import type { ByteString } from '../base/bytes.ts';
import type { Result } from '../base/result.ts';
import { SECOND_MS } from '../base/units.ts';
import type { SanlockCall } from '../wire/sanlock/call.ts';
import { getHosts, setEvent } from '../wire/sanlock/daemon-calls.ts';
import type { SanlockFailure } from '../wire/sanlock/failure.ts';
import { EVENT_FLAGS } from '../wire/sanlock/socket.ts';
import { RESET_EVENTS } from './reset-events.ts';
import { type Target, type TargetView, TargetWatch } from './target-watch.ts';

const POLL_MS = 2000;

/** What `sanlk-reset reset` asks for (spec 25 §6). */
export interface ResetRequest {
  readonly targets: readonly Target[];
  /** 0n: the one it has now. */
  readonly generation: bigint;
  readonly watchdog: boolean;
  readonly sysrqReboot: boolean;
  readonly resourceMode: boolean;
  readonly nativeTimeout: boolean;
}

export type ResetEffect =
  | { readonly kind: 'call'; readonly call: SanlockCall<unknown> }
  /** Opens an event channel, which stays open until the command ends. */
  | { readonly kind: 'listen'; readonly lockspaceName: ByteString }
  | { readonly kind: 'sleep'; readonly forMs: number }
  | { readonly kind: 'report'; readonly report: ResetReport };

/** Answers each effect, with the events that came since the one before. */
export interface ResetReply {
  readonly nowMs: number;
  readonly received: readonly TargetEvent[];
  /** Of a call or a channel; else null. */
  readonly result: Result<unknown, SanlockFailure> | null;
}

export interface TargetEvent extends Target {
  readonly event: bigint;
  readonly atMs: number;
}

export type ResetReport =
  | { readonly kind: 'asked'; readonly target: Target }
  | { readonly kind: 'notAsked'; readonly target: Target; readonly reason: string }
  /** Its channel could not be opened. */
  | { readonly kind: 'noReplies'; readonly reason: string }
  | { readonly kind: 'replied' }
  | { readonly kind: 'done' | 'failed'; readonly why: string };

type Steps<T> = Generator<ResetEffect, T, ResetReply>;

/** Asks another host to reset itself, and waits for it. @returns whether it has been reset */
export function* resetSteps(request: ResetRequest, startedMs: number): Steps<boolean> {
  const { targets } = request;
  const watch = new TargetWatch(targets, request, seconds(startedMs));
  for (const lockspaceName of new Set(targets.map((target) => target.lockspaceName))) {
    const { result } = take(watch, yield { kind: 'listen', lockspaceName });
    if (result?.ok !== false) continue;
    yield* report({ kind: 'noReplies', reason: result.error.message }, watch);
  }
  const askedMs = yield* ask(request, watch);
  return askedMs !== null && (yield* follow(request, watch, askedMs));
}

/** @returns the time then; null: no lockspace carries the request */
function* ask(request: ResetRequest, watch: TargetWatch): Steps<number | null> {
  const { RESET, REBOOT } = RESET_EVENTS;
  const { generation } = request;
  const event = (request.watchdog ? RESET : 0n) | (request.sysrqReboot ? REBOOT : 0n);
  let askedMs: number | null = null;
  for (const target of request.targets) {
    const order = { hostId: target.hostId, generation, event, data: 0n };
    const call = setEvent(target.lockspaceName, order, EVENT_FLAGS.CUR_GENERATION);
    const set = yield* callTo(call, watch);
    if (set.result.ok) {
      askedMs = set.nowMs;
      yield* report({ kind: 'asked', target }, watch);
    } else {
      yield* report({ kind: 'notAsked', target, reason: set.result.error.message }, watch);
    }
  }
  return askedMs;
}

/** Ends: TargetWatch gives up on a host that neither replies nor dies. */
function* follow(request: ResetRequest, watch: TargetWatch, askedMs: number): Steps<boolean> {
  let nowMs = askedMs;
  let wasReplied = false;
  for (;;) {
    const startedS = seconds(nowMs); // a view is as old as the question
    for (const target of request.targets) {
      const read = yield* callTo(getHosts(target.lockspaceName, target.hostId), watch);
      watch.update(target, viewOf(read.result), startedS);
      nowMs = read.nowMs;
    }
    const verdict = watch.verdict(seconds(nowMs));
    if (watch.hasReply && !wasReplied) yield* report({ kind: 'replied' }, watch);
    wasReplied = watch.hasReply;
    if (verdict.kind !== 'waiting') {
      yield* report(verdict, watch);
      return verdict.kind === 'done';
    }
    nowMs = take(watch, yield { kind: 'sleep', forMs: POLL_MS }).nowMs;
  }
}

function viewOf(found: Result<Hosts, SanlockFailure>): TargetView | null {
  const host = found.ok ? found.value[0] : undefined;
  if (host === undefined) return null;
  return { state: host.flags & 0xf, timestampS: host.timestampS, ioTimeoutS: host.ioTimeoutS };
}

type Hosts = ReturnType<typeof getHosts> extends SanlockCall<infer T> ? T : never;

function* callTo<T>(
  call: SanlockCall<T>,
  watch: TargetWatch,
): Steps<{ readonly nowMs: number; readonly result: Result<T, SanlockFailure> }> {
  const { nowMs, result } = take(watch, yield { kind: 'call', call });
  // A call is answered with what its own `decode` gave.
  return { nowMs, result: result as Result<T, SanlockFailure> };
}

function take(watch: TargetWatch, reply: ResetReply): ResetReply {
  for (const event of reply.received) watch.received(event, seconds(event.atMs));
  return reply;
}

function* report(of: ResetReport, watch: TargetWatch): Steps<void> {
  take(watch, yield { kind: 'report', report: of });
}

function seconds(ms: number): number {
  return Math.floor(ms / SECOND_MS);
}
