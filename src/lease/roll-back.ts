import type { Geometry } from '../format/geometry.ts';
import type { PaxosLeader } from '../format/leader.ts';
import { type BlockToWrite, released, writeHostBlock } from './host-block.ts';
import { keepTrying, settle } from './io.ts';
import { type Member, namesUs, type Place } from './member.ts';
import { freeLeader } from './paxos-release.ts';
import type { Steps } from './steps.ts';

/** What an acquire or a conversion that failed may have left on the disk, and is to be undone. */
export interface RollBack {
  readonly geometry: Geometry;
  /** Sectors of other hosts that a write of ours may still reach. */
  readonly othersAt: readonly number[];
  /** Our host block as it is to stand, with RELEASED added; null = it is on disk already. */
  readonly block: BlockToWrite | null;
  /** A leader naming us that is or may be on disk: it is freed if it is. */
  readonly leader: PaxosLeader | null;
}

/**
 * Says "released" on disk: at once where the disk answers, else after the answer, again after t and
 * then every 2·t, until it is done or our membership ends.
 *
 *   unanswered writes end -> own block RELEASED (and SHARED, where we hold on) -> leader free
 *
 * The order is the safety. A leader write of ours still under way must not land after a newer
 * leader of another host, so no host may get past us before it ended; a shared hold must be on disk
 * before the leader stops protecting it. @see spec 10 §8.4, §9, §18
 */
export function* rollBack(member: Member, place: Place, what: RollBack): Steps<void> {
  if ((yield* rollBackOnce(member, place, what)) === 'done') return;
  member.finishLater?.(() => keepRollingBack(member, place, what));
}

/** The repetitions of `rollBack`, for a first attempt made elsewhere. */
export function keepRollingBack(member: Member, place: Place, what: RollBack): Steps<void> {
  return keepTrying(member, () => rollBackOnce(member, place, what));
}

function* rollBackOnce(member: Member, place: Place, what: RollBack): Steps<'done' | 'again'> {
  const { geometry, leader, block } = what;
  for (const offset of leader === null ? what.othersAt : [...what.othersAt, place.offset]) {
    const ended = yield* settle(member, { offset, length: geometry.sectorSize });
    if (!ended) return 'again';
  }
  let isMarked = true;
  if (block !== null) {
    const wrote = yield* writeHostBlock(member, place, geometry, {
      ...block,
      dblock: released(block.dblock),
    });
    if (wrote.outcome === 'unknown') return 'again';
    isMarked = wrote.outcome === 'done';
    if (!isMarked && block.sharedGeneration !== null) return 'again';
  }
  const withoutLeader = isMarked ? 'done' : 'again'; // then the block is the release
  if (leader === null || !namesUs(member, leader)) return withoutLeader;
  const freed = yield* freeLeader(member, place, { geometry, leader, rename: null });
  if (freed.ok) return freed.value === 'freed' ? 'done' : withoutLeader;
  const { code } = freed.error.error;
  return code === 'AIO_TIMEOUT' || code === 'ERRNO' ? 'again' : 'done'; // else: not ours any more
}
