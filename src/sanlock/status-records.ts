import type { ByteString } from '../base/bytes.ts';
import { encode } from '../codec/struct.ts';
import type { HostRecord } from '../lease-process/messages.ts';
import { SANLOCK_RELEASE } from '../wire/sanlock/release.ts';
import {
  RES_FLAGS,
  RESTRICT_FLAGS,
  STATE_TYPES,
  sanlkDisk,
  sanlkLockspace,
  sanlkResource,
  sanlkState,
} from '../wire/sanlock/socket.ts';
import type { Front } from './front.ts';
import { hasFailed, isDead, listOf } from './lockspace-phase.ts';
import type { Client, Lockspace, RenewalEntry, Resource } from './state.ts';

const SMPROTO_HEX = '00000001';
/** Shown to clients that read it; the kernel's own limit is not changed. */
const DEFAULT_MAX_SECTORS_KB = 1024;
/** Which commands the original logs at debug level by default; shown, not used. */
const DEBUG_CMDS = 'fffffffffe06ffff';

type Pairs = readonly (readonly [string, string | number | bigint])[];

/** One status record: the fixed part, the text with its NUL, and what follows (spec 20 §11). */
function record(
  of: { type: number; data32?: number; data64?: bigint; name?: ByteString },
  pairs: Pairs,
  body: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const text = pairs.map(([key, value]) => `${key}=${value}`).join(' ');
  const strLen = text.length + 1;
  const { type, data32 = 0, data64 = 0n, name = '' } = of;
  const head = encode(sanlkState, { type, flags: 0, data32, data64, name, strLen });
  const bytes = new Uint8Array(head.length + strLen + body.length);
  bytes.set(head);
  for (let i = 0; i < text.length; i++) bytes[head.length + i] = text.charCodeAt(i);
  bytes.set(body, head.length + strLen);
  return bytes;
}

function flag(value: boolean): number {
  return value ? 1 : 0;
}

export function daemonRecord(front: Front): Uint8Array {
  const { settings } = front;
  const pairs: Pairs = [
    ['our_host_name', settings.ourHostName],
    ['use_watchdog', flag(settings.useWatchdog)],
    ['high_priority', flag(settings.highPriority)],
    ['mlock_level', settings.mlockLevel],
    ['quiet_fail', flag(settings.quietFail)],
    ['debug_renew', settings.debugRenew],
    ['debug_clients', 0],
    ['debug_cmds', `0x${DEBUG_CMDS}`],
    ['renewal_history_size', settings.renewalHistorySize],
    ['gid', settings.gid],
    ['uid', settings.uid],
    ['sh_retries', settings.shRetries],
    ['max_sectors_kb_ignore', 0],
    ['max_sectors_kb_align', 0],
    ['max_sectors_kb_num', DEFAULT_MAX_SECTORS_KB],
    ['max_worker_threads', settings.maxWorkerThreads],
    ['write_init_io_timeout', settings.writeInitIoTimeoutS],
    ['use_aio', 1],
    ['kill_grace_seconds', settings.killGraceS],
    ['helper_pid', Math.max(0, front.helperPid)],
    ['helper_kill_fd', 0],
    ['helper_full_count', 0],
    ['helper_last_status', front.nowS],
    ['monotime', front.nowS],
    ['version_str', SANLOCK_RELEASE.text],
    ['version_num', SANLOCK_RELEASE.text],
    ['version_hex', SANLOCK_RELEASE.number.toString(16).padStart(8, '0')],
    ['smproto_hex', SMPROTO_HEX],
  ];
  return record({ type: STATE_TYPES.DAEMON, name: settings.ourHostName }, pairs);
}

function clientPairs(client: Pick<Client, 'slot' | 'fd' | 'pid'>, more: Partial<Client>): Pairs {
  const flags = flag(more.killpathPid ?? false) | (flag(more.killpathSent ?? false) << 1);
  return [
    ['ci', client.slot],
    ['fd', client.fd],
    ['pid', client.pid],
    ['flags', flags.toString(16)],
    ['restricted', (more.restricted ?? 0).toString(16)],
    ['cmd_active', more.active ?? 0],
    ['cmd_last', more.lastCommand ?? 0],
    ['pid_dead', flag(more.dead ?? false)],
    ['kill_count', more.killCount ?? 0],
    ['kill_last', more.killLastS ?? 0],
    ['suspend', flag(more.suspended ?? false)],
    ['need_free', 0],
  ];
}

export const clientRecord = {
  /** Slots 0 and 1, which are no clients. */
  fixed(_front: Front): Uint8Array[] {
    return ['helper', 'listener'].map((name, slot) =>
      record(
        { type: STATE_TYPES.CLIENT, data32: -1, name },
        clientPairs({ slot, fd: slot, pid: -1 }, {}),
      ),
    );
  },
  of(client: Client): Uint8Array {
    const of = { type: STATE_TYPES.CLIENT, data32: client.pid, name: client.ownerName };
    return record(of, clientPairs(client, client));
  },
};

export function lockspaceBody(
  space: Lockspace,
  how: { readonly flags: number; readonly pads: boolean },
): Uint8Array {
  return encode(sanlkLockspace, {
    name: space.name,
    hostId: BigInt(space.hostId),
    flags: how.flags,
    path: space.path,
    offset: BigInt(space.offset),
    pad1: how.pads ? space.sectorSize : 0,
    pad2: how.pads ? -1 : 0,
  });
}

