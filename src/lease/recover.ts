import { assert, unreachable } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { DBLOCK_FLAGS, type Dblock } from '../format/dblock.ts';
import { GEOMETRY_4K_8M, type Geometry, isLeaseOffset } from '../format/geometry.ts';
import type { PaxosLeader } from '../format/leader.ts';
import { convertToShared } from './convert.ts';
import { adoptable, hasGone, isLeaderBehind, nextVersion, proposes } from './holders.ts';
import { isBallotOf, released } from './host-block.ts';
import { leaseError, settle } from './io.ts';
import type { LeaseError, LeaseErrorCode } from './lease-error.ts';
import { type Member, namesUs, type Place } from './member.ts';
import { type Area, type AreaGuess, allSound, type HostBlock, readAreaAsIs } from './paxos-area.ts';
import type { PaxosHold } from './paxos-hold.ts';
import { rollBack } from './roll-back.ts';
import type { Steps } from './steps.ts';

/** What the journal of an earlier daemon says of a lease that this membership may hold. */
export interface KnownLease {
  /**
   * none: an acquire was under way, or a release that its client had asked for, or something that
   * either had left to be done: whatever is there of ours is taken back.
   */
  readonly mode: 'none' | 'ex' | 'sh';
  /** Of the grant, or of the last conversion that ended; null exactly for `none`. */
  readonly lver: bigint | null;
  /**
   * What may have been sent since, without an answer in the journal. release: whether one was is
   * not known. Anything but `nothing` counts only once no refused write of before may land.
   */
  readonly begun: 'nothing' | 'toShared' | 'toExclusive' | 'release';
}

/** How large the area is, is not known before it is read. */
const LARGEST_AREA = GEOMETRY_4K_8M.areaBytes;

/** Sound records of another lease: ours is not there any more. */
const OTHER_LEASE: ReadonlySet<LeaseErrorCode> = new Set(['LEADER_RESOURCE', 'LEADER_LOCKSPACE']);

/** No host can acquire what is there, and an acquire of ours was refused before it wrote. */
const NO_LEASE: ReadonlySet<LeaseErrorCode> = new Set([
  ...OTHER_LEASE,
  'LEADER_MAGIC',
  'LEADER_VERSION',
  'LEADER_SECTORSIZE',
  'LEADER_NUMHOSTS',
  'LEADER_CHECKSUM',
]);

/**
 * Finds what this membership holds of a lease by the area alone, after an earlier process of it
 * ended at any point of an acquire, a release or a conversion, and puts the area in order. The
 * caller has seen that process end; nothing else works on the area.
 *
 *   journal   the area shows                                      result
 *   none      anything of ours                                    taken back, not held
 *   ex        us as the exclusive owner, at that version          ex
 *   ex        the same, and RELEASED in our block                 release finished, not held
 *   sh        SHARED in our block                                 sh, the rest taken back
 *   sh        us as the exclusive owner (a step up was complete)  stepped down: sh
 *   ex, begun toShared: SHARED in our block                       step down finished: sh
 *   any       nothing of it                                       not held
 *
 * Taking back never frees what a user may rely on: without a hold it frees a leader of ours only
 * where the journal has none, or our block says that a release had begun. An area that shows us as
 * the owner in another way than the journal is left alone (DBLOCK_LVER).
 *
 * @returns the hold; null: not held. Every error means: not known yet, ask again. AIO_TIMEOUT also
 *   while a refused write of that process may land and could change what is seen; DBLOCK_CHECKSUM
 *   for our own block alone; DBLOCK_LVER.
 * @see spec 10 §18.10, docs/decisions/0017
 */
export function* recoverLease(
  member: Member,
  place: Place,
  how: { readonly known: KnownLease; readonly guess: AreaGuess },
): Steps<Result<PaxosHold | null, LeaseError>> {
  const { known } = how;
  assert(
    (known.lver === null) === (known.mode === 'none'),
    'a lease that was granted has a version',
  );
  if (!isLeaseOffset(place.offset)) return ok(null); // refused before anything was written
  // What a refused write may still undo is not known.
  const isOpen = known.mode === 'none' || known.begun !== 'nothing';
  if (isOpen && !(yield* settle(member, { offset: place.offset, length: LARGEST_AREA }))) {
    return fail(leaseError('AIO_TIMEOUT', 'recover, writes of before'));
  }
  const seen = yield* readAreaAsIs(member, place, { ...how.guess, known: true });
  if (!seen.ok) return isNotThere(seen.error, known) ? ok(null) : seen;
  const area = seen.value;
  const own = area.blocks.find(({ hostId }) => hostId === member.hostId) ?? null;
  const sound = allSound(own === null ? [] : [own], 'recover');
  if (known.mode === 'none') {
    yield* takeBack({ member, place, area, own: sound.ok ? own : null });
    return ok(null);
  }
  if (!sound.ok) return sound;
  const view: View = { member, place, area, own };
  switch (known.mode) {
    case 'ex':
      return yield* recoverExclusive(view, known);
    case 'sh':
      return yield* recoverShared(view, known);
    default:
      return unreachable(known.mode);
  }
}

function isNotThere({ code, errno }: LeaseError, { mode }: KnownLease): boolean {
  if (mode !== 'none') return OTHER_LEASE.has(code);
  return NO_LEASE.has(code) || errno === ERRNO.EMSGSIZE; // past the end of the device
}

/** The area as it was read, and our own block in it; null: it is empty. */
interface View {
  readonly member: Member;
  readonly place: Place;
  readonly area: Area;
  readonly own: HostBlock | null;
}

