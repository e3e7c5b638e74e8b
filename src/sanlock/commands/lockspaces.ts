import { ERRNO } from '../../base/errno.ts';
import { toSafeNumber } from '../../base/units.ts';
import { decode } from '../../codec/struct.ts';
import { MAX_IO_TIMEOUT_S } from '../../format/limits.ts';
import { SANLOCK_CODES } from '../../wire/sanlock/codes.ts';
import {
  ADD_FLAGS,
  CONFIG_COMMANDS,
  INQ_FLAGS,
  REM_FLAGS,
  SET_HOST_DEAD_EXT,
  sanlkHost,
  sanlkLockspace,
} from '../../wire/sanlock/socket.ts';
import { log } from '../effects.ts';
import type { Front } from '../front.ts';
import { recordConfig } from '../holder-journal.ts';
import { isDead, isRemoved, listOf } from '../lockspace-phase.ts';
import { addLockspace, advance, beginJoin } from '../lockspaces.ts';
import { isRejoined, isUnasked, lostAdded, lostRemoved } from '../lost-lockspaces.ts';
import { clashes, isIdentical, isMeant, type NamedLockspace, named } from '../named-lockspace.ts';
import type { Request } from '../request.ts';
import { releaseSurvivor } from '../resuming.ts';
import type { Lockspace, Reply } from '../state.ts';
import { keptLeasesAt, refuseJoin } from '../survivors-join.ts';
import { isAreaOffset } from './area-offset.ts';

/** The answer to an add that the end of the daemon undoes (spec 20 §4). */
const SHUT_DOWN = -1;

export function addLockspaceCommand(front: Front, request: Request, reply: Reply): void {
  const asked = decode(sanlkLockspace, request.body);
  if (front.ending) {
    reply(SHUT_DOWN); // the daemon would wait for its removal, which no client requests
    return;
  }
  const isAsync = (request.header.cmdFlags & ADD_FLAGS.ASYNC) !== 0;
  if (joinsRejoined(front, asked, { isAsync, reply })) return;
  const ioTimeoutS = request.header.data || front.settings.ioTimeoutS;
  const refused = refuseAdd(front, asked, ioTimeoutS);
  if (refused !== 0) {
    log(front, 'warn', 'lockspace.refused', {
      lockspace: asked.name,
      hostId: asked.hostId,
      path: asked.path,
      offset: asked.offset,
      result: refused,
    });
    reply(refused);
    return;
  }
  lostAdded(front, asked);
  const of = {
    name: asked.name,
    hostId: Number(asked.hostId),
    path: asked.path,
    offset: toSafeNumber(asked.offset, 'offset'),
    ioTimeoutS,
  };
  addLockspace(front, of, (space) => started(front, space, { isAsync, reply }));
}

/**
 * The first client that adds a lockspace which the daemon has joined again by itself hears of that
 * join as of its own: it cannot know that the daemon did not wait for it.
 */
function joinsRejoined(
  front: Front,
  asked: NamedLockspace,
  { isAsync, reply }: { readonly isAsync: boolean; readonly reply: Reply },
): boolean {
  const space = front.lockspaces.find((candidate) => isIdentical(candidate, asked));
  if (space === undefined || !isRejoined(front, space)) return false;
  lostAdded(front, asked);
  if (isAsync || listOf(space) === 'live') reply(0);
  else space.addWaiter = reply;
  return true;
}

function started(
  front: Front,
  space: Lockspace,
  { isAsync, reply }: { readonly isAsync: boolean; readonly reply: Reply },
): void {
  if (isAsync) reply(0);
  else space.addWaiter = reply;
  beginJoin(front, space);
}

function refuseAdd(front: Front, asked: NamedLockspace, ioTimeoutS: number): number {
  // Other hosts would use another time than we do, and would take leases while we hold them.
  if (ioTimeoutS < 1 || ioTimeoutS > MAX_IO_TIMEOUT_S) return -ERRNO.EINVAL;
  if (asked.name === '' || asked.hostId === 0n || asked.path === '') return -ERRNO.EINVAL;
  if (!isAreaOffset(asked.offset)) return -ERRNO.EINVAL;
  const same = front.lockspaces.find((space) => isIdentical(space, asked));
  if (same !== undefined) {
    const list = listOf(same);
    if (list === 'live') return -ERRNO.EEXIST;
    return list === 'adding' ? -ERRNO.EINPROGRESS : -ERRNO.EAGAIN;
  }
  const inTheWay = front.lockspaces.filter((space) => clashes(space, asked));
  if (inTheWay.length > 0) return giveWay(front, inTheWay) ? -ERRNO.EAGAIN : -ERRNO.EINVAL;
  const closed = refuseJoin(front, asked);
  if (closed !== 0) return closed;
  // The sizes on the disk may allow only fewer hosts: the lease process refuses those ids, after
  // the answers for a missing device and a blank area, as the original does.
  return asked.hostId > BigInt(Number.MAX_SAFE_INTEGER) ? -ERRNO.EINVAL : 0;
}

