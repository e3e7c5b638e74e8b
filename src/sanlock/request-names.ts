import type { ByteString } from '../base/bytes.ts';
import { decode } from '../codec/struct.ts';
import {
  REL_FLAGS,
  SM_CMD,
  sanlkDisk,
  sanlkLockspace,
  sanlkResource,
  sanlkRindex,
} from '../wire/sanlock/socket.ts';
import type { Request } from './request.ts';

/** What a request is about, as far as its bytes say. */

interface ResourceName {
  readonly lockspaceName: ByteString;
  readonly name: ByteString;
}

/** Their body begins with a lockspace. */
const OF_LOCKSPACE: ReadonlySet<number> = new Set([
  SM_CMD.ADD_LOCKSPACE,
  SM_CMD.REM_LOCKSPACE,
  SM_CMD.INQ_LOCKSPACE,
  SM_CMD.EXAMINE_LOCKSPACE,
  SM_CMD.READ_LOCKSPACE,
  SM_CMD.WRITE_LOCKSPACE,
  SM_CMD.SET_CONFIG,
  SM_CMD.GET_HOSTS,
  SM_CMD.REG_EVENT,
  SM_CMD.END_EVENT,
  SM_CMD.SET_EVENT,
  SM_CMD.SET_HOST,
]);

/** Their body begins with a resource, by its place on the disk. */
const OF_PLACE: ReadonlySet<number> = new Set([
  SM_CMD.REQUEST,
  SM_CMD.EXAMINE_RESOURCE,
  SM_CMD.READ_RESOURCE,
  SM_CMD.READ_RESOURCE_OWNERS,
  SM_CMD.WRITE_RESOURCE,
]);

const OF_INDEX: ReadonlySet<number> = new Set([
  SM_CMD.FORMAT_RINDEX,
  SM_CMD.REBUILD_RINDEX,
  SM_CMD.UPDATE_RINDEX,
  SM_CMD.LOOKUP_RINDEX,
  SM_CMD.CREATE_RESOURCE,
  SM_CMD.DELETE_RESOURCE,
]);

/** The lockspace that the request is about; null: none, or those of its resources. */
export function namedSpace({ header, body }: Request): ByteString | null {
  if (OF_LOCKSPACE.has(header.cmd)) return decode(sanlkLockspace, body).name;
  if (OF_INDEX.has(header.cmd)) return decode(sanlkRindex, body).lockspaceName;
  return OF_PLACE.has(header.cmd) ? decode(sanlkResource, body).lockspaceName : null;
}

/** The leases of this host that the request is about. */
export function namedResources({ header, body }: Request): readonly ResourceName[] {
  switch (header.cmd) {
    case SM_CMD.CONVERT:
    case SM_CMD.SET_LVB:
    case SM_CMD.GET_LVB:
      return [decode(sanlkResource, body)];
    case SM_CMD.RELEASE:
      return Array.from({ length: header.data }, (_, n) =>
        decode(sanlkResource, body, n * sanlkResource.size),
      );
    case SM_CMD.ACQUIRE: {
      const names: ResourceName[] = [];
      let at = 0;
      for (let n = 0; n < header.data; n++) {
        const resource = decode(sanlkResource, body, at);
        names.push(resource);
        at += sanlkResource.size + resource.numDisks * sanlkDisk.size;
      }
      return names;
    }
    default:
      return [];
  }
}

/** It is about all leases of a client. */
export function isAboutAll({ header }: Request): boolean {
  if (header.cmd === SM_CMD.INQUIRE) return true;
  return header.cmd === SM_CMD.RELEASE && (header.cmdFlags & REL_FLAGS.ALL) !== 0;
}
