import { getLockspaces, status } from '../wire/sanlock/daemon-calls.ts';
import { acquire, release, request } from '../wire/sanlock/lease-calls.ts';
import { agentFileText } from './agent-file.ts';
import {
  type AgentOutcome,
  type AgentSteps,
  attempt,
  call,
  complain,
  findDaemon,
  sleep,
} from './agent-steps.ts';
import { type HostLease, isHeldBy, type LeaseOwner, readLease } from './lease-owner.ts';
import type { FenceStart } from './start-message.ts';
import { FENCE_LOCKSPACE, hostLease } from './storage.ts';

const RETRY_MS = 10_000;
const RELEASE_RETRY_MS = 1000;
const MAX_RELEASES = 3;
/** sanlock's word for "please": the victim's killpath signals its fence_sanlockd. */
const GRACEFUL = 2;

/**
 * Proves that the victim is down, by taking its lease: sanlock grants it when the victim has
 * renewed nothing for 8t + 60 s, and by then its watchdog has fired. A victim that lives is asked
 * to let that happen. No limit here: an agent that gave up would prove nothing (spec 25 §7).
 */
export function* fenceOff(
  victim: FenceStart,
  lease: HostLease,
  pid: number,
): AgentSteps<AgentOutcome> {
  const { owner, lver } = lease;
  if (owner === null) return 'done';
  const daemonPid = yield* findDaemon();
  if (daemonPid === null) {
    yield* complain('fence_sanlockd is not running here: only a member can fence another');
    return 'failed';
  }
  const own = yield* ownHostId(victim);
  if (own === BigInt(victim.hostId)) {
    yield* complain(`host ${victim.hostId} is this host: another one must fence it`);
    return 'failed';
  }
  if (owner.hostId !== BigInt(victim.hostId)) {
    if (owner.hostId === own) return yield* finishEarlier(victim, daemonPid);
    yield* complain(`the lease of host ${victim.hostId} is owned by host ${owner.hostId}`);
    return 'failed';
  }
  const text = agentFileText({ pid, hostId: victim.hostId }, { ...owner, lver });
  const unwritten = yield* attempt({ kind: 'writeNote', text });
  if (unwritten !== null) {
    yield* complain(`cannot say whom this agent fences: ${unwritten}`);
    return 'failed';
  }
  const outcome = yield* takeLease(victim, { owner, lver });
  yield { kind: 'removeNote' };
  return outcome;
}

type OwnedLease = HostLease & { readonly owner: LeaseOwner };

function* takeLease(victim: FenceStart, before: OwnedLease): AgentSteps<AgentOutcome> {
  const lease = hostLease(victim.path, victim.hostId);
  let reported = '';
  for (let attempts = 1; ; attempts++) {
    const daemonPid = yield* findDaemon();
    if (daemonPid === null) {
      yield* complain('fence_sanlockd ended here: fencing is given up');
      return 'failed';
    }
    const taken = yield* call(acquire([lease], { target: daemonPid }));
    if (taken.ok) {
      yield* releaseLease(victim, daemonPid);
      return 'done';
    }
    const { name, message } = taken.error;
    if (reported !== name) yield* complain(`host ${victim.hostId} is not down: ${message}`);
    reported = name;
    if (attempts === 1) yield* askVictim(victim, { lver: before.lver, daemonPid });
    yield* sleep(RETRY_MS);
    const now = yield* readLease(victim);
    if (now === null) return 'failed';
    const change = changeOf(victim, { before: before.owner, now: now.owner });
    if (change === null) continue;
    yield* complain(change.text);
    return change.outcome;
  }
}

/** Once: the victim's watchdog is to fire. */
function* askVictim(
  victim: FenceStart,
  from: { readonly lver: bigint; readonly daemonPid: number },
): AgentSteps<void> {
  yield { kind: 'signalFencing', daemonPid: from.daemonPid };
  const wanted = { ...hostLease(victim.path, victim.hostId), lver: from.lver + 1n };
  const asked = yield* call(request(wanted, { forceMode: GRACEFUL }));
  if (asked.ok) return;
  yield* complain(`host ${victim.hostId} cannot be asked: ${asked.error.message}`);
}

/** What became of the lease meanwhile; null: nothing that decides. */
function changeOf(
  victim: FenceStart,
  lease: { readonly before: LeaseOwner; readonly now: LeaseOwner | null },
): { readonly text: string; readonly outcome: AgentOutcome } | null {
  const { before, now } = lease;
  if (now === null) return null; // free: the next attempt takes it
  if (now.hostId !== before.hostId) {
    const text = `the lease of host ${victim.hostId} was taken by host ${now.hostId}`;
    return { text, outcome: 'failed' };
  }
  if (now.generation <= before.generation) return null;
  const text = `host ${victim.hostId} is back, with generation ${now.generation}: it was reset`;
  return { text, outcome: 'done' };
}

/**
 * The victim's lease is this host's own: an agent was killed between taking and releasing it. The
 * victim was down then, and has not come back since, as it would need that lease.
 */
function* finishEarlier(victim: FenceStart, daemonPid: number): AgentSteps<AgentOutcome> {
  const found = yield* call(status());
  const isHeld =
    found.ok && found.value.some((record) => isHeldBy(record, { ...victim, pid: daemonPid }));
  if (!isHeld) {
    yield* complain(
      `the lease of host ${victim.hostId} is owned by this host, and held by no process`,
    );
    return 'failed';
  }
  yield* releaseLease(victim, daemonPid);
  return 'done';
}

/** Without it the host could not come back; that it is down is true in any case. */
function* releaseLease(victim: FenceStart, daemonPid: number): AgentSteps<void> {
  const lease = hostLease(victim.path, victim.hostId);
  for (let attempts = 1; attempts <= MAX_RELEASES; attempts++) {
    const released = yield* call(release([lease], { target: daemonPid }));
    if (released.ok) return;
    yield* complain(`host ${victim.hostId} is down, its lease is kept: ${released.error.message}`);
    yield* sleep(RELEASE_RETRY_MS);
  }
}

function* ownHostId({ path }: FenceStart): AgentSteps<bigint | null> {
  const joined = yield* call(getLockspaces());
  if (!joined.ok) return null;
  const own = joined.value.find((one) => one.name === FENCE_LOCKSPACE && one.path === path);
  return own?.hostId ?? null;
}
