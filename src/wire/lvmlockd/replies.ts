import type { ByteString } from '../../base/bytes.ts';
import { formatMessage } from './libdaemon.ts';
import { LD_OP, LVMLOCKD_PROTOCOL, LVMLOCKD_PROTOCOL_VERSION } from './numbers.ts';
import type { LockMode, LockType } from './requests.ts';

/** hello, quit and hand_over. */
export function helloReply(result: number): ByteString {
  return formatMessage([
    ['response', 'OK'],
    ['result', result],
    ['protocol', LVMLOCKD_PROTOCOL],
    ['version', LVMLOCKD_PROTOCOL_VERSION],
  ]);
}

/** info and dump: so many bytes follow on the dump socket. */
export function dumpReply(result: number, dumpBytes: number): ByteString {
  return formatMessage([
    ['response', 'OK'],
    ['result', result],
    ['dump_len', dumpBytes],
  ]);
}

/** What most replies say; `flags` are words of LD_FLAG with commas (spec 30 §3.3). */
export interface ReplyHead {
  readonly op: number;
  readonly lockType: LockType;
  readonly result: number;
  readonly lmResult: number;
  readonly flags: ByteString;
}

/** A host in a lockspace, as newer lvm prints it (spec 30 §4). */
export interface OwnerFields {
  readonly hostId: number;
  /** 0: not known, as for the timestamp. */
  readonly generation: number;
  readonly timestampS: number;
  /** FREE, LIVE, FAIL, DEAD, UNKNOWN; '': not known. */
  readonly state: ByteString;
  /** '': not known. */
  readonly name: ByteString;
}

/**
 * The reply to all requests but those below. `generation`: of this host in the lockspace that the
 * request found, 0 where it found none. 2.03.16 does not send it.
 */
export function normalReply(from: ReplyHead & { readonly generation: number }): ByteString {
  return formatMessage([...headFields(from), ['ls_generation', from.generation]]);
}

/** The reply to start_vg that says in which generation this host was in the lockspace before. */
export function startReply(from: ReplyHead & { readonly prevGeneration: number }): ByteString {
  return formatMessage([...headFields(from), ['prev_generation', from.prevGeneration]]);
}

/** The reply to vg_status, and to a lock that another host holds. */
export function ownerReply(from: ReplyHead & { readonly owner: OwnerFields }): ByteString {
  const { owner } = from;
  return formatMessage([
    ...headFields(from),
    ['owner_host_id', owner.hostId],
    ['owner_generation', owner.generation],
    ['owner_timestamp', owner.timestampS],
    ['owner_state', owner.state === '' ? 'none' : owner.state],
    ['owner_name', owner.name === '' ? 'none' : owner.name],
  ]);
}

function headFields(from: ReplyHead): [string, ByteString | number][] {
  return [
    ['response', 'OK'],
    ['op', from.op],
    ['lock_type', from.lockType === 'unknown' ? 'none' : from.lockType],
    ['op_result', from.result],
    ['lm_result', from.lmResult],
    ['result_flags', from.flags === '' ? 'none' : from.flags],
  ];
}

/** The reply to set_remote_lv_lock. */
export function shortReply(from: { readonly op: number; readonly result: number }): ByteString {
  return formatMessage([
    ['response', 'OK'],
    ['op', from.op],
    ['op_result', from.result],
  ]);
}

/** The reply to init_vg, init_lv and setlockargs_vg_final: the arguments that lvm stores in the VG for its lock. */
export function initReply(from: {
  readonly op: number;
  readonly result: number;
  readonly lmResult: number;
  readonly vgLockArgs: ByteString;
  readonly lvLockArgs: ByteString;
  readonly flags: ByteString;
}): ByteString {
  return formatMessage([
    ['response', 'OK'],
    ['op', from.op],
    ['op_result', from.result],
    ['lm_result', from.lmResult],
    ['vg_lock_args', from.vgLockArgs === '' ? 'none' : from.vgLockArgs],
    ['lv_lock_args', from.lvLockArgs === '' ? 'none' : from.lvLockArgs],
    ['result_flags', from.flags === '' ? 'none' : from.flags],
  ]);
}

/** The reply to query_lock_*: the mode in which this host holds the lock, `iv` with an error. */
export function queryReply(from: {
  readonly result: number;
  readonly lockType: LockType;
  readonly mode: LockMode;
}): ByteString {
  return formatMessage([
    ['response', 'OK'],
    ['op', LD_OP.QUERY_LOCK],
    ['op_result', from.result],
    ['lock_type', from.lockType === 'unknown' ? 'none' : from.lockType],
    ['mode', from.mode],
  ]);
}

/** The reply to kill_plan, holdfast's own: what kill_vg would do with the VG's LVs, line by line. */
export function killPlanReply(result: number, lines: readonly ByteString[]): ByteString {
  const shown = lines.slice(0, MAX_PLAN_LINES).map((line) => line.replace(/["\\\n]/g, '?'));
  if (lines.length > MAX_PLAN_LINES) shown.push(`and ${lines.length - MAX_PLAN_LINES} more`);
  return formatMessage([
    ['response', 'OK'],
    ['op', LD_OP.KILL_PLAN],
    ['op_result', result],
    ['lines', shown.length],
    ...shown.map((line, index) => [`line${index}`, line] as const),
  ]);
}

const MAX_PLAN_LINES = 1000;
