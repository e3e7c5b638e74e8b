import { unreachable } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { toSafeNumber } from '../base/units.ts';
import { type Geometry, hasLvb } from '../format/geometry.ts';
import type { Taker } from '../format/holder-note.ts';
import { convertToExclusive, convertToShared } from '../lease/convert.ts';
import { initLockspace, initResource, placedRight } from '../lease/initialise.ts';
import { errnoError } from '../lease/io.ts';
import { leaseTimes } from '../lease/lease-times.ts';
import type { Member } from '../lease/member.ts';
import type { NoteWish } from '../lease/note.ts';
import { paxosAcquire, readLvb } from '../lease/paxos-acquire.ts';
import type { AreaGuess } from '../lease/paxos-area.ts';
import type { PaxosHold } from '../lease/paxos-hold.ts';
import { paxosRelease } from '../lease/paxos-release.ts';
import { readLockspace, readOwners, readResource } from '../lease/read.ts';
import { recoverLease } from '../lease/recover.ts';
import { readRequest, writeRequest } from '../lease/request.ts';
import type { Steps } from '../lease/steps.ts';
import {
  type AreaGuesses,
  answer,
  areaKey,
  type CommandContext,
  notJoined,
  PLAIN_TIMEOUT_MS,
  refused,
  wantedGeometry,
} from './command-context.ts';
import { type Held, heldLease, keepHold } from './holds.ts';
import { indexSteps } from './index-commands.ts';
import type { LeaseCommand, LeaseCommandResult } from './messages.ts';

type Command<Op extends LeaseCommand['op']> = Extract<LeaseCommand, { op: Op }>;

const MAX_GUESSES = 4096;

/** One front command as a procedure ending in its answer. */
export function* commandSteps(
  command: LeaseCommand,
  context: CommandContext,
): Steps<LeaseCommandResult> {
  const { member } = context;
  switch (command.op) {
    case 'acquire':
      return member === null ? notJoined(command.op) : yield* acquire(command, member, context);
    case 'recover':
      return member === null ? notJoined(command.op) : yield* recover(command, member, context);
    case 'release':
    case 'convert':
    case 'readRequest':
      return yield* ofHold(command, context);
    case 'request':
      return member === null ? notJoined(command.op) : yield* request(command, member);
    case 'readLockspace':
    case 'readResource':
    case 'readOwners':
    case 'align':
      return yield* reading(command, context);
    case 'writeLockspace':
    case 'writeResource':
      return yield* writing(command, context);
    case 'index':
      return yield* indexSteps(command, context);
    default:
      return unreachable(command);
  }
}

function* acquire(
  command: Command<'acquire'>,
  member: Member,
  context: CommandContext,
): Steps<LeaseCommandResult> {
  const key = areaKey(command.area.path, command.area.offset);
  const place = { resourceName: command.name.resourceName, ...command.area };
  const got = yield* paxosAcquire(member, place, {
    shared: command.shared,
    ownerNowait: command.ownerNowait,
    wantedLver: command.wantedLver,
    newNumHosts: command.newNumHosts,
    valueBlock: command.readLvb,
    noteWish: noteWish(command.taker, context),
    guess: guessOf(member, key, context),
  });
  if (!got.ok) return answer(got);
  const hold = got.value;
  rememberSizes(context.guesses, key, hold);
  const lvb = command.readLvb ? yield* readLvb(member, hold) : null;
  if (member.ended?.() === true) return GRANT_TOO_LATE;
  return { ok: true, op: 'acquire', hold: heldLease(keepHold(context.holds, hold)), lvb };
}

function noteWish(taker: Taker | undefined, context: CommandContext): NoteWish | null {
  return taker === undefined ? null : { taker, wallAheadMs: context.wallAheadMs };
}

function* recover(
  command: Command<'recover'>,
  member: Member,
  context: CommandContext,
): Steps<LeaseCommandResult> {
  const place = { resourceName: command.name.resourceName, ...command.area };
  const { known } = command;
  const guess = guessOf(member, areaKey(place.path, place.offset), context);
  const found = yield* recoverLease(member, place, { known, guess });
  if (!found.ok) return answer(found);
  const hold = found.value;
  if (hold === null) return { ok: true, op: 'recover', hold, lvb: null };
  const lvb = command.readLvb && hasLvb(hold.geometry) ? yield* readLvb(member, hold) : null;
  if (member.ended?.() === true) return GRANT_TOO_LATE;
  return { ok: true, op: 'recover', hold: heldLease(keepHold(context.holds, hold)), lvb };
}

function guessOf(member: Member, key: string, { guesses }: CommandContext): AreaGuess {
  const { lockspaceGeometry: geometry } = member;
  return guesses.get(key) ?? { geometry, numHosts: geometry.maxHosts };
}

function rememberSizes(guesses: AreaGuesses, key: string, hold: PaxosHold): void {
  if (guesses.size >= MAX_GUESSES) guesses.clear();
  const numHosts = toSafeNumber(hold.leader.numHosts, 'numHosts');
  guesses.set(key, { geometry: hold.geometry, numHosts });
}

/** What was granted on disk while our own claim ran out is not granted (spec 10 §15 item 8). */
const GRANT_TOO_LATE = refused(errnoError(ERRNO.ENOSPC, 'grant'));

function* ofHold(
  command: Command<'release' | 'convert' | 'readRequest'>,
  { member, held }: CommandContext,
): Steps<LeaseCommandResult> {
  if (member === null || held === null) return notJoined(command.op);
  switch (command.op) {
    case 'release':
      return yield* release(command, member, held);
    case 'convert':
      return yield* convert(command, member, held);
    case 'readRequest':
      return yield* examine(member, held);
    default:
      return unreachable(command);
  }
}

