import type { ByteString } from '../../base/bytes.ts';
import { readByteString } from '../../base/bytes.ts';
import { fail, ok } from '../../base/result.ts';
import { encode, zeroRecord } from '../../codec/struct.ts';
import { plainCall, requestBytes, type SanlockCall } from './call.ts';
import {
  ACQUIRE_FLAGS,
  killpathBody,
  REL_FLAGS,
  REQUEST_FLAGS,
  SM_CMD,
  sanlkOptions,
} from './socket.ts';
import {
  type Lockspace,
  lockspaceBytes,
  type Resource,
  resourceBytes,
  resourceWithDisks,
} from './types.ts';

/** `self`: the connection's own process; a pid: another registered process (spec 20 §6). */
export type Target = 'self' | number;

function targetOf(target: Target): number {
  return target === 'self' ? -1 : target;
}

/** Of `acquire`; a flag that is absent is not set. */
export interface AcquireOptions {
  readonly target?: Target;
  /** Read the lease's value block, so that getLvb and setLvb work. */
  readonly lvb?: boolean;
  /** Also take over an orphan of the same mode. */
  readonly orphan?: boolean;
  /** Only take over an orphan. */
  readonly orphanOnly?: boolean;
  /** Answer −247 rather than wait until a silent owner is surely dead. */
  readonly ownerNowait?: boolean;
  /** What `sanlock client status` calls the connection from then on. */
  readonly ownerName?: ByteString;
}

/** Acquires all or none. RES_FLAGS.SHARED, .PERSISTENT and .LVER are per resource. */
export function acquire(
  resources: readonly Resource[],
  options: AcquireOptions = {},
): SanlockCall<number> {
  const cmdFlags =
    (options.lvb === true ? ACQUIRE_FLAGS.LVB : 0) |
    (options.orphan === true ? ACQUIRE_FLAGS.ORPHAN : 0) |
    (options.orphanOnly === true ? ACQUIRE_FLAGS.ORPHAN_ONLY : 0) |
    (options.ownerNowait === true ? ACQUIRE_FLAGS.OWNER_NOWAIT : 0);
  const header = { cmdFlags, data: resources.length, data2: targetOf(options.target ?? 'self') };
  const end = { ...zeroRecord(sanlkOptions), ownerName: options.ownerName ?? '' };
  const parts = [...resources.flatMap(resourceWithDisks), encode(sanlkOptions, end)];
  return plainCall('acquire', requestBytes(SM_CMD.ACQUIRE, header, parts), 'wait');
}

/** Of `release`; a flag that is absent is not set. */
export interface ReleaseOptions {
  readonly target?: Target;
  /** Everything the target holds; `resources` is ignored. */
  readonly all?: boolean;
  /** The second resource's name becomes the first one's name on disk. */
  readonly rename?: boolean;
  /** Orphans of the one resource, or with an empty name of its lockspace; answers their count. */
  readonly orphan?: boolean;
}

/** Releases leases of the target: with its last holder here a lease becomes free on disk. */
export function release(
  resources: readonly Resource[],
  options: ReleaseOptions = {},
): SanlockCall<number> {
  const cmdFlags =
    (options.all === true ? REL_FLAGS.ALL : 0) |
    (options.rename === true ? REL_FLAGS.RENAME : 0) |
    (options.orphan === true ? REL_FLAGS.ORPHAN : 0);
  const named = options.all === true ? [] : resources;
  const header = { cmdFlags, data: named.length, data2: targetOf(options.target ?? 'self') };
  return plainCall(
    'release',
    requestBytes(SM_CMD.RELEASE, header, named.map(resourceBytes)),
    'disk',
  );
}

/** Converts to shared when the resource has RES_FLAGS.SHARED, else to exclusive. */
export function convert(
  resource: Resource,
  options: { readonly target?: Target; readonly ownerNowait?: boolean } = {},
): SanlockCall<number> {
  const header = {
    cmdFlags: options.ownerNowait === true ? ACQUIRE_FLAGS.OWNER_NOWAIT : 0,
    data2: targetOf(options.target ?? 'self'),
  };
  const request = requestBytes(SM_CMD.CONVERT, header, [resourceBytes(resource)]);
  return plainCall('convert', request, 'wait');
}

