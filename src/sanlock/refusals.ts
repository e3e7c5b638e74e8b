import { unreachable } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import type { LogFields } from '../base/log-fields.ts';
import type { LeaseCommand, LeaseCommandResult } from '../lease-process/messages.ts';
import { log } from './effects.ts';
import type { Front } from './front.ts';
import { resultNumber } from './result-number.ts';
import type { Client, Lockspace, Pending, Resource } from './state.ts';

type Refused = Extract<LeaseCommandResult, { ok: false }>;

/** The log fields of a refusal: its number, and what was found and wanted. */
export function refusalFields({ error }: Pick<Refused, 'error'>): LogFields {
  return { result: resultNumber(error), during: error.during, ...error.facts };
}

/** Logs a command that a lease process refused. */
export function commandRefused(
  front: Front,
  of: Pick<Pending, 'lease' | 'command' | 'resource'>,
  refused: Refused,
): void {
  const { command, resource } = of;
  const space = front.lockspaces.find(({ lease }) => lease === of.lease) ?? null;
  const event = command.op === 'acquire' ? 'lease.refused' : 'lease.failed';
  const fields = {
    ...('hold' in command ? namesOfResource(resource) : namesOf(command)),
    ...(space === null ? {} : { hostId: space.hostId }),
    ...(command.op === 'acquire' ? askerOf(front, command) : { op: command.op }),
    ...refusalFields(refused),
    ...(space === null ? {} : holderFields(front, space, refused)),
  };
  // A lookup of a name that does not exist is no failure.
  const level = command.op === 'index' && command.task.kind === 'lookup' ? 'info' : 'warn';
  log(front, level, event, fields);
}

/** Why this host refuses by itself, and numbers that say more. */
export type Why = LogFields & { readonly reason: string };

/** What was asked for, and by whom. */
export interface AskedLease {
  readonly lockspaceName: ByteString;
  readonly name: ByteString;
  readonly path: ByteString;
  readonly offset: bigint;
  readonly shared: boolean;
  readonly client: Client;
}

/** Logs an acquire that this host refuses by itself, without reading the disk. */
export function acquireRefused(front: Front, of: AskedLease, result: number, why: Why): void {
  const { lockspaceName: lockspace, name: resource, path, offset, client, shared } = of;
  const space = front.liveLockspace(lockspace);
  log(front, 'warn', 'lease.refused', {
    lockspace,
    resource,
    path,
    offset,
    ...(space === null ? {} : { hostId: space.hostId }),
    ...askerFields(client, shared),
    result,
    ...why,
    ...(space === null ? {} : holdersHere(front.findResource(lockspace, resource))),
  });
}

/** Who asked a lease process for a lease; a client that has ended has no name any more. */
function askerOf(
  front: Front,
  { name, shared }: Extract<LeaseCommand, { readonly op: 'acquire' }>,
): LogFields {
  const pid = front.findResource(name.lockspaceName, name.resourceName)?.lastPid;
  const client = pid === undefined ? null : front.clientByPid(pid);
  return client === null ? { mode: modeOf(shared) } : askerFields(client, shared);
}

function askerFields({ pid, ownerName }: Client, shared: boolean): LogFields {
  const name = ownerName === '' ? {} : { clientName: ownerName };
  return { pid, ...name, mode: modeOf(shared) };
}

/** Processes of this host: the first is named, the others are counted. */
function holdersHere(resource: Resource | null): LogFields {
  const [first, ...others] = resource?.holders ?? [];
  if (resource === null || first === undefined) return {};
  const { pid, ownerName } = first.client;
  return {
    holderPid: pid,
    ...(ownerName === '' ? {} : { holderName: ownerName }),
    holderMode: modeOf(resource.shared),
    ...(others.length === 0 ? {} : { moreHolders: others.length }),
  };
}

function modeOf(shared: boolean): 'shared' | 'exclusive' {
  return shared ? 'shared' : 'exclusive';
}

function namesOfResource(resource: Resource | null): LogFields {
  if (resource === null) return {};
  const { lockspace, name, path, offset } = resource;
  return { lockspace: lockspace.name, resource: name, path, offset };
}

function namesOf(command: Extract<LeaseCommand, { readonly area: object }>): LogFields {
  const { path, offset } = command.area;
  const place = { path, offset };
  switch (command.op) {
    case 'readLockspace':
    case 'writeLockspace':
      return { lockspace: command.name, ...place };
    case 'align':
      return place;
    case 'index':
      return { lockspace: command.lockspaceName, resource: nameOf(command.task), ...place };
    case 'acquire':
    case 'recover':
    case 'request':
    case 'readResource':
    case 'readOwners':
    case 'writeResource': {
      const { lockspaceName, resourceName } = command.name;
      return { lockspace: lockspaceName, resource: resourceName, ...place };
    }
    default:
      return unreachable(command);
  }
}

function nameOf(task: Extract<LeaseCommand, { op: 'index' }>['task']): string {
  return 'name' in task ? task.name : '';
}

/** An exclusive request that has met a living sharer. */
function isShared({ code, errno, facts }: Refused['error']): boolean {
  return code === 'ERRNO' && errno === ERRNO.EAGAIN && facts['host'] !== undefined;
}

/** The other host that holds the lease, its name, and how long ago it was seen to renew. */
function holderFields(front: Front, space: Lockspace, { error, leader }: Refused): LogFields {
  const owner = leader === null || leader.timestampS === 0n ? null : Number(leader.ownerId);
  const found = error.facts['owner'] ?? error.facts['host'] ?? owner;
  if (found === null || Number(found) === space.hostId) return {};
  const host = space.hosts.get(Number(found));
  const lver = error.facts['lver'] ?? leader?.lver;
  return {
    ...(error.code === 'ACQUIRE_IDLIVE' ? { reason: 'another host holds it, and is alive' } : {}),
    ...(isShared(error) ? { reason: 'other hosts share it' } : {}),
    owner: Number(found),
    ...(host === undefined ? {} : { ownerName: host.hostName, ageS: front.nowS - host.lastLiveS }),
    ...(lver === undefined ? {} : { lver }),
  };
}
