import type { ByteString } from '../../base/bytes.ts';
import { readByteString } from '../../base/bytes.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { decode, encode, zeroRecord } from '../../codec/struct.ts';
import {
  MALFORMED,
  plainCall,
  type Refusal,
  requestBytes,
  rowOffsets,
  type SanlockCall,
} from './call.ts';
import { decodeRecords } from './records.ts';
import {
  ADD_FLAGS,
  INQ_FLAGS,
  REM_FLAGS,
  SET_HOST_DEAD_EXT,
  SM_CMD,
  SM_HEADER_BYTES,
  type SmHeader,
  sanlkHost,
  sanlkHostEvent,
  sanlkLockspace,
} from './socket.ts';
import {
  type Host,
  type HostEvent,
  type Lockspace,
  lockspaceBytes,
  lockspaceNamed,
  type StateRecord,
} from './types.ts';

/** Ties this process and its leases to the connection from now on; there is no answer. */
export function register(): SanlockCall<number> {
  return plainCall('register', requestBytes(SM_CMD.REGISTER, {}), 'quick', 'silence');
}

/** The answer of `version`. */
export interface DaemonVersion {
  /** Upper 16 bits major, lower 16 minor. */
  readonly proto: number;
  /** 0xMMmmpp00. */
  readonly release: number;
}

/** Protocol and release of the daemon. Every daemon answers it. */
export function version(): SanlockCall<DaemonVersion> {
  return {
    name: 'version',
    request: requestBytes(SM_CMD.VERSION, {}),
    reply: 'message',
    patience: 'quick',
    decode: (header) => ok({ proto: header.version, release: header.data2 >>> 0 }),
  };
}

/** Everything, or up to and including the records of type `stopAfter` (1..3). */
export function status(stopAfter: 0 | 1 | 2 | 3 = 0): SanlockCall<readonly StateRecord[]> {
  return {
    name: 'status',
    request: requestBytes(SM_CMD.STATUS, { data: stopAfter }),
    reply: 'stream',
    patience: 'quick',
    decode: recordsOnly,
  };
}

/** The newest log text, oldest line first. */
export function logDump(): SanlockCall<ByteString> {
  return {
    name: 'log_dump',
    request: requestBytes(SM_CMD.LOG_DUMP, {}),
    reply: 'log',
    patience: 'quick',
    decode: (header, body) =>
      header.data < 0
        ? fail({ code: header.data, body })
        : ok(readByteString(body, 0, body.length)),
  };
}

/** Ends the daemon; it ignores this while lockspaces exist, unless forced. There is no answer. */
export function shutdown(force: number): SanlockCall<number> {
  return plainCall('shutdown', requestBytes(SM_CMD.SHUTDOWN, { data: force }), 'quick', 'silence');
}

/** Ends the daemon: −16 at once while lockspaces exist, else the answer comes with its end. */
export function shutdownWait(force: number): SanlockCall<number> {
  return plainCall('shutdown', requestBytes(SM_CMD.SHUTDOWN_WAIT, { data: force }), 'wait');
}

/**
 * Ends the daemon for a successor, which has to be started before 8·t are over; exit status 75. −1:
 * not root. −16: it ends for good. An original daemon gives no answer. holdfast only.
 */
export function handOver(): SanlockCall<number> {
  return plainCall('hand_over', requestBytes(SM_CMD.HAND_OVER, {}), 'wait');
}

/**
 * Joins a lockspace under the host id it names. `ioTimeoutS` 0: the daemon's default. `async`: the
 * answer comes before the join, which `inquireLockspace` follows. −17 joined already, −115 on the
 * way, HOSTID_BUSY.
 */
export function addLockspace(
  lockspace: Lockspace,
  options: { readonly ioTimeoutS?: number; readonly async?: boolean } = {},
): SanlockCall<number> {
  const header = {
    cmdFlags: options.async === true ? ADD_FLAGS.ASYNC : 0,
    data: options.ioTimeoutS ?? 0,
  };
  const request = requestBytes(SM_CMD.ADD_LOCKSPACE, header, [lockspaceBytes(lockspace)]);
  return plainCall('add_lockspace', request, 'wait');
}

/**
 * Leaves a lockspace; its users are stopped first. `onlyUnused`: −16 while a lease is in use.
 * `async`: the answer comes before the end. −2 not here.
 */
export function removeLockspace(
  lockspace: Lockspace,
  options: { readonly async?: boolean; readonly onlyUnused?: boolean } = {},
): SanlockCall<number> {
  const cmdFlags =
    (options.async === true ? REM_FLAGS.ASYNC : 0) |
    (options.onlyUnused === true ? REM_FLAGS.UNUSED : 0);
  const request = requestBytes(SM_CMD.REM_LOCKSPACE, { cmdFlags }, [lockspaceBytes(lockspace)]);
  return plainCall('rem_lockspace', request, 'wait');
}

/** Is it joined? 0 yes, −115 on the way, −2 no. Name, path and offset must all match. */
export function inquireLockspace(
  lockspace: Lockspace,
  options: { readonly wait?: boolean } = {},
): SanlockCall<number> {
  const cmdFlags = options.wait === true ? INQ_FLAGS.WAIT : 0;
  const request = requestBytes(SM_CMD.INQ_LOCKSPACE, { cmdFlags }, [lockspaceBytes(lockspace)]);
  return plainCall('inq_lockspace', request, 'wait');
}

