import { bytestring, i32, pad, type RecordOf, struct, u32, u64 } from '../../codec/struct.ts';

/** sanlock.sock: header and structures as sent (spec 20 §2, §3). All little endian. */
export const SM_MAGIC = 0x04282010;
/** Protocol version: major in the upper 16 bits, minor in the lower. */
export const SM_PROTO = 0x00000001;
/** Bytes of the header of every request and answer. */
export const SM_HEADER_BYTES = 32;
/** Of a lockspace, a resource and a host. */
export const MAX_NAME_BYTES = 48;

/** Command numbers (spec 20 §4). C: enum sm_cmd */
export const SM_CMD = {
  REGISTER: 1,
  ADD_LOCKSPACE: 2,
  REM_LOCKSPACE: 3,
  SHUTDOWN: 4,
  STATUS: 5,
  LOG_DUMP: 6,
  ACQUIRE: 7,
  RELEASE: 8,
  INQUIRE: 9,
  RESTRICT: 10,
  REQUEST: 11,
  ALIGN: 12,
  EXAMINE_LOCKSPACE: 13,
  EXAMINE_RESOURCE: 14,
  HOST_STATUS: 15,
  INQ_LOCKSPACE: 16,
  KILLPATH: 17,
  WRITE_LOCKSPACE: 18,
  WRITE_RESOURCE: 19,
  READ_LOCKSPACE: 20,
  READ_RESOURCE: 21,
  GET_LOCKSPACES: 22,
  GET_HOSTS: 23,
  READ_RESOURCE_OWNERS: 24,
  SET_LVB: 25,
  GET_LVB: 26,
  CONVERT: 27,
  VERSION: 28,
  SHUTDOWN_WAIT: 29,
  REG_EVENT: 30,
  END_EVENT: 31,
  SET_EVENT: 32,
  SET_CONFIG: 33,
  RENEWAL: 34,
  FORMAT_RINDEX: 35,
  UPDATE_RINDEX: 36,
  LOOKUP_RINDEX: 37,
  CREATE_RESOURCE: 38,
  DELETE_RESOURCE: 39,
  REBUILD_RINDEX: 40,
  /** Later than 3.8.5 (spec 21 §3). */
  SET_HOST: 44,
  /**
   * holdfast only; an original ignores it. From root: the daemon ends, and a successor goes on with
   * all that it holds. Answered when it ends.
   */
  HAND_OVER: 1000,
} as const;

/** After its answer to one of these the daemon closes a connection that is not registered (§4). */
export const CLOSING_COMMANDS: ReadonlySet<number> = new Set([
  SM_CMD.SHUTDOWN,
  SM_CMD.STATUS,
  SM_CMD.LOG_DUMP,
  SM_CMD.HOST_STATUS,
  SM_CMD.GET_LOCKSPACES,
  SM_CMD.GET_HOSTS,
  SM_CMD.END_EVENT,
  SM_CMD.SET_CONFIG,
  SM_CMD.RENEWAL,
]);

/** The header of every request and answer (spec 20 §2). C: struct sm_header */
export const smHeader = struct('smHeader', SM_HEADER_BYTES, {
  magic: u32(0),
  version: u32(4),
  cmd: u32(8),
  cmdFlags: u32(12),
  length: u32(16),
  seq: u32(20),
  data: i32(24),
  data2: i32(28),
});
/** A header as a record. */
export type SmHeader = RecordOf<typeof smHeader>;

/** Path and offset of one area. C: struct sanlk_disk */
export const sanlkDisk = struct('sanlkDisk', 1040, {
  path: bytestring(0, 1024),
  offset: u64(1024),
  pad1: u32(1032),
  pad2: i32(1036),
});
/** A disk as a record. */
export type SanlkDisk = RecordOf<typeof sanlkDisk>;

/** A lockspace with its disk, at 64. C: struct sanlk_lockspace */
export const sanlkLockspace = struct('sanlkLockspace', 1104, {
  name: bytestring(0, MAX_NAME_BYTES),
  hostId: u64(48),
  flags: u32(56),
  padding: pad(60, 4),
  path: bytestring(64, 1024),
  offset: u64(1088),
  pad1: u32(1096),
  pad2: i32(1100),
});

/** A resource; `numDisks` × sanlkDisk follow where the command has them. C: sanlk_resource */
export const sanlkResource = struct('sanlkResource', 128, {
  lockspaceName: bytestring(0, MAX_NAME_BYTES),
  name: bytestring(48, MAX_NAME_BYTES),
  lver: u64(96),
  data64: u64(104),
  data32: u32(112),
  unused: u32(116),
  flags: u32(120),
  numDisks: u32(124),
});
/** A resource as a record, without its disks. */
export type SanlkResource = RecordOf<typeof sanlkResource>;

/** Ends the body of ACQUIRE. C: struct sanlk_options */
export const sanlkOptions = struct('sanlkOptions', 56, {
  ownerName: bytestring(0, MAX_NAME_BYTES),
  flags: u32(48),
  len: u32(52),
});

/** One host of a lockspace; its state is in the low four bits of `flags`. C: struct sanlk_host */
export const sanlkHost = struct('sanlkHost', 32, {
  hostId: u64(0),
  generation: u64(8),
  timestampS: u64(16),
  ioTimeoutS: u32(24),
  flags: u32(28),
});

