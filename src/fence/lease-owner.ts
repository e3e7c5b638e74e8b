import { readResourceOwners } from '../wire/sanlock/area-calls.ts';
import { textField } from '../wire/sanlock/records.ts';
import { STATE_TYPES } from '../wire/sanlock/socket.ts';
import type { StateRecord } from '../wire/sanlock/types.ts';
import { type AgentSteps, call, complain } from './agent-steps.ts';
import type { FenceStart } from './start-message.ts';
import { FENCE_LOCKSPACE, hostLease } from './storage.ts';

export interface LeaseOwner {
  readonly hostId: bigint;
  readonly generation: bigint;
  readonly timestampS: bigint;
}

/** A host's lease, as it stands on the storage. */
export interface HostLease {
  /** null: no host has it, the host is off. */
  readonly owner: LeaseOwner | null;
  readonly lver: bigint;
}

/** null, after a complaint, when there is no such lease or no sanlock. */
export function* readLease({ path, hostId }: FenceStart): AgentSteps<HostLease | null> {
  const found = yield* call(readResourceOwners(hostLease(path, hostId)));
  if (!found.ok) {
    yield* complain(`the lease of host ${hostId} cannot be read: ${found.error.message}`);
    return null;
  }
  // No program takes these leases shared; the one owner has a timestamp.
  const owner = found.value.hosts.find(({ timestampS }) => timestampS !== 0n) ?? null;
  return { owner, lver: found.value.resource.lver };
}

/** Whether this record of a status is a host's lease, held by that process. */
export function isHeldBy(record: StateRecord, of: FenceStart & { readonly pid: number }): boolean {
  const wanted = hostLease(of.path, of.hostId);
  const { resource, data32: pid } = record;
  if (record.type !== STATE_TYPES.RESOURCE || resource === null || pid !== of.pid) return false;
  const disk = resource.disks[0];
  return (
    textField(record, 'list') === 'held' &&
    resource.lockspaceName === FENCE_LOCKSPACE &&
    resource.name === wanted.name &&
    disk?.path === of.path &&
    disk.offset === wanted.disks[0]?.offset
  );
}
