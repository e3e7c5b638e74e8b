/** The protocol that the reply to hello names. C: lvmlockd-client.h */
export const LVMLOCKD_PROTOCOL = 'lvmlockd';
/** Its version; lvm talks to no other one. */
export const LVMLOCKD_PROTOCOL_VERSION = 1;

/** `op` of a reply: which request it answers (spec 30 §3.1). C: lvmlockd-internal.h */
export const LD_OP = {
  NONE: 0,
  HELLO: 1,
  QUIT: 2,
  INIT: 3,
  FREE: 4,
  START: 5,
  STOP: 6,
  LOCK: 7,
  UPDATE: 8,
  CLOSE: 9,
  ENABLE: 10,
  DISABLE: 11,
  START_WAIT: 12,
  STOP_ALL: 13,
  DUMP_INFO: 14,
  DUMP_LOG: 15,
  RENAME_BEFORE: 16,
  RENAME_FINAL: 17,
  RUNNING_LM: 18,
  FIND_FREE_LOCK: 19,
  KILL_VG: 20,
  DROP_VG: 21,
  BUSY: 22,
  QUERY_LOCK: 23,
  REFRESH_LV: 24,
  // From here on: newer than 2.03.16. 26 and 27 pass between lvm2's lvmlockd and its helper only.
  VG_STATUS: 25,
  SETLOCKARGS_BEFORE: 28,
  SETLOCKARGS_FINAL: 29,
  SET_REMOTE_LV_LOCK: 30,
  /** Of holdfast alone, as all from 1000 on. */
  HAND_OVER: 1000,
  KILL_PLAN: 1010,
} as const;

/** What `running_lm` answers, and nowhere else. */
export const LD_LM = { NONE: 0, DLM: 2, SANLOCK: 3, IDM: 4 } as const;

/** `op_result` of a reply: 0, a negative errno, or a number of lvmlockd alone (spec 30 §3.2). */
export const LD_RESULT = {
  OK: 0,
  REFUSED: -1,
  NOENT: -2,
  AGAIN: -11,
  NOMEM: -12,
  BUSY: -16,
  EXIST: -17,
  INVAL: -22,
  NOLCK: -37,
  /** setlockargs while LVs are locked. */
  NOTEMPTY: -39,
  XFULL: -54,
  MSGSIZE: -90,
  PROTONOSUPPORT: -93,
  OPNOTSUPP: -95,
  ALREADY: -114,
  STALE: -116,
  CANCELED: -125,
  ENOLS: -210,
  ESTARTING: -211,
  EARGS: -212,
  EHOSTID: -213,
  EMANAGER: -214,
  EPREPARE: -215,
  ELOCKD: -216,
  EVGKILLED: -217,
  ELOCKIO: -218,
  EREMOVED: -219,
  EDEVOPEN: -220,
  ELMERR: -221,
  // Newer than 2.03.16, whose lvm prints them as numbers.
  /** An orphan of an earlier lvmlockd is in the way, and the request did not ask to adopt it. */
  EORPHAN: -222,
  /** adopt_only, and there is no orphan. */
  EADOPT_NONE: -223,
  /** adopt_only, and the orphan has the other mode. */
  EADOPT_RETRY: -224,
  /** The storage did not answer sanlock in time. */
  EIOTIMEOUT: -225,
  /** The lease on the disk is corrupt. */
  ELOCKREPAIR: -226,
} as const;

const RESULT_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(LD_RESULT).map(([name, code]) => [code, name]),
);

/** 'ENOLS' for -210; 'error -9999' for a number without a name. */
export function resultName(code: number): string {
  return RESULT_NAMES.get(code) ?? `error ${code}`;
}

/** Words of `result_flags`; lvm searches the text for them. */
export const LD_FLAG = {
  NO_LOCKSPACES: 'NO_LOCKSPACES',
  NO_GL_LS: 'NO_GL_LS',
  NO_LM: 'NO_LM',
  DUP_GL_LS: 'DUP_GL_LS',
  WARN_GL_REMOVED: 'WARN_GL_REMOVED',
  SH_EXISTS: 'SH_EXISTS',
  HOSTS_UNKNOWN: 'HOSTS_UNKNOWN',
  /** Of holdfast alone: kill_vg has cut the LVs off, and the locks are given up. */
  LOCKS_DROPPED: 'LOCKS_DROPPED',
} as const;

/** Names of the operations in dumps. */
export const OP_NAMES: Readonly<Record<number, string>> = {
  1: 'hello',
  2: 'quit',
  3: 'init',
  4: 'free',
  5: 'start',
  6: 'stop',
  7: 'lock',
  8: 'update',
  9: 'close',
  10: 'enable',
  11: 'disable',
  12: 'start_wait',
  13: 'stop_all',
  14: 'dump_info',
  15: 'dump_log',
  16: 'rename_before',
  17: 'rename_final',
  18: 'running_lm',
  19: 'find_free_lock',
  20: 'kill_vg',
  21: 'drop_vg',
  22: 'busy',
  23: 'query_lock',
  24: 'refresh_lv',
  25: 'vg_status',
  28: 'setlockargs_before',
  29: 'setlockargs_final',
  30: 'set_remote_lv_lock',
};

/** Bits of `flags=` in dumps; only these are ever set here. */
export const DUMP_FLAGS = { PERSISTENT: 0x1 } as const;
