import { unreachable } from '../base/assert.ts';
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
    ...(command.op === 'acquire' ? {} : { op: command.op }),
    ...refusalFields(refused),
    ...(space === null ? {} : holderFields(front, space, refused)),
  };
  // A lookup of a name that does not exist is no failure.
  const level = command.op === 'index' && command.task.kind === 'lookup' ? 'info' : 'warn';
  log(front, level, event, fields);
}

/** Logs an acquire that this host refuses by itself, without reading the disk. */
export function acquireRefused(
  front: Front,
  of: { readonly lockspaceName: string; readonly name: string; readonly client: Client },
  result: number,
  reason: string,
): void {
  const space = front.liveLockspace(of.lockspaceName);
  const holder = front.findResource(of.lockspaceName, of.name)?.holders[0]?.client;
  log(front, 'warn', 'lease.refused', {
    lockspace: of.lockspaceName,
    resource: of.name,
    ...(space === null ? {} : { hostId: space.hostId }),
    pid: of.client.pid,
    result,
    reason,
    ...(holder === undefined ? {} : { holderPid: holder.pid, holderName: holder.ownerName }),
  });
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

/** The other host that holds the lease, its name, and how long ago it was seen to renew. */
function holderFields(front: Front, space: Lockspace, { error, leader }: Refused): LogFields {
  const owner = leader === null || leader.timestampS === 0n ? null : Number(leader.ownerId);
  const found = error.facts['owner'] ?? error.facts['host'] ?? owner;
  if (found === null || Number(found) === space.hostId) return {};
  const host = space.hosts.get(Number(found));
  const lver = error.facts['lver'] ?? leader?.lver;
  return {
    owner: Number(found),
    ...(host === undefined ? {} : { ownerName: host.hostName, ageS: front.nowS - host.lastLiveS }),
    ...(lver === undefined ? {} : { lver }),
  };
}