function* release(
  command: Command<'release'>,
  member: Member,
  { hold }: Held,
): Steps<LeaseCommandResult> {
  const { lvb, rename } = command;
  const done = yield* paxosRelease(member, hold, { lvb, rename });
  return done.ok ? { ok: true, op: 'release' } : refused(done.error);
}

/**
 * A step down is reported also when our claim has run out meanwhile: others may share by now, and
 * its user must know that it does.
 */
function* convert(
  command: Command<'convert'>,
  member: Member,
  held: Held,
): Steps<LeaseCommandResult> {
  // It may be exclusive, by an earlier one that came too late; the front will know in a moment.
  if (!command.toShared && member.ended?.() === true) return GRANT_TOO_LATE;
  const { lvb, ownerNowait, taker = null } = command;
  const got = command.toShared
    ? yield* convertToShared(member, held.hold, lvb, taker)
    : yield* convertToExclusive(member, held.hold, ownerNowait, taker);
  if (!got.ok) {
    const { error, leader, dblock } = got.error;
    // The release writes this block: an older one must not go over it (spec 10 §18).
    if (dblock !== undefined) held.hold = { ...held.hold, dblock };
    return { ok: false, step: 'run', error, leader };
  }
  held.hold = got.value;
  if (!held.hold.shared && member.ended?.() === true) return GRANT_TOO_LATE;
  return { ok: true, op: 'convert', hold: heldLease(held) };
}

function* request(command: Command<'request'>, member: Member): Steps<LeaseCommandResult> {
  const { area, name } = command;
  const found = yield* readResource({
    ...name,
    offset: area.offset,
    timeoutMs: leaseTimes(member.ioTimeoutS).ioTimeoutMs,
  });
  if (!found.ok) return answer(found);
  const place = { ...area, resourceName: name.resourceName };
  const { geometry } = found.value;
  const { lver, forceMode, nextLver } = command;
  const done = yield* writeRequest(member, place, { lver, forceMode, nextLver, geometry });
  return done.ok ? { ok: true, op: 'request', ...done.value } : answer(done);
}

function* examine(member: Member, { hold }: Held): Steps<LeaseCommandResult> {
  const read = yield* readRequest(member, hold, hold.geometry);
  if (!read.ok) return answer(read);
  return { ok: true, op: 'readRequest', lver: read.value.lver, forceMode: read.value.forceMode };
}

function* reading(
  command: Command<'readLockspace' | 'readResource' | 'readOwners' | 'align'>,
  context: CommandContext,
): Steps<LeaseCommandResult> {
  const timeoutMs =
    context.member === null ? PLAIN_TIMEOUT_MS : leaseTimes(context.member.ioTimeoutS).ioTimeoutMs;
  const { offset } = command.area;
  switch (command.op) {
    case 'readLockspace': {
      const read = yield* readLockspace({
        offset,
        name: command.name,
        hostId: command.hostId,
        sectorSize: command.sectorSize,
        timeoutMs,
      });
      if (!read.ok) return answer(read);
      const { name, geometry, ioTimeoutS } = read.value;
      return {
        ok: true,
        op: 'readLockspace',
        name,
        hostId: command.hostId || 1,
        ...sizesOf(geometry),
        ioTimeoutS,
      };
    }
    case 'readResource': {
      const { name, sectorSize } = command;
      const read = yield* readResource({ offset, ...name, timeoutMs, sectorSize });
      if (!read.ok) return answer(read);
      return {
        ok: true,
        op: 'readResource',
        leader: read.value.leader,
        ...sizesOf(read.value.geometry),
      };
    }
    case 'readOwners': {
      const { name, sizes } = command;
      const read = yield* readOwners({ offset, ...name, timeoutMs, sizes, exactNames: true });
      if (!read.ok) return answer(read);
      const { leader, owners, shared, geometry } = read.value;
      return { ok: true, op: 'readOwners', leader, owners, shared, ...sizesOf(geometry) };
    }
    case 'align': {
      // Of the device alone: what is on it may be of another size, as the original has it.
      const suited = wantedGeometry(null, context.deviceSectorSize);
      return suited.ok ? { ok: true, op: 'align', ...sizesOf(suited.value) } : answer(suited);
    }
    default:
      return unreachable(command);
  }
}

function* writing(
  command: Command<'writeLockspace' | 'writeResource'>,
  context: CommandContext,
): Steps<LeaseCommandResult> {
  const geometry = wantedGeometry(command.sizes, context.deviceSectorSize);
  if (!geometry.ok) return answer(geometry);
  const base = {
    offset: command.area.offset,
    geometry: geometry.value,
    writeTimeoutMs: command.writeTimeoutMs,
  };
  if (command.op === 'writeLockspace') {
    const done = yield* initLockspace({
      ...base,
      name: command.name,
      ioTimeoutS: command.ioTimeoutS,
    });
    return done.ok ? { ok: true, op: 'writeLockspace' } : answer(done);
  }
  const placed = placedRight(base, 'resource format');
  if (!placed.ok) return answer(placed);
  const { numHosts, clear } = command;
  const done = yield* initResource({
    ...base,
    ...command.name,
    numHosts,
    clear,
    nowMs: context.nowMs,
  });
  return done.ok ? { ok: true, op: 'writeResource' } : answer(done);
}

function sizesOf(geometry: Geometry): { readonly sectorSize: number; readonly areaBytes: number } {
  return { sectorSize: geometry.sectorSize, areaBytes: geometry.areaBytes };
}