export function lockspaceRecord(space: Lockspace): Uint8Array {
  const list = { live: 'spaces', removing: 'rem', adding: 'add' }[listOf(space)];
  const pairs: Pairs = [
    ['list', list],
    ['space_id', space.id],
    ['io_timeout', space.ioTimeoutS],
    ['sector_size', space.sectorSize],
    ['align_size', space.areaBytes],
    ['host_generation', space.generation],
    ['renew_fail', flag(hasFailed(space))],
    ['space_dead', flag(isDead(space))],
    ['killing_pids', flag(space.phase.kind === 'stopping')],
    ['used_retries', 0],
    ['external_used', flag(space.used)],
    ['used_by_orphans', flag(space.usedByOrphans)],
    ['renewal_read_extend_sec', space.ioTimeoutS],
    ['set_max_sectors_kb', 0],
    ['corrupt_result', space.corruptResult],
    ['acquire_last_result', space.acquireResult],
    ['renewal_last_result', space.renewalResult || space.acquireResult],
    ['acquire_last_attempt', space.acquiredS],
    ['acquire_last_success', space.acquiredS],
    ['renewal_last_attempt', space.lastAttemptS],
    ['renewal_last_success', space.lastSuccessS],
  ];
  const of = { type: STATE_TYPES.LOCKSPACE, data64: BigInt(space.hostId), name: space.name };
  return record(of, pairs, lockspaceBody(space, { flags: 0, pads: true }));
}

export function resourceRecords(front: Front): Uint8Array[] {
  const held = front.resources.filter(({ state }) => state !== 'removing' && state !== 'orphan');
  const removing = front.resources.filter(({ state }) => state === 'removing');
  const orphans = front.resources.filter(({ state }) => state === 'orphan');
  return [
    ...held.flatMap((resource) =>
      resource.holders.length === 0
        ? [resourceRecord(resource, { pid: resource.lastPid, tokenId: 0 })]
        : resource.holders.map((token) =>
            resourceRecord(resource, { pid: token.client.pid, tokenId: token.id }),
          ),
    ),
    ...[...removing, ...orphans].map((resource) =>
      resourceRecord(resource, { pid: resource.lastPid, tokenId: 0 }),
    ),
  ];
}

const RESOURCE_LISTS: Readonly<Record<Resource['state'], string>> = {
  held: 'held',
  adding: 'add',
  recovering: 'add',
  removing: 'rem',
  notHeld: 'rem',
  orphan: 'orphan',
};

function resourceRecord(
  resource: Resource,
  of: { readonly pid: number; readonly tokenId: number },
): Uint8Array {
  const list = RESOURCE_LISTS[resource.state];
  const lver = resource.hold?.lver ?? 0n;
  const signals = resource.restricted & (RESTRICT_FLAGS.SIGKILL | RESTRICT_FLAGS.SIGTERM);
  const restricted = resource.shared ? 0 : signals; // a shared hold may have several holders
  const flags = flag(resource.shared) | (restricted << 2) | (flag(resource.lvbDirty) << 5);
  const pairs: Pairs = [
    ['list', list],
    ['flags', flags.toString(16)],
    ['sector_size', resource.hold?.sectorSize ?? resource.lockspace.sectorSize],
    ['align_size', resource.hold?.areaBytes ?? resource.lockspace.areaBytes],
    ['lver', lver],
    ['reused', 0],
    ['res_id', resource.id],
    ['token_id', of.tokenId],
  ];
  const head = { type: STATE_TYPES.RESOURCE, data32: of.pid, data64: lver, name: resource.name };
  return record(head, pairs, resourceBody(resource));
}

function resourceBody(resource: Resource): Uint8Array {
  const head = encode(sanlkResource, {
    lockspaceName: resource.lockspace.name,
    name: resource.name,
    lver: 0n, // the record's text and data64 carry it
    data64: 0n,
    data32: 0,
    unused: 0,
    flags: resource.shared ? RES_FLAGS.SHARED : 0, // never PERSISTENT, as in the original
    numDisks: 1,
  });
  const disk = encode(sanlkDisk, {
    path: resource.path,
    offset: BigInt(resource.offset),
    pad1: resource.lockspace.sectorSize,
    pad2: -1,
  });
  const bytes = new Uint8Array(head.length + disk.length);
  bytes.set(head);
  bytes.set(disk, head.length);
  return bytes;
}

export function hostRecord(space: Lockspace, host: HostRecord): Uint8Array {
  const pairs: Pairs = [
    ['last_check', space.checkedS],
    ['last_live', host.lastLiveS],
    ['last_req', space.examinedS.get(host.hostId) ?? 0],
    ['owner_id', host.ownerId],
    ['owner_generation', host.generation],
    ['timestamp', host.timestampS],
    ['io_timeout', host.ioTimeoutS],
    ['owner_name', host.hostName],
  ];
  return record({ type: STATE_TYPES.HOST, data32: host.hostId, data64: host.timestampS }, pairs);
}

export function renewalRecord(entry: RenewalEntry): Uint8Array {
  const pairs: Pairs = [
    ['timestamp', entry.timestampS],
    ['read_ms', entry.readMs],
    ['write_ms', entry.writeMs],
    ['next_timeouts', entry.nextTimeouts],
    ['next_errors', entry.nextErrors],
  ];
  return record({ type: STATE_TYPES.RENEWAL, data64: BigInt(entry.timestampS) }, pairs);
}