/** The daemon does not insist on another lockspace, which no client asked it to join. */
function giveWay(front: Front, inTheWay: readonly Lockspace[]): boolean {
  if (!inTheWay.every((space) => isUnasked(front, space))) return false;
  for (const space of inTheWay) {
    lostRemoved(front, named(space));
    advance(front, space, { kind: 'removeAsked' });
  }
  return true;
}

export function inqLockspaceCommand(front: Front, request: Request, reply: Reply): void {
  const asked = decode(sanlkLockspace, request.body);
  const wait = (request.header.cmdFlags & INQ_FLAGS.WAIT) !== 0;
  const ask = (): void => {
    const space = front.lockspaces.find((candidate) => isMeant(candidate, asked));
    if (space === undefined) reply(-ERRNO.ENOENT);
    else if (listOf(space) === 'live' && !isRemoved(space)) reply(0);
    else if (wait) space.inquireWaiters.set(request.client, ask);
    else reply(-ERRNO.EINPROGRESS);
  };
  ask();
}

export function remLockspaceCommand(front: Front, request: Request, reply: Reply): void {
  const asked = decode(sanlkLockspace, request.body);
  const { cmdFlags } = request.header;
  const space = front.lockspaces.find((candidate) => isMeant(candidate, asked));
  const busy = front.resources.some((resource) => resource.lockspace.name === asked.name);
  if (cmdFlags & REM_FLAGS.UNUSED && busy) {
    reply(-ERRNO.EBUSY);
    return;
  }
  lostRemoved(front, asked);
  if (space === undefined) {
    const survivor = keptLeasesAt(front, asked);
    if (survivor === null) reply(-ERRNO.ENOENT);
    else
      releaseSurvivor(front, survivor, {
        cmdFlags,
        asker: request.client.process?.pid ?? 0,
        reply,
      });
    return;
  }
  const list = listOf(space);
  if (list === 'removing') {
    advance(front, space, { kind: 'removeAsked' }); // it is not to be joined again
    reply(-ERRNO.EINPROGRESS);
    return;
  }
  if (list === 'adding') {
    advance(front, space, { kind: 'removeAsked' });
    reply(0);
    return;
  }
  if (space.indexBusy) {
    reply(-ERRNO.EBUSY);
    return;
  }
  advance(front, space, { kind: 'removeAsked' });
  if (cmdFlags & REM_FLAGS.ASYNC) reply(0);
  else space.removeWaiters.set(request.client, reply);
}

/**
 * Declares another host dead (spec 21 §3). Only host leases of version 4 and up can be marked, and
 * lockspaces with those cannot be joined here: a valid request gets the answer that the later
 * daemon gives for host leases of our version.
 */
export function setHostCommand(front: Front, request: Request, reply: Reply): void {
  reply(refusedMark(front, request));
}

function refusedMark(front: Front, request: Request): number {
  const asked = decode(sanlkLockspace, request.body);
  const host = decode(sanlkHost, request.body, sanlkLockspace.size);
  const isComplete = asked.name !== '' && asked.hostId !== 0n && host.hostId !== 0n;
  if (!isComplete || request.header.data !== SET_HOST_DEAD_EXT) return -ERRNO.EINVAL;
  const space = front.liveLockspace(asked.name);
  if (space === null) return -ERRNO.ENOENT;
  const isOurs =
    asked.hostId === BigInt(space.hostId) && (asked.path === '' || asked.path === space.path);
  if (!isOurs || host.hostId > BigInt(space.maxHosts)) return -ERRNO.EINVAL;
  return SANLOCK_CODES.VERSION_INCOMPAT;
}

export function setConfigCommand(front: Front, request: Request, reply: Reply): void {
  const asked = decode(sanlkLockspace, request.body);
  const space = front.liveLockspace(asked.name);
  if (space === null) {
    reply(-ERRNO.ENOENT);
    return;
  }
  const change = CONFIGS[request.header.data];
  if (change === undefined) {
    reply(-ERRNO.EINVAL);
    return;
  }
  const { flag, value } = change;
  if (value && isDead(space)) {
    reply(-ERRNO.ENOSPC);
    return;
  }
  const before = space[flag];
  space[flag] = value;
  // Unused, and not written: the next daemon takes it for used, which only keeps it longer.
  if (before === value || recordConfig(front, space) || !value) {
    reply(0);
    return;
  }
  space[flag] = before;
  reply(-ERRNO.EAGAIN);
}

const CONFIGS: Readonly<
  Record<number, { readonly flag: 'used' | 'usedByOrphans'; readonly value: boolean }>
> = {
  [CONFIG_COMMANDS.USED]: { flag: 'used', value: true },
  [CONFIG_COMMANDS.UNUSED]: { flag: 'used', value: false },
  [CONFIG_COMMANDS.USED_BY_ORPHANS]: { flag: 'usedByOrphans', value: true },
  [CONFIG_COMMANDS.UNUSED_BY_ORPHANS]: { flag: 'usedByOrphans', value: false },
};

/** Every lockspace is removed as by REM_LOCKSPACE; the daemon ends when all are gone. */
export function removeAll(front: Front): void {
  for (const space of front.lockspaces) advance(front, space, { kind: 'removeAsked' });
}
