import type { ByteString } from '../../base/bytes.ts';
import { concatBytes } from '../../base/bytes.ts';
import { ERRNO } from '../../base/errno.ts';
import { MIB, SECOND_MS } from '../../base/units.ts';
import { decode, encode, zeroRecord } from '../../codec/struct.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import type { HostRecord } from '../../lease-process/messages.ts';
import {
  HOST_STATES,
  LSF_FLAGS,
  STATE_TYPES,
  sanlkHost,
  sanlkLockspace,
} from '../../wire/sanlock/socket.ts';
import type { Front } from '../front.ts';
import { listOf } from '../lockspace-phase.ts';
import type { Request } from '../request.ts';
import { type Lockspace, newLockspace } from '../state.ts';
import {
  clientRecord,
  daemonRecord,
  hostRecord,
  lockspaceBody,
  lockspaceRecord,
  renewalRecord,
  resourceRecords,
} from '../status-records.ts';
import { isUndecided } from '../survivor-step.ts';
import type { Survivor } from '../survivors.ts';

const MAX_LIST_BYTES = MIB;

export interface Answer {
  readonly result: number;
  readonly data2?: number;
  readonly body?: Uint8Array;
  /** Some replies leave their records out of the header's length; EOF ends them. */
  readonly bareLength?: boolean;
  /** The connection has another use from now on. */
  readonly staysOpen?: boolean;
}

export function statusAnswer(front: Front, request: Request): Answer {
  const upTo = request.header.data;
  const parts: Uint8Array[] = [daemonRecord(front)];
  if (upTo === 0 || upTo >= STATE_TYPES.CLIENT) {
    const clients = [...front.clients.values()].sort((a, b) => a.slot - b.slot);
    parts.push(...clientRecord.fixed(front), ...clients.map((client) => clientRecord.of(client)));
  }
  if (upTo === 0 || upTo >= STATE_TYPES.LOCKSPACE) {
    parts.push(...inOrder(front).map((space) => lockspaceRecord(space)));
  }
  if (upTo === 0) parts.push(...resourceRecords(front));
  return { result: 0, body: concatBytes(parts), bareLength: true };
}

/** Joined ones, those being removed, those being added; each newest first. */
function inOrder(front: Front): Lockspace[] {
  const states = ['live', 'removing', 'adding'] as const;
  const shown = shownLockspaces(front);
  return states.flatMap((state) => shown.filter((space) => listOf(space) === state));
}

/** Those of an earlier daemon that are on their way to be handed over are being added. */
function shownLockspaces(front: Front): Lockspace[] {
  const undecided = front.survivors.filter(({ phase }) => isUndecided(phase));
  if (undecided.length === 0) return front.lockspaces;
  return [
    ...front.lockspaces,
    ...undecided.map((survivor) => survivor.lockspace ?? shown(survivor)),
  ];
}

function shown({ id, space, lastSuccessS }: Survivor): Lockspace {
  const { name, hostId, path, offset, ioTimeoutS, hostName } = space;
  const facts = { id, name, hostId, path, offset, ioTimeoutS, hostName, lease: 0 };
  const lockspace = newLockspace(facts);
  lockspace.lastSuccessS = lastSuccessS;
  return lockspace;
}

export function getLockspacesAnswer(front: Front): Answer {
  const spaces = inOrder(front);
  // As in the original: where the list is too long only the number of lockspaces is answered.
  if (spaces.length * sanlkLockspace.size > MAX_LIST_BYTES) {
    return { result: -ERRNO.ENOSPC, data2: spaces.length };
  }
  const flags = { live: 0, removing: LSF_FLAGS.REM, adding: LSF_FLAGS.ADD };
  const bodies = spaces.map((space) =>
    lockspaceBody(space, { flags: flags[listOf(space)], pads: false }),
  );
  return { result: 0, data2: spaces.length, body: concatBytes(bodies) };
}

export function getHostsAnswer(front: Front, request: Request): Answer {
  const asked = decode(sanlkLockspace, request.body);
  const space = front.liveLockspace(asked.name);
  if (space === null) return { result: -ERRNO.ENOENT };
  if (space.checkedS === 0) return { result: -ERRNO.EAGAIN };
  const hosts = wantedHosts(space, asked.hostId);
  const bodies = hosts.map((host) =>
    encode(sanlkHost, {
      ...zeroRecord(sanlkHost),
      hostId: BigInt(host.hostId),
      generation: host.generation,
      timestampS: host.timestampS,
      ioTimeoutS: host.ioTimeoutS,
      flags: hostState(front, space, host),
    }),
  );
  return { result: 0, data2: bodies.length, body: concatBytes(bodies) };
}

/** 0 means every host that was seen; an id beyond the sizes of the lockspace is no host. */
function wantedHosts(space: Lockspace, hostId: bigint): readonly HostRecord[] {
  if (hostId === 0n) return seenHosts(space);
  if (hostId > BigInt(space.maxHosts)) return [];
  const wanted = Number(hostId);
  return [space.hosts.get(wanted) ?? neverSeen(wanted)];
}

function seenHosts(space: Lockspace): HostRecord[] {
  return [...space.hosts.values()]
    .filter((host) => host.timestampS !== 0n)
    .sort((a, b) => a.hostId - b.hostId);
}

function neverSeen(hostId: number): HostRecord {
  const none = { ownerId: 0, generation: 0n, timestampS: 0n, ioTimeoutS: 0, hostName: '' };
  return { hostId, ...none, firstCheckS: 0, lastLiveS: 0 };
}

/** The state of a host as seen from here, by our own clock (spec 10 §7). */
export function hostState(front: Front, space: Lockspace, host: HostRecord): number {
  if (host.timestampS === 0n) return HOST_STATES.FREE;
  if (host.hostId === space.hostId) return HOST_STATES.LIVE;
  const times = leaseTimes(host.ioTimeoutS || space.ioTimeoutS);
  const failS = times.renewalFailMs / SECOND_MS;
  const lastS = host.lastLiveS || host.firstCheckS;
  const ageS = front.nowS - lastS;
  // Our own renewals may have stopped: only a read sent after its expiry shows that it expired.
  const isExpired = space.hostsReadS - lastS > failS;
  if (isExpired && ageS > times.hostDeadMs / SECOND_MS) return HOST_STATES.DEAD;
  if (ageS > failS) return HOST_STATES.FAIL;
  return host.firstCheckS === host.lastLiveS ? HOST_STATES.UNKNOWN : HOST_STATES.LIVE;
}

function anyLockspace(front: Front, name: ByteString): Lockspace | null {
  return shownLockspaces(front).find((space) => space.name === name) ?? null;
}

export function hostStatusAnswer(front: Front, request: Request): Answer {
  const asked = decode(sanlkLockspace, request.body);
  const space = anyLockspace(front, asked.name);
  if (space === null) return { result: -ERRNO.ENOSPC };
  const hosts = [...space.hosts.values()].sort((a, b) => a.hostId - b.hostId);
  const body = concatBytes(hosts.map((host) => hostRecord(space, host)));
  return { result: 0, body, bareLength: true };
}

export function renewalAnswer(front: Front, request: Request): Answer {
  const asked = decode(sanlkLockspace, request.body);
  const space = anyLockspace(front, asked.name);
  if (space === null) return { result: -ERRNO.ENOSPC };
  if (space.history.length === 0) return { result: 0 };
  const body = concatBytes(space.history.map((entry) => renewalRecord(entry)));
  return { result: 0, data2: space.ioTimeoutS, body, bareLength: true };
}