/** The answer of `inquire`. */
export interface Holdings {
  readonly count: number;
  /** Resources joined by blanks (`parseState`); null when there are none. */
  readonly state: ByteString | null;
}

/** The leases that a process holds. */
export function inquire(target: Target = 'self'): SanlockCall<Holdings> {
  return {
    name: 'inquire',
    request: requestBytes(SM_CMD.INQUIRE, { data2: targetOf(target) }),
    reply: 'message',
    patience: 'quick',
    decode: (header, body) => {
      if (header.data < 0) return fail({ code: header.data, body });
      const state = body.length === 0 ? null : readByteString(body, 0, body.length);
      return ok({ count: header.data2, state });
    },
  };
}

/** Sets RESTRICT_FLAGS for this connection; they replace earlier ones. */
export function restrict(cmdFlags: number): SanlockCall<number> {
  return plainCall('restrict', requestBytes(SM_CMD.RESTRICT, { cmdFlags, data2: -1 }), 'quick');
}

/** Names the program that the daemon runs instead of SIGTERM when a lockspace is lost. */
export function killpath(
  program: { readonly path: ByteString; readonly args: ByteString },
  options: { readonly appendPid?: boolean; readonly target?: Target } = {},
): SanlockCall<number> {
  const data2 = targetOf(options.target ?? 'self');
  const cmdFlags = options.appendPid === true ? 1 : 0;
  const longest = 126; // libsanlock cuts there (spec 20 §4 KILLPATH)
  const body = encode(killpathBody, {
    path: program.path.slice(0, longest),
    args: program.args.slice(0, longest),
  });
  return plainCall('killpath', requestBytes(SM_CMD.KILLPATH, { cmdFlags, data2 }, [body]), 'quick');
}

/** Asks the owner to release: `forceMode` 1 by force, 2 gracefully, 0 with lver 0 clears. */
export function request(
  resource: Resource,
  options: { readonly forceMode: number; readonly nextLver?: boolean },
): SanlockCall<number> {
  const header = {
    cmdFlags: options.nextLver === true ? REQUEST_FLAGS.NEXT_LVER : 0,
    data: options.forceMode,
  };
  const bytes = requestBytes(SM_CMD.REQUEST, header, resourceWithDisks(resource));
  return plainCall('request', bytes, 'disk');
}

/** Has the daemon read now the requests of other hosts in a lockspace. Always 0. */
export function examineLockspace(lockspace: Lockspace): SanlockCall<number> {
  const parts = [lockspaceBytes(lockspace)];
  return plainCall('examine', requestBytes(SM_CMD.EXAMINE_LOCKSPACE, {}, parts), 'quick');
}

/** Has the daemon read now the requests of other hosts for one resource. Always 0. */
export function examineResource(resource: Resource): SanlockCall<number> {
  const parts = [resourceBytes(resource)];
  return plainCall('examine', requestBytes(SM_CMD.EXAMINE_RESOURCE, {}, parts), 'quick');
}

/** Sets the value block, written with the release of a lease acquired with `lvb`. */
export function setLvb(resource: Resource, lvb: Uint8Array): SanlockCall<number> {
  return plainCall(
    'set_lvb',
    requestBytes(SM_CMD.SET_LVB, {}, [resourceBytes(resource), lvb]),
    'quick',
  );
}

/** The value block read by an acquire with `lvb`. `length` in bytes; 0: the whole sector. */
export function getLvb(resource: Resource, length = 0): SanlockCall<Uint8Array> {
  return {
    name: 'get_lvb',
    request: requestBytes(SM_CMD.GET_LVB, { data2: length }, [resourceBytes(resource)]),
    reply: 'message',
    patience: 'quick',
    decode: (header, body) =>
      header.data < 0 ? fail({ code: header.data, body }) : ok(body.slice()),
  };
}
