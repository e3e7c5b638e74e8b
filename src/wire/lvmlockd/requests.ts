import type { ByteString } from '../../base/bytes.ts';
import { type Fields, numberOf, textOf } from './libdaemon.ts';
import { LD_OP } from './numbers.ts';

/** The lock types behind which there is a lock manager. */
export type ManagedLockType = 'dlm' | 'sanlock' | 'idm';
/** The lock manager of a VG; `unknown`: a name that no lvmlockd knows. */
export type LockType = ManagedLockType | 'none' | 'unknown';
/**
 * A lock's mode as lvm names it: `un` unlocks, `iv` and `nl` are refused with EINVAL (spec 30
 * §3.1).
 */
export type LockMode = 'iv' | 'un' | 'nl' | 'sh' | 'ex';
/** What is locked: the global lock, a VG or an LV. */
export type LockScope = 'gl' | 'vg' | 'lv';

/** What every request may carry. Absent texts are '' (a client may also write "none"). */
export interface RequestHead {
  readonly op: number;
  /** The command's name, for dumps. */
  readonly cmd: ByteString;
  readonly pid: number;
  readonly lockType: LockType;
}

/**
 * Whether a lock that an earlier lvmlockd left is to be taken. `try`: if there is one; `only`: that
 * and no other lock (spec 31 §8).
 */
export type Adopt = 'no' | 'try' | 'only';

/** lock_gl, lock_vg or lock_lv: takes, converts or gives up a lock (spec 30 §4.7). */
export interface LockRequest extends RequestHead {
  readonly kind: 'lock';
  readonly scope: LockScope;
  readonly mode: LockMode;
  readonly persistent: boolean;
  /** With mode `un`: cancel a queued request when nothing is held. */
  readonly unlockCancel: boolean;
  readonly maxRetries: number;
  readonly adopt: Adopt;
  /** A corrupt lease may be written anew. */
  readonly repair: boolean;
  readonly vgName: ByteString;
  readonly lvUuid: ByteString;
  readonly lvLockArgs: ByteString;
}

/** vg_update: the version that is written with the VG lock when it is released from `ex`. */
export interface UpdateRequest extends RequestHead {
  readonly kind: 'vgUpdate';
  readonly vgName: ByteString;
  readonly version: number;
  readonly nextVersion: boolean;
}

/** query_lock_*: in which mode this host holds a lock; nothing is asked of other hosts. */
export interface QueryRequest extends RequestHead {
  readonly kind: 'query';
  readonly scope: LockScope;
  readonly vgName: ByteString;
  readonly lvUuid: ByteString;
}

/**
 * init_vg: a new VG's lockspace is written; `enable` makes it hold the global lock (spec 30 §4.3).
 */
export interface InitVgRequest extends RequestHead {
  readonly kind: 'initVg';
  readonly vgName: ByteString;
  readonly vgLockArgs: ByteString;
  readonly enable: boolean;
  readonly disable: boolean;
  /** Of the new leases, in MiB; 0: lvmlockd chooses. */
  readonly alignMb: number;
  /** What --setlockargs asks for: words such as `notimeout`. */
  readonly setLockArgs: ByteString;
}

/** init_lv: a new LV's lease is written; the reply says where (spec 30 §4.4). */
export interface InitLvRequest extends RequestHead {
  readonly kind: 'initLv';
  readonly vgName: ByteString;
  readonly vgLockArgs: ByteString;
  readonly lvUuid: ByteString;
  /** The place of the LV converted before: the search for a free one may begin behind it. */
  readonly prevLvArgs: ByteString;
}

/** free_lv: a removed LV's lease is given up (spec 30 §4.4). */
export interface FreeLvRequest extends RequestHead {
  readonly kind: 'freeLv';
  readonly vgName: ByteString;
  readonly lvUuid: ByteString;
  readonly lvLockArgs: ByteString;
}

/** start_vg: joins a VG's lockspace as `hostId`; 0 where lvm gave none (spec 30 §4.5). */
export interface StartRequest extends RequestHead {
  readonly kind: 'startVg';
  readonly vgName: ByteString;
  readonly vgUuid: ByteString;
  readonly vgLockArgs: ByteString;
  readonly hostId: number;
  readonly adopt: Adopt;
  /** A corrupt host lease may be written anew. */
  readonly repair: boolean;
  /** The join is not to wait for a host id whose last owner may be alive. */
  readonly noDelay: boolean;
}

/** find_free_lock: is a lease free for another LV? */
export interface FindFreeRequest extends RequestHead {
  readonly kind: 'findFree';
  readonly vgName: ByteString;
  readonly vgLockArgs: ByteString;
  /** Size of the LV of the leases as lvm knows it; 0: not said. */
  readonly lvSizeBytes: number;
}

