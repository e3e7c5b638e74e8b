import { fail, ok, type Result } from '../../base/result.ts';
import { decode } from '../../codec/struct.ts';
import {
  MALFORMED,
  plainCall,
  type Refusal,
  requestBytes,
  rowOffsets,
  type SanlockCall,
} from './call.ts';
import { SM_CMD, sanlkHost, sanlkLockspace, sanlkResource, WRITE_FLAGS } from './socket.ts';
import type { DiskText } from './strings.ts';
import {
  diskBytes,
  type Host,
  type Lockspace,
  lockspaceBytes,
  type Resource,
  resourceWithDisks,
} from './types.ts';

// Calls about areas on a disk. They need no joined lockspace.

/** Formats a lockspace area. `ioTimeoutS` 0 means 10. */
export function writeLockspace(
  lockspace: Lockspace,
  options: { readonly maxHosts?: number; readonly ioTimeoutS?: number } = {},
): SanlockCall<number> {
  const header = { data: options.maxHosts ?? 0, data2: options.ioTimeoutS ?? 0 };
  const request = requestBytes(SM_CMD.WRITE_LOCKSPACE, header, [lockspaceBytes(lockspace)]);
  return plainCall('write_lockspace', request, 'disk');
}

/**
 * Formats a resource area, over any lease held there. libsanlock sends max_hosts in `data` and
 * num_hosts in `data2`, and the daemon takes num_hosts from `data` (spec 20 §4): so `maxHosts`
 * limits the hosts, and `numHosts` has no effect.
 */
export function writeResource(
  resource: Resource,
  options: {
    readonly maxHosts?: number;
    readonly numHosts?: number;
    readonly clear?: boolean;
  } = {},
): SanlockCall<number> {
  const header = {
    cmdFlags: options.clear === true ? WRITE_FLAGS.CLEAR : 0,
    data: options.maxHosts ?? 0,
    data2: options.numHosts ?? 0,
  };
  const bytes = requestBytes(SM_CMD.WRITE_RESOURCE, header, resourceWithDisks(resource));
  return plainCall('write_resource', bytes, 'disk');
}

/** The answer of `readLockspace`: flags as on disk, seconds of the io timeout. */
export interface LockspaceOnDisk {
  readonly lockspace: Lockspace;
  readonly ioTimeoutS: number;
}

/** Reads the header of a lockspace area. LEADER_MAGIC where none is formatted. */
export function readLockspace(lockspace: Lockspace): SanlockCall<LockspaceOnDisk> {
  return {
    name: 'read_lockspace',
    request: requestBytes(SM_CMD.READ_LOCKSPACE, {}, [lockspaceBytes(lockspace)]),
    reply: 'message',
    patience: 'disk',
    decode: (header, body) => {
      if (header.data < 0) return fail({ code: header.data, body });
      if (body.length < sanlkLockspace.size) return fail({ code: MALFORMED, body });
      return ok({ lockspace: decode(sanlkLockspace, body), ioTimeoutS: header.data2 });
    },
  };
}

/** Reads lver and sizes. Empty names are filled in; names that differ from the disk are refused. */
export function readResource(resource: Resource): SanlockCall<Resource> {
  return {
    name: 'read_resource',
    request: requestBytes(SM_CMD.READ_RESOURCE, {}, resourceWithDisks(resource)),
    reply: 'message',
    patience: 'disk',
    decode: (header, body) => {
      if (header.data < 0) return fail({ code: header.data, body });
      return decodeResource(body, resource.disks);
    },
  };
}

/** The answer of `readResourceOwners`. */
export interface ResourceOwners {
  /** With RES_FLAGS.SHARED when hosts hold it shared. */
  readonly resource: Resource;
  /** The exclusive owner has a timestamp; shared holders have 0. */
  readonly hosts: readonly Host[];
}

/** Reads a lease with its owner or its shared holders. LEADER_MAGIC where none is formatted. */
export function readResourceOwners(resource: Resource): SanlockCall<ResourceOwners> {
  return {
    name: 'read_resource_owners',
    request: requestBytes(SM_CMD.READ_RESOURCE_OWNERS, {}, resourceWithDisks(resource)),
    reply: 'message',
    patience: 'disk',
    decode: (header, body) => {
      if (header.data < 0) return fail({ code: header.data, body });
      const found = decodeResource(body, resource.disks);
      if (!found.ok) return found;
      const rest = body.subarray(sanlkResource.size);
      const hosts = rowOffsets(rest, sanlkHost.size).map((at) => decode(sanlkHost, rest, at));
      return ok({ resource: found.value, hosts });
    },
  };
}

/** The area size in bytes that a device gets by default. */
export function align(disk: DiskText): SanlockCall<number> {
  return plainCall('align', requestBytes(SM_CMD.ALIGN, {}, [diskBytes(disk)]), 'disk');
}

function decodeResource(body: Uint8Array, disks: readonly DiskText[]): Result<Resource, Refusal> {
  if (body.length < sanlkResource.size) return fail({ code: MALFORMED, body });
  return ok({ ...decode(sanlkResource, body), disks });
}
