import { fail, ok, type Result } from '../base/result.ts';
import { toSafeNumber } from '../base/units.ts';
import { released, writeHostBlock } from './ballot.ts';
import { ERRNO_EAGAIN } from './errno.ts';
import { errnoError, ioError, leaseError } from './io.ts';
import {
  ballotOrRetract,
  countLiveSharers,
  ownerVerdict,
  type Refusal,
  type Won,
} from './paxos-acquire.ts';
import { readArea } from './paxos-area.ts';
import type { PaxosHold } from './paxos-hold.ts';
import { freeLeader, writeLvb } from './paxos-release.ts';
import type { Steps } from './steps.ts';
import type { Member } from './world.ts';

const MAX_RESTARTS = 1000;

/**
 * Exclusive to shared: value block, then our whole sector with SHARED and RELEASED in one write,
 * then the leader free. On failure of the last step the lease stays safe: it only looks busier
 * than it is. @see spec 10 §9.4
 */
export function* convertToShared(
  member: Member,
  hold: PaxosHold,
  lvb: Uint8Array | null,
): Steps<Result<PaxosHold, Refusal>> {
  if (lvb !== null) yield* writeLvb(member, hold, lvb);
  const dblock = released(hold.dblock);
  const wrote = yield* writeHostBlock(member, hold, hold.geometry, {
    dblock,
    sharedGeneration: member.generation,
  });
  if (wrote.outcome !== 'done')
    return fail({ error: ioError(wrote, 'convert to shared'), leader: null });
  const freed = yield* freeLeader(member, hold, {
    geometry: hold.geometry,
    leader: hold.leader,
    rename: null,
  });
  if (!freed.ok) return fail({ error: freed.error, leader: null });
  return ok({ ...hold, shared: true, dblock });
}

/**
 * Shared to exclusive: a ballot whose every block keeps our shared hold; then dead sharers are
 * cleared and our own mode block goes last. With a live sharer the hold stays shared (EAGAIN).
 * Never waits for sharers. @see spec 10 §9.4
 */
export function* convertToExclusive(
  member: Member,
  hold: PaxosHold,
  ownerNowait: boolean,
): Steps<Result<PaxosHold, Refusal>> {
  let guess = { geometry: hold.geometry, numHosts: toSafeNumber(hold.leader.numHosts, 'numHosts') };
  for (let restart = 0; restart < MAX_RESTARTS; restart++) {
    const read = yield* readArea(member, hold, guess);
    if (!read.ok) return fail({ error: read.error, leader: null });
    const area = read.value;
    guess = { geometry: area.geometry, numHosts: toSafeNumber(area.leader.numHosts, 'numHosts') };
    const verdict = yield* ownerVerdict(member, hold, area, ownerNowait);
    if (!verdict.ok) return fail({ error: verdict.error, leader: area.leader });
    if (verdict.value === 'changed') continue;
    const wish = { shared: false, keepShared: true, newNumHosts: null };
    const ended = yield* ballotOrRetract(member, hold, area, wish);
    if (!ended.ok) return ended;
    if (ended.value === null) continue;
    return yield* leaveShared(member, ended.value);
  }
  return fail({
    error: leaseError('DBLOCK_LVER', 'convert', { restarts: MAX_RESTARTS }),
    leader: null,
  });
}

function* leaveShared(member: Member, won: Won): Steps<Result<PaxosHold, Refusal>> {
  const { hold } = won;
  const live = yield* countLiveSharers(member, hold, won);
  if (live.ok && live.value === 0) {
    const wrote = yield* writeHostBlock(member, hold, hold.geometry, {
      dblock: hold.dblock,
      sharedGeneration: null,
    });
    if (wrote.outcome === 'done') return ok(hold);
    return yield* backToShared(member, hold, {
      error: ioError(wrote, 'convert to exclusive'),
      leader: null,
    });
  }
  const error = live.ok
    ? errnoError(ERRNO_EAGAIN, 'convert, held shared', { holders: live.value })
    : live.error;
  return yield* backToShared(member, hold, { error, leader: hold.leader });
}

/** RELEASED belongs into our block on this path too, or a leader another host wrote keeps us owner. */
function* backToShared(
  member: Member,
  hold: PaxosHold,
  refusal: Refusal,
): Steps<Result<PaxosHold, Refusal>> {
  const dblock = released(hold.dblock);
  yield* writeHostBlock(member, hold, hold.geometry, {
    dblock,
    sharedGeneration: member.generation,
  });
  yield* freeLeader(member, hold, { geometry: hold.geometry, leader: hold.leader, rename: null });
  return fail(refusal);
}
