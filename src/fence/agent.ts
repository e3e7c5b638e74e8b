import { unreachable } from '../base/assert.ts';
import { type ByteString, nameToText } from '../base/bytes.ts';
import { align, writeLockspace, writeResource } from '../wire/sanlock/area-calls.ts';
import { getLockspaces, status } from '../wire/sanlock/daemon-calls.ts';
import {
  type AgentOutcome,
  type AgentSteps,
  attempt,
  call,
  complain,
  findDaemon,
  print,
  sleep,
} from './agent-steps.ts';
import { fenceOff } from './fence-off.ts';
import { isHeldBy, readLease } from './lease-owner.ts';
import type { FenceStart } from './start-message.ts';
import {
  FENCE_LOCKSPACE,
  fenceLockspace,
  hostLease,
  MAX_FENCE_HOSTS,
  wrongArea,
} from './storage.ts';

const POLL_MS = 1000;

/** What `fence_sanlock` is asked for (spec 25 §7). */
export type AgentRequest =
  | { readonly kind: 'init'; readonly path: ByteString }
  | ({ readonly kind: 'on' | 'off' | 'status' } & FenceStart);

/** `pid`: this process, for the note it leaves. */
export function* agentSteps(request: AgentRequest, pid: number): AgentSteps<AgentOutcome> {
  switch (request.kind) {
    case 'init':
      return yield* initialise(request.path);
    case 'on':
    case 'off':
    case 'status': {
      const lease = yield* readLease(request);
      if (lease === null) return 'failed';
      if (request.kind === 'on') return yield* switchOn(request);
      if (request.kind === 'off') return yield* fenceOff(request, lease, pid);
      yield* print(lease.owner === null ? 'Status: OFF\n' : 'Status: ON\n');
      return lease.owner === null ? 'off' : 'done';
    }
    default:
      return unreachable(request);
  }
}

/** Ends with the daemons it waits for; the fencing daemon that runs the agent sets the limit. */
function* switchOn(start: FenceStart): AgentSteps<AgentOutcome> {
  for (let isSent = false; ; isSent = true) {
    const pid = yield* findDaemon();
    if (pid === null) {
      const missing = 'fence_sanlockd is not running here';
      yield* complain(isSent ? 'fence_sanlockd ended: see its log' : missing);
      return 'failed';
    }
    const found = yield* call(status());
    if (!found.ok) {
      yield* complain(`whether host ${start.hostId} is on is not known: ${found.error.message}`);
      return 'failed';
    }
    if (found.value.some((record) => isHeldBy(record, { ...start, pid }))) return 'done';
    const unsent = isSent ? null : yield* attempt({ kind: 'sendStart', start });
    if (unsent !== null) {
      yield* complain(`cannot start fence_sanlockd: ${unsent}: is it running with -w?`);
      return 'failed';
    }
    yield* sleep(POLL_MS);
  }
}

function* initialise(path: ByteString): AgentSteps<AgentOutcome> {
  const where = nameToText(path);
  const joined = yield* call(getLockspaces());
  const inUse =
    joined.ok && joined.value.some((one) => one.name === FENCE_LOCKSPACE && one.path === path);
  if (inUse) {
    const what = `this host is a member of ${where}: stop fence_sanlockd on all hosts`;
    yield* complain(`sanlock_init: ${what}`);
    return 'failed';
  }
  const areas = yield* call(align({ path, offset: 0n }));
  const unfit = areas.ok ? wrongArea(areas.value) : areas.error.message;
  if (unfit !== null) {
    yield* complain(`sanlock_init: ${unfit}`);
    return 'failed';
  }
  const lockspace = yield* call(writeLockspace(fenceLockspace(path, 0)));
  if (!lockspace.ok) {
    yield* complain(`sanlock_init: the lockspace on ${where}: ${lockspace.error.message}`);
    return 'failed';
  }
  yield* print(`The lockspace fence on ${where} is made.\n`);
  for (let hostId = 1; hostId <= MAX_FENCE_HOSTS; hostId++) {
    const lease = yield* call(writeResource(hostLease(path, hostId)));
    if (lease.ok) continue;
    const { message } = lease.error;
    yield* complain(`sanlock_init: the lease of host ${hostId} on ${where}: ${message}`);
    return 'failed';
  }
  yield* print(`The leases of ${MAX_FENCE_HOSTS} hosts on ${where} are made.\n`);
  return 'done';
}