/** setlockargs_vg_before, setlockargs_vg_final: changes how a VG's leases work (spec 31 §8). */
export interface SetLockArgsRequest extends RequestHead {
  readonly kind: 'setLockArgsBefore' | 'setLockArgsFinal';
  readonly vgName: ByteString;
  readonly vgLockArgs: ByteString;
  readonly setLockArgs: ByteString;
}

/** vg_status: this host's membership in a VG's lockspace (spec 31 §8). */
export interface VgStatusRequest extends RequestHead {
  readonly kind: 'vgStatus';
  readonly vgName: ByteString;
}

/** set_remote_lv_lock: in test mode, another host is to seem to hold an LV (spec 31 §7). */
export interface RemoteLvLockRequest extends RequestHead {
  readonly kind: 'setRemoteLvLock';
  readonly vgName: ByteString;
  readonly lvUuid: ByteString;
  readonly mode: LockMode;
}

/** Requests about a whole VG, or a VG's lockspace (spec 30 §4.6, §4.8). */
export interface VgRequest extends RequestHead {
  readonly kind:
    | 'busyVg'
    | 'disableGl'
    | 'dropVg'
    | 'enableGl'
    | 'freeVg'
    | 'killVg'
    | 'renameBefore'
    | 'renameFinal'
    | 'stopVg';
  readonly vgName: ByteString;
  readonly vgLockArgs: ByteString;
  readonly force: boolean;
  /** With kill_vg, of holdfast alone: cut the LVs off, and give up the locks. */
  readonly cutsOff: boolean;
}

/**
 * Requests about the daemon, or all lockspaces at once (spec 30 §4.5, §4.6, §4.9). hand_over is
 * holdfast's own: lvmlockd ends and leaves all locks to its successor. lvm2's lvmlockd does not
 * answer it; an earlier holdfast answers op_result −95.
 */
export interface DaemonRequest extends RequestHead {
  readonly kind:
    | 'dump'
    | 'handOver'
    | 'hello'
    | 'info'
    | 'quit'
    | 'runningLm'
    | 'startWait'
    | 'stopAll';
  readonly wait: boolean;
  readonly force: boolean;
}

/** refresh_lv: other hosts are to read an LV anew (spec 30 §4.8, 31 §5.1). */
export interface RefreshRequest extends RequestHead {
  readonly kind: 'refreshLv';
  /** `/dev//VG/LV`: slashes may be repeated. */
  readonly path: ByteString;
  /** With dashes; '' from a client that does not name it. */
  readonly lvUuid: ByteString;
}

/** Every request that this daemon knows, by `kind`. */
export type LvmlockdRequest =
  | DaemonRequest
  | FindFreeRequest
  | FreeLvRequest
  | InitLvRequest
  | InitVgRequest
  | LockRequest
  | QueryRequest
  | RefreshRequest
  | RemoteLvLockRequest
  | SetLockArgsRequest
  | StartRequest
  | UpdateRequest
  | VgRequest
  | VgStatusRequest;

const NAME_BYTES = 64;
const DEFAULT_MAX_RETRIES = 4;
const MAX_RETRIES = 3600;

/**
 * The request that a message holds.
 * @returns null for a name that this daemon does not know: it must still be answered, or the client
 *   waits for ever (spec 30 §2)
 */
export function parseRequest(fields: Fields): LvmlockdRequest | null {
  const name = textOf(fields, 'request');
  return REQUESTS.get(name)?.(fields) ?? null;
}