/** The lockspaces that are joined, with LSF_FLAGS for those on the way in or out. */
export function getLockspaces(): SanlockCall<readonly Lockspace[]> {
  return {
    name: 'get_lockspaces',
    request: requestBytes(SM_CMD.GET_LOCKSPACES, {}),
    reply: 'message',
    patience: 'quick',
    decode: (header, body) => {
      if (header.data < 0) return fail({ code: header.data, body });
      return ok(
        rowOffsets(body, sanlkLockspace.size).map((at) => decode(sanlkLockspace, body, at)),
      );
    },
  };
}

/** `hostId` 0: every host ever seen alive; else exactly that one. −11 before the first renewal. */
export function getHosts(lockspaceName: ByteString, hostId = 0n): SanlockCall<readonly Host[]> {
  return {
    name: 'get_hosts',
    request: requestBytes(SM_CMD.GET_HOSTS, {}, [lockspaceNamed(lockspaceName, hostId)]),
    reply: 'message',
    patience: 'quick',
    decode: (header, body) => {
      if (header.data < 0) return fail({ code: header.data, body });
      return ok(rowOffsets(body, sanlkHost.size).map((at) => decode(sanlkHost, body, at)));
    },
  };
}

/** The daemon's own notes about each host. The length field is what libsanlock sends. */
export function hostStatus(lockspaceName: ByteString): SanlockCall<readonly StateRecord[]> {
  const header = { length: SM_HEADER_BYTES };
  return {
    name: 'host_status',
    request: requestBytes(SM_CMD.HOST_STATUS, header, [lockspaceNamed(lockspaceName)]),
    reply: 'stream',
    patience: 'quick',
    decode: recordsOnly,
  };
}

/** The answer of `renewalHistory`. */
export interface RenewalHistory {
  readonly ioTimeoutS: number;
  /** Oldest first. */
  readonly records: readonly StateRecord[];
}

/** The latest renewals of a lockspace. The length field is as libsanlock sends it. */
export function renewalHistory(lockspaceName: ByteString): SanlockCall<RenewalHistory> {
  const header = { length: SM_HEADER_BYTES };
  return {
    name: 'renewal',
    request: requestBytes(SM_CMD.RENEWAL, header, [lockspaceNamed(lockspaceName)]),
    reply: 'stream',
    patience: 'quick',
    decode: (answer, body) => {
      const records = recordsOnly(answer, body);
      return records.ok ? ok({ ioTimeoutS: answer.data2, records: records.value }) : records;
    },
  };
}

/** Sets what keeps a lockspace from being left. `command` is one of CONFIG_COMMANDS. */
export function setConfig(lockspaceName: ByteString, command: number): SanlockCall<number> {
  const body = [lockspaceNamed(lockspaceName)];
  return plainCall('set_config', requestBytes(SM_CMD.SET_CONFIG, { data: command }, body), 'quick');
}

/** Sends an event to a host, with its next renewal. `cmdFlags`: EVENT_FLAGS. −16: another is set. */
export function setEvent(
  lockspaceName: ByteString,
  event: HostEvent,
  cmdFlags = 0,
): SanlockCall<number> {
  const parts = [lockspaceNamed(lockspaceName), encode(sanlkHostEvent, event)];
  return plainCall('set_event', requestBytes(SM_CMD.SET_EVENT, { cmdFlags }, parts), 'quick');
}

/** Seconds; the io timeout of the daemon's access to the disk. */
const SET_HOST_IO_TIMEOUT_S = 10;

/** Declares a host dead: something outside of sanlock, as a fence, is sure of it (spec 21 §3). */
export function setHostDead(
  lockspace: Lockspace,
  host: { readonly hostId: bigint; readonly generation: bigint },
): SanlockCall<number> {
  const parts = [
    lockspaceBytes(lockspace),
    encode(sanlkHost, { ...zeroRecord(sanlkHost), ...host }),
  ];
  const fields = { data: SET_HOST_DEAD_EXT, data2: SET_HOST_IO_TIMEOUT_S };
  return plainCall('set_host', requestBytes(SM_CMD.SET_HOST, fields, parts), 'wait');
}

/** After its answer the connection only delivers events, for `decodeEvent`. */
export function registerEvents(lockspaceName: ByteString): SanlockCall<number> {
  const parts = [lockspaceNamed(lockspaceName), new Uint8Array(sanlkHostEvent.size)];
  return plainCall('reg_event', requestBytes(SM_CMD.REG_EVENT, {}, parts), 'quick');
}

/** Ends the event channels whose clients have ended theirs. */
export function endEvents(lockspaceName: ByteString): SanlockCall<number> {
  const parts = [lockspaceNamed(lockspaceName)];
  return plainCall('end_event', requestBytes(SM_CMD.END_EVENT, {}, parts), 'quick');
}

function recordsOnly(header: SmHeader, body: Uint8Array): Result<readonly StateRecord[], Refusal> {
  if (header.data < 0) return fail({ code: header.data, body });
  const records = decodeRecords(body);
  return records === null ? fail({ code: MALFORMED, body }) : ok(records);
}
