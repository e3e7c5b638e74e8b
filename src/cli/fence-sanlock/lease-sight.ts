import type { SanlockClient } from '../../client/sanlock.ts';
import type { Clock } from '../../ports/clock.ts';
import { readResourceOwners } from '../../wire/sanlock/area-calls.ts';
import { textField } from '../../wire/sanlock/records.ts';
import { STATE_TYPES } from '../../wire/sanlock/socket.ts';
import type { StateRecord } from '../../wire/sanlock/types.ts';
import type { FenceStart } from './start-message.ts';
import { FENCE_LOCKSPACE, hostLease } from './storage.ts';

/** What the agent needs of the machine. */
export interface AgentPorts {
  readonly client: Pick<SanlockClient, 'call'>;
  readonly clock: Clock;
  readonly pid: number;
  /** The local fence_sanlockd; null when it does not run. */
  readonly daemonPid: () => number | null;
  /** SIGUSR2: this host is fencing. */
  readonly tellFencing: (daemonPid: number) => void;
  /** Starts the one that waits: null, or why it cannot be told. */
  readonly sendStart: (start: FenceStart) => string | null;
  /** Says whom this agent fences. @throws when it cannot be written */
  readonly writeNote: (text: string) => void;
  readonly removeNote: () => void;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
}

/** Who has a host's lease; null: nobody, the host is off. */
export interface LeaseOwner {
  readonly hostId: bigint;
  readonly generation: bigint;
  readonly timestampS: bigint;
}
export interface LeaseSight {
  readonly owner: LeaseOwner | null;
  readonly lver: bigint;
}

/** null, after a complaint, when there is no such lease or no sanlock. */
export async function readLease(
  { path, hostId }: FenceStart,
  { client, complain }: Pick<AgentPorts, 'client' | 'complain'>,
): Promise<LeaseSight | null> {
  const found = await client.call(readResourceOwners(hostLease(path, hostId)));
  if (!found.ok) {
    complain(`the lease of host ${hostId} cannot be read: ${found.error.message}`);
    return null;
  }
  // Nobody takes these leases shared; the one owner has a timestamp.
  const owner = found.value.hosts.find(({ timestampS }) => timestampS !== 0n) ?? null;
  return { owner, lver: found.value.resource.lver };
}

/** Held by that process, by the record of a status. */
export function isOwnLease(
  record: StateRecord,
  of: FenceStart & { readonly pid: number },
): boolean {
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