const REQUESTS: ReadonlyMap<string, (fields: Fields) => LvmlockdRequest> = new Map(
  Object.entries<(fields: Fields) => LvmlockdRequest>({
    hello: (f) => daemonRequest(f, 'hello', LD_OP.HELLO),
    quit: (f) => daemonRequest(f, 'quit', LD_OP.QUIT),
    info: (f) => daemonRequest(f, 'info', LD_OP.DUMP_INFO),
    dump: (f) => daemonRequest(f, 'dump', LD_OP.DUMP_LOG),
    hand_over: (f) => daemonRequest(f, 'handOver', LD_OP.HAND_OVER),
    running_lm: (f) => daemonRequest(f, 'runningLm', LD_OP.RUNNING_LM),
    start_wait: (f) => daemonRequest(f, 'startWait', LD_OP.START_WAIT),
    stop_all: (f) => daemonRequest(f, 'stopAll', LD_OP.STOP_ALL),
    stop_vg: (f) => vgRequest(f, 'stopVg', LD_OP.STOP),
    busy_vg: (f) => vgRequest(f, 'busyVg', LD_OP.BUSY),
    free_vg: (f) => vgRequest(f, 'freeVg', LD_OP.FREE),
    find_free_lock: findFreeRequest,
    enable_gl: (f) => vgRequest(f, 'enableGl', LD_OP.ENABLE),
    disable_gl: (f) => vgRequest(f, 'disableGl', LD_OP.DISABLE),
    kill_plan: (f) => vgRequest(f, 'killVg', LD_OP.KILL_PLAN),
    kill_vg: (f) => vgRequest(f, 'killVg', LD_OP.KILL_VG),
    drop_vg: (f) => vgRequest(f, 'dropVg', LD_OP.DROP_VG),
    rename_vg_before: (f) => vgRequest(f, 'renameBefore', LD_OP.RENAME_BEFORE),
    rename_vg_final: (f) => vgRequest(f, 'renameFinal', LD_OP.RENAME_FINAL),
    lock_gl: (f) => lockRequest(f, 'gl'),
    lock_vg: (f) => lockRequest(f, 'vg'),
    lock_lv: (f) => lockRequest(f, 'lv'),
    query_lock_gl: (f) => queryRequest(f, 'gl'),
    query_lock_vg: (f) => queryRequest(f, 'vg'),
    query_lock_lv: (f) => queryRequest(f, 'lv'),
    vg_update: updateRequest,
    init_vg: initVgRequest,
    init_lv: initLvRequest,
    free_lv: freeLvRequest,
    start_vg: startRequest,
    setlockargs_vg_before: (f) => setLockArgsRequest(f, 'setLockArgsBefore'),
    setlockargs_vg_final: (f) => setLockArgsRequest(f, 'setLockArgsFinal'),
    vg_status: vgStatusRequest,
    set_remote_lv_lock: remoteLvLockRequest,
    refresh_lv: (f) => ({
      ...head(f, LD_OP.REFRESH_LV),
      kind: 'refreshLv',
      path: textOf(f, 'path'),
      lvUuid: textOf(f, 'lv_uuid'),
    }),
  }),
);

function head(fields: Fields, op: number): RequestHead {
  return {
    op,
    cmd: textOf(fields, 'cmd'),
    pid: numberOf(fields, 'pid', 0),
    lockType: lockTypeOf(textOf(fields, 'vg_lock_type')),
  };
}

function lockTypeOf(text: ByteString): LockType {
  if (text === '' || text === 'none') return 'none';
  if (text === 'sanlock' || text === 'dlm' || text === 'idm') return text;
  return 'unknown';
}

/** "none" stands for absent (spec 30 §2). */
function nameOf(fields: Fields, key: ByteString): ByteString {
  const text = textOf(fields, key).slice(0, NAME_BYTES);
  return text === 'none' ? '' : text;
}

/** lvm joins words freely, with and without commas: only substrings can be relied on. */
function hasOpt(fields: Fields, word: string): boolean {
  return textOf(fields, 'opts').includes(word);
}

/** `adopt_only` contains `adopt`. */
function adoptOf(fields: Fields): Adopt {
  if (hasOpt(fields, 'adopt_only')) return 'only';
  return hasOpt(fields, 'adopt') ? 'try' : 'no';
}

/** A count or a size: a negative number says nothing. */
function sizeOf(fields: Fields, key: ByteString): number {
  return Math.max(0, numberOf(fields, key, 0));
}

function daemonRequest(fields: Fields, kind: DaemonRequest['kind'], op: number): DaemonRequest {
  const wait = hasOpt(fields, 'wait');
  return { ...head(fields, op), kind, wait, force: hasOpt(fields, 'force') };
}

function vgRequest(fields: Fields, kind: VgRequest['kind'], op: number): VgRequest {
  return {
    ...head(fields, op),
    kind,
    vgName: nameOf(fields, 'vg_name'),
    vgLockArgs: nameOf(fields, 'vg_lock_args'),
    force: hasOpt(fields, 'force'),
    cutsOff: hasOpt(fields, 'cut_off'),
  };
}

function lockRequest(fields: Fields, scope: LockScope): LockRequest {
  const retries = numberOf(fields, 'max_retries', DEFAULT_MAX_RETRIES);
  return {
    ...head(fields, LD_OP.LOCK),
    kind: 'lock',
    scope,
    mode: modeOf(textOf(fields, 'mode')),
    persistent: hasOpt(fields, 'persistent'),
    unlockCancel: hasOpt(fields, 'unlock_cancel'),
    maxRetries: Math.max(0, Math.min(retries, MAX_RETRIES)),
    adopt: adoptOf(fields),
    repair: hasOpt(fields, 'repair'),
    vgName: nameOf(fields, 'vg_name'),
    lvUuid: nameOf(fields, 'lv_uuid'),
    lvLockArgs: nameOf(fields, 'lv_lock_args'),
  };
}

