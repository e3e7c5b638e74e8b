import { fail, ok, type Result } from '../../base/result.ts';
import { decode } from '../../codec/struct.ts';
import { MALFORMED, plainCall, type Refusal, requestBytes, type SanlockCall } from './call.ts';
import { RINDEX_FLAGS, SM_CMD, type SmHeader, sanlkRentry } from './socket.ts';
import { type Rentry, type Rindex, rentryBytes, rindexBytes } from './types.ts';

/** Formats an index of resource names and the lease that guards it. */
export function formatRindex(rindex: Rindex): SanlockCall<number> {
  return plain('format_rindex', SM_CMD.FORMAT_RINDEX, rindex);
}

/** Fills the index anew from the leases found on the device. */
export function rebuildRindex(rindex: Rindex): SanlockCall<number> {
  return plain('rebuild_rindex', SM_CMD.REBUILD_RINDEX, rindex);
}

/** Name only: its offset. Offset only: its name. Neither: the first free offset. Both: a check. */
export function lookupRindex(rindex: Rindex, rentry: Rentry): SanlockCall<Rentry> {
  return withEntry({ name: 'lookup_rindex', cmd: SM_CMD.LOOKUP_RINDEX }, rindex, rentry);
}

/** Adds an entry to the index (`ADD`), or removes one (`REM`); the lease itself is not touched. */
export function updateRindex(
  rindex: Rindex,
  rentry: Rentry,
  change: 'ADD' | 'REM',
): SanlockCall<Rentry> {
  const header = { cmdFlags: RINDEX_FLAGS[change] };
  return withEntry({ name: 'update_rindex', cmd: SM_CMD.UPDATE_RINDEX, header }, rindex, rentry);
}

/** Formats a new lease in the first free place and enters its name; answers the offset. */
export function createResource(
  rindex: Rindex,
  rentry: Rentry,
  options: { readonly maxHosts?: number; readonly numHosts?: number } = {},
): SanlockCall<Rentry> {
  const header = { data: options.maxHosts ?? 0, data2: options.numHosts ?? 0 };
  return withEntry(
    { name: 'create_resource', cmd: SM_CMD.CREATE_RESOURCE, header },
    rindex,
    rentry,
  );
}

/** Frees the lease of that name and removes its entry. */
export function deleteResource(rindex: Rindex, rentry: Rentry): SanlockCall<Rentry> {
  return withEntry({ name: 'delete_resource', cmd: SM_CMD.DELETE_RESOURCE }, rindex, rentry);
}

function plain(name: string, cmd: number, rindex: Rindex): SanlockCall<number> {
  return plainCall(name, requestBytes(cmd, {}, [rindexBytes(rindex)]), 'disk');
}

function withEntry(
  command: {
    readonly name: string;
    readonly cmd: number;
    readonly header?: Partial<Pick<SmHeader, 'cmdFlags' | 'data' | 'data2'>>;
  },
  rindex: Rindex,
  rentry: Rentry,
): SanlockCall<Rentry> {
  const parts = [rindexBytes(rindex), rentryBytes(rentry)];
  return {
    name: command.name,
    request: requestBytes(command.cmd, command.header ?? {}, parts),
    reply: 'message',
    patience: 'disk',
    decode: (header, body): Result<Rentry, Refusal> => {
      if (header.data < 0) return fail({ code: header.data, body });
      if (body.length < sanlkRentry.size) return fail({ code: MALFORMED, body });
      return ok(decode(sanlkRentry, body));
    },
  };
}
