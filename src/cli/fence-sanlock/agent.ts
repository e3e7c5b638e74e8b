import { unreachable } from '../../base/assert.ts';
import { type ByteString, nameToText } from '../../base/bytes.ts';
import type { Result } from '../../base/result.ts';
import { align, writeLockspace, writeResource } from '../../wire/sanlock/area-calls.ts';
import { getLockspaces, status } from '../../wire/sanlock/daemon-calls.ts';
import { AGENT_USAGE, type AgentTask } from './agent-options.ts';
import { fenceOff } from './fence-off.ts';
import { type AgentPorts, isOwnLease, readLease } from './lease-sight.ts';
import { AGENT_METADATA } from './metadata.ts';
import { FENCE_VERSION } from './places.ts';
import type { FenceStart } from './start-message.ts';
import {
  FENCE_LOCKSPACE,
  fenceLockspace,
  hostLease,
  MAX_FENCE_HOSTS,
  wrongArea,
} from './storage.ts';

const LOOK_EVERY_MS = 1000;
export const EXIT_OFF = 2;

/** `fence_sanlock` (spec 25 §7). @returns the exit status */
export async function fenceSanlock(
  parsed: Result<AgentTask, string>,
  ports: AgentPorts,
): Promise<number> {
  if (!parsed.ok) {
    ports.complain(parsed.error);
    return 1;
  }
  const task = parsed.value;
  switch (task.kind) {
    case 'usage':
      ports.print(AGENT_USAGE);
      return 0;
    case 'version':
      ports.print(`fence_sanlock version ${FENCE_VERSION} (holdfast)\n`);
      return 0;
    case 'metadata':
      ports.print(AGENT_METADATA);
      return 0;
    case 'init':
      return await initialise(task.path, ports);
    case 'on':
    case 'off':
    case 'status':
      return await onLease(task, ports);
    default:
      return unreachable(task);
  }
}

async function onLease(
  task: Extract<AgentTask, { kind: 'on' | 'off' | 'status' }>,
  ports: AgentPorts,
): Promise<number> {
  const sight = await readLease(task, ports);
  if (sight === null) return 1;
  if (task.kind === 'on') return await switchOn(task, ports);
  if (task.kind === 'off') return await fenceOff(task, sight, ports);
  ports.print(sight.owner === null ? 'Status: OFF\n' : 'Status: ON\n');
  return sight.owner === null ? EXIT_OFF : 0;
}

/** Ends with the daemons it waits for; whoever fences sets the limit. */
async function switchOn(start: FenceStart, ports: AgentPorts): Promise<number> {
  const { client, clock, daemonPid, complain } = ports;
  for (let isTold = false; ; isTold = true) {
    const pid = daemonPid();
    if (pid === null) {
      complain(isTold ? 'fence_sanlockd ended: see its log' : 'fence_sanlockd is not running here');
      return 1;
    }
    const found = await client.call(status());
    if (!found.ok) {
      complain(`whether host ${start.hostId} is on cannot be told: ${found.error.message}`);
      return 1;
    }
    if (found.value.some((record) => isOwnLease(record, { ...start, pid }))) return 0;
    const untold = isTold ? null : ports.sendStart(start);
    if (untold !== null) {
      complain(`cannot start fence_sanlockd: ${untold}: is it running with -w?`);
      return 1;
    }
    await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve));
  }
}

async function initialise(path: ByteString, ports: AgentPorts): Promise<number> {
  const { client, print, complain } = ports;
  const where = nameToText(path);
  const joined = await client.call(getLockspaces());
  const inUse =
    joined.ok && joined.value.some((one) => one.name === FENCE_LOCKSPACE && one.path === path);
  if (inUse) {
    complain(`sanlock_init: this host is a member of ${where}: stop fence_sanlockd on all hosts`);
    return 1;
  }
  const areas = await client.call(align({ path, offset: 0n }));
  const unfit = areas.ok ? wrongArea(areas.value) : areas.error.message;
  if (unfit !== null) {
    complain(`sanlock_init: ${unfit}`);
    return 1;
  }
  const lockspace = await client.call(writeLockspace(fenceLockspace(path, 0)));
  if (!lockspace.ok) {
    complain(`sanlock_init: the lockspace on ${where}: ${lockspace.error.message}`);
    return 1;
  }
  print(`The lockspace fence on ${where} is made.\n`);
  for (let hostId = 1; hostId <= MAX_FENCE_HOSTS; hostId++) {
    const lease = await client.call(writeResource(hostLease(path, hostId)));
    if (lease.ok) continue;
    complain(`sanlock_init: the lease of host ${hostId} on ${where}: ${lease.error.message}`);
    return 1;
  }
  print(`The leases of ${MAX_FENCE_HOSTS} hosts on ${where} are made.\n`);
  return 0;
}