/** An event from one host to another. C: struct sanlk_host_event */
export const sanlkHostEvent = struct('sanlkHostEvent', 32, {
  hostId: u64(0),
  generation: u64(8),
  event: u64(16),
  data: u64(24),
});

/** The sender of an event; follows it in the frame of an event channel. */
export const sanlkEventFrom = struct('sanlkEventFrom', 16, {
  hostId: u64(0),
  generation: u64(8),
});

/** Where an index of resource names is. C: struct sanlk_rindex */
export const sanlkRindex = struct('sanlkRindex', 1104, {
  flags: u32(0),
  maxResources: u32(4),
  unused: u64(8),
  lockspaceName: bytestring(16, MAX_NAME_BYTES),
  path: bytestring(64, 1024),
  offset: u64(1088),
  pad1: u32(1096),
  pad2: i32(1100),
});

/** One entry of such an index. C: struct sanlk_rentry */
export const sanlkRentry = struct('sanlkRentry', 64, {
  name: bytestring(0, MAX_NAME_BYTES),
  offset: u64(48),
  flags: u32(56),
  unused: u32(60),
});

/**
 * A status record; `strLen` bytes of text follow, then a lockspace or resource for types 3 and 4.
 */
export const sanlkState = struct('sanlkState', 80, {
  type: u32(0),
  flags: u32(4),
  data32: i32(8),
  padding: pad(12, 4),
  data64: u64(16),
  name: bytestring(24, MAX_NAME_BYTES),
  strLen: u32(72),
  padding2: pad(76, 4),
});

/** The body of KILLPATH: the program and its arguments. */
export const killpathBody = struct('killpathBody', 256, {
  path: bytestring(0, 128),
  args: bytestring(128, 128),
});

/** Flags of a resource; the ALIGN and SECTOR bits stand in lockspaces and indexes too. */
export const RES_FLAGS = {
  LVER: 0x1,
  NUM_HOSTS: 0x2,
  SHARED: 0x4,
  PERSISTENT: 0x8,
  ALIGN1M: 0x10,
  ALIGN2M: 0x20,
  ALIGN4M: 0x40,
  ALIGN8M: 0x80,
  SECTOR512: 0x100,
  SECTOR4K: 0x200,
} as const;
/** Flags of a lockspace in an answer: on the way in, or out. */
export const LSF_FLAGS = { ADD: 0x1, REM: 0x2 } as const;
/** `data` of SET_HOST: the host is dead (spec 21 §3). */
export const SET_HOST_DEAD_EXT = 1;
/** `cmdFlags` of ADD_LOCKSPACE. */
export const ADD_FLAGS = { ASYNC: 0x1 } as const;
/** `cmdFlags` of REM_LOCKSPACE. */
export const REM_FLAGS = { ASYNC: 0x1, UNUSED: 0x2 } as const;
/** `cmdFlags` of ACQUIRE. */
export const ACQUIRE_FLAGS = {
  LVB: 0x1,
  ORPHAN: 0x2,
  ORPHAN_ONLY: 0x4,
  OWNER_NOWAIT: 0x8,
} as const;
/** `cmdFlags` of CONVERT. */
export const CONVERT_FLAGS = { OWNER_NOWAIT: 0x8 } as const;
/** `cmdFlags` of RELEASE. */
export const REL_FLAGS = { ALL: 0x1, RENAME: 0x2, ORPHAN: 0x4 } as const;
/** `cmdFlags` of RESTRICT: signals that the daemon never sends to the process; ALL: no commands. */
export const RESTRICT_FLAGS = { ALL: 0x1, SIGKILL: 0x2, SIGTERM: 0x4 } as const;
/** `cmdFlags` of INQ_LOCKSPACE. */
export const INQ_FLAGS = { WAIT: 0x1 } as const;
/** `cmdFlags` of REQUEST. */
export const REQUEST_FLAGS = { NEXT_LVER: 0x1 } as const;
/** `cmdFlags` of WRITE_RESOURCE. */
export const WRITE_FLAGS = { CLEAR: 0x1 } as const;
/** `cmdFlags` of the calls on an index. */
export const RINDEX_FLAGS = { NO_LOCKSPACE: 0x1, ADD: 0x10000, REM: 0x20000 } as const;
/** `data` of SET_CONFIG: what keeps a lockspace from being left, beside its users (spec 20 §7). */
export const CONFIG_COMMANDS = {
  USED: 1,
  UNUSED: 2,
  USED_BY_ORPHANS: 4,
  UNUSED_BY_ORPHANS: 8,
} as const;
/** `cmdFlags` of SET_EVENT (spec 20 §4). */
export const EVENT_FLAGS = {
  CUR_GENERATION: 0x1,
  CLEAR_HOSTID: 0x2,
  CLEAR_EVENT: 0x4,
  REPLACE_EVENT: 0x8,
  ALL_HOSTS: 0x10,
} as const;
/** The state of a host as the daemon sees it, in the low four bits of its flags. */
export const HOST_STATES = { UNKNOWN: 1, FREE: 2, LIVE: 3, FAIL: 4, DEAD: 5 } as const;
/** The type of a status record. */
export const STATE_TYPES = {
  DAEMON: 1,
  CLIENT: 2,
  LOCKSPACE: 3,
  RESOURCE: 4,
  HOST: 5,
  RENEWAL: 6,
} as const;