function modeOf(text: ByteString): LockMode {
  return text === 'un' || text === 'nl' || text === 'sh' || text === 'ex' ? text : 'iv';
}

function queryRequest(fields: Fields, scope: LockScope): QueryRequest {
  return {
    ...head(fields, LD_OP.QUERY_LOCK),
    kind: 'query',
    scope,
    vgName: nameOf(fields, 'vg_name'),
    lvUuid: nameOf(fields, 'lv_uuid'),
  };
}

function updateRequest(fields: Fields): UpdateRequest {
  return {
    ...head(fields, LD_OP.UPDATE),
    kind: 'vgUpdate',
    vgName: nameOf(fields, 'vg_name'),
    version: numberOf(fields, 'version', 0),
    nextVersion: hasOpt(fields, 'next_version'),
  };
}

function initVgRequest(fields: Fields): InitVgRequest {
  return {
    ...head(fields, LD_OP.INIT),
    kind: 'initVg',
    vgName: nameOf(fields, 'vg_name'),
    vgLockArgs: nameOf(fields, 'vg_lock_args'),
    enable: hasOpt(fields, 'enable'),
    disable: hasOpt(fields, 'disable'),
    alignMb: sizeOf(fields, 'align_mb'),
    setLockArgs: nameOf(fields, 'set_lock_args'),
  };
}

function initLvRequest(fields: Fields): InitLvRequest {
  return {
    ...head(fields, LD_OP.INIT),
    kind: 'initLv',
    vgName: nameOf(fields, 'vg_name'),
    vgLockArgs: nameOf(fields, 'vg_lock_args'),
    lvUuid: nameOf(fields, 'lv_uuid'),
    prevLvArgs: nameOf(fields, 'prev_lv_args'),
  };
}

function freeLvRequest(fields: Fields): FreeLvRequest {
  return {
    ...head(fields, LD_OP.FREE),
    kind: 'freeLv',
    vgName: nameOf(fields, 'vg_name'),
    lvUuid: nameOf(fields, 'lv_uuid'),
    lvLockArgs: nameOf(fields, 'lv_lock_args'),
  };
}

function startRequest(fields: Fields): StartRequest {
  return {
    ...head(fields, LD_OP.START),
    kind: 'startVg',
    vgName: nameOf(fields, 'vg_name'),
    vgUuid: nameOf(fields, 'vg_uuid'),
    vgLockArgs: nameOf(fields, 'vg_lock_args'),
    hostId: numberOf(fields, 'host_id', 0),
    adopt: adoptOf(fields),
    repair: hasOpt(fields, 'repair'),
    noDelay: hasOpt(fields, 'nodelay'),
  };
}

function findFreeRequest(fields: Fields): FindFreeRequest {
  return {
    ...head(fields, LD_OP.FIND_FREE_LOCK),
    kind: 'findFree',
    vgName: nameOf(fields, 'vg_name'),
    vgLockArgs: nameOf(fields, 'vg_lock_args'),
    lvSizeBytes: sizeOf(fields, 'lv_size_bytes'),
  };
}

function setLockArgsRequest(fields: Fields, kind: SetLockArgsRequest['kind']): SetLockArgsRequest {
  const isFirst = kind === 'setLockArgsBefore';
  return {
    ...head(fields, isFirst ? LD_OP.SETLOCKARGS_BEFORE : LD_OP.SETLOCKARGS_FINAL),
    kind,
    vgName: nameOf(fields, 'vg_name'),
    vgLockArgs: nameOf(fields, 'vg_lock_args'),
    setLockArgs: nameOf(fields, 'set_lock_args'),
  };
}

function vgStatusRequest(fields: Fields): VgStatusRequest {
  return {
    ...head(fields, LD_OP.VG_STATUS),
    kind: 'vgStatus',
    vgName: nameOf(fields, 'vg_name'),
  };
}

function remoteLvLockRequest(fields: Fields): RemoteLvLockRequest {
  return {
    ...head(fields, LD_OP.SET_REMOTE_LV_LOCK),
    kind: 'setRemoteLvLock',
    vgName: nameOf(fields, 'vg_name'),
    lvUuid: nameOf(fields, 'lv_uuid'),
    mode: modeOf(textOf(fields, 'mode')),
  };
}