function* recoverExclusive(
  view: View,
  known: KnownLease,
): Steps<Result<PaxosHold | null, LeaseError>> {
  const { member, area, own } = view;
  // Nobody else shares or owns it while this is on disk; and its client asked for no more.
  if (known.begun === 'toShared' && isShared(view)) return ok(yield* settleShared(view, known));
  const leader = exclusiveLeader(view);
  if (leader !== null && own !== null) {
    if (leader.lver !== known.lver) return unclear(view);
    return ok(holdOf(view, { shared: false, leader, dblock: own.dblock }));
  }
  const isReleased = own !== null && isMarked(own.dblock) && own.dblock.lver === known.lver;
  if (namesUs(member, area.leader) && !isReleased && !isOver(view)) return unclear(view);
  yield* takeBack(view);
  return ok(null);
}

function* recoverShared(
  view: View,
  known: KnownLease,
): Steps<Result<PaxosHold | null, LeaseError>> {
  const { member, area, own } = view;
  if (isShared(view)) return ok(yield* settleShared(view, known));
  const leader = exclusiveLeader(view);
  if (leader !== null && own !== null) {
    const hold = holdOf(view, { shared: false, leader, dblock: own.dblock });
    const down = yield* convertToShared(member, hold, null);
    if (!down.ok) return fail(down.error.error);
    return ok(sharedHold(view, known, down.value.dblock));
  }
  const isReleased = own !== null && isMarked(own.dblock);
  if (namesUs(member, area.leader) && !isReleased && !isOver(view)) return unclear(view);
  yield* takeBack(view);
  return ok(null);
}

/** SHARED is on disk: what stands beside it, of a step up or a step down, is taken back. */
function* settleShared(view: View, known: KnownLease): Steps<PaxosHold> {
  const { own, member, place, area } = view;
  assert(own !== null, 'our block says that we share');
  const leader = namesUs(member, area.leader) ? area.leader : null;
  if (leader === null && !isOpenProposal(view)) return sharedHold(view, known, own.dblock);
  yield* rollBack(member, place, {
    geometry: area.geometry,
    othersAt: [],
    block: { dblock: own.dblock, sharedGeneration: member.generation, note: area.ownNote },
    leader,
  });
  return sharedHold(view, known, released(own.dblock));
}

/** Says "released" of whatever is ours there; of what is not, it writes nothing. */
function* takeBack(view: View): Steps<void> {
  const { own, member, place, area } = view;
  const leader = namesUs(member, area.leader) ? area.leader : null;
  if (leader === null && !isShared(view) && !isOpenProposal(view)) return;
  const isOurs = own !== null && isBallotOf(member.hostId, own.dblock.mbal, area.geometry);
  yield* rollBack(member, place, {
    geometry: area.geometry,
    othersAt: [],
    block: isOurs ? { dblock: own.dblock, sharedGeneration: null } : null,
    leader,
  });
}

/**
 * The leader by which this membership is the exclusive owner for every host: recorded for the
 * version of our block; or a later one that a write of another host has pushed back (spec 10
 * §18.8), and that the next ballot of any host would record again. null: it is not, or our block
 * says that it was released.
 */
function exclusiveLeader({ member, area, own }: View): PaxosLeader | null {
  if (own === null || isMarked(own.dblock)) return null;
  const { leader } = area;
  const { lver } = own.dblock;
  if (namesUs(member, leader) && leader.lver === lver) {
    return isLeaderBehind(area) ? null : leader;
  }
  if (leader.lver >= lver || nextVersion(area) !== lver || !proposesUs(member, own.dblock)) {
    return null;
  }
  const values = adoptable(area.blocks, lver);
  if (values === null || !proposesUs(member, values)) return null;
  const { inpHostId: ownerId, inpGeneration: ownerGeneration, inpTimestampS: timestampS } = values;
  return { ...leader, lver, ownerId, ownerGeneration, timestampS };
}

function proposesUs({ hostId, generation }: Member, block: Dblock): boolean {
  const isUs = block.inpHostId === BigInt(hostId) && block.inpGeneration === generation;
  return isUs && proposes(block);
}

/** For every other host the version that the leader records for us is over. */
function isOver({ area, own }: View): boolean {
  return isLeaderBehind(area) || hasGone(area.leader, own ?? undefined);
}

function isShared({ member, own }: View): boolean {
  return own?.shared === true && own.sharedGeneration === member.generation;
}

/** Values of ours that another host may yet record, for us or for whom we adopted them. */
function isOpenProposal({ area, own }: View): boolean {
  if (own === null || isMarked(own.dblock)) return false;
  return proposes(own.dblock) && own.dblock.lver > area.leader.lver;
}

function isMarked(block: Dblock): boolean {
  return (block.flags & DBLOCK_FLAGS.RELEASED) !== 0;
}

function unclear({ area, own }: View): Result<never, LeaseError> {
  const facts = { leader: area.leader.lver, block: own?.dblock.lver ?? 0n };
  return fail(leaseError('DBLOCK_LVER', 'recover', facts));
}

/** Of its own leader a shared hold needs no more than names and version. */
function sharedHold(view: View, known: KnownLease, dblock: Dblock): PaxosHold {
  const { member, area } = view;
  assert(known.lver !== null, 'a lease that was granted has a version');
  const ownerId = BigInt(member.hostId);
  const names = { lver: known.lver, ownerId, ownerGeneration: member.generation };
  return holdOf(view, { shared: true, leader: { ...area.leader, ...names }, dblock });
}

function holdOf(
  { member, place, area }: View,
  of: Pick<PaxosHold, 'shared' | 'leader' | 'dblock'>,
): PaxosHold {
  const { path, offset, resourceName } = place;
  const { lockspaceName } = member;
  const geometry: Geometry = area.geometry;
  const { ownNote: note } = area;
  return { path, offset, lockspaceName, resourceName, geometry, note, ...of };
}
