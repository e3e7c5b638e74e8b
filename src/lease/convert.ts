import { assert } from '../base/assert.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { toSafeNumber } from '../base/units.ts';
import type { NoteFacts, Taker } from '../format/holder-note.ts';
import { emptyTrail, type Trail } from './ballot-state.ts';
import { released, writeHostBlock } from './host-block.ts';
import { ioError, leaseError } from './io.ts';
import { type Member, namesUs } from './member.ts';
import { noteOfConverted } from './note.ts';
import {
  type Cleared,
  contend,
  countLiveSharers,
  type Refusal,
  retract,
  sharersRefusal,
  type Won,
} from './paxos-acquire.ts';
import { type Area, type AreaGuess, readArea } from './paxos-area.ts';
import type { PaxosHold } from './paxos-hold.ts';
import { lvbSettled, writeLvb } from './paxos-release.ts';
import { rollBack } from './roll-back.ts';
import type { Steps } from './steps.ts';

const MAX_RESTARTS = 1000;

/**
 * Exclusive to shared: value block, own block SHARED, then RELEASED in it too, then the leader
 * free.
 *
 * C writes SHARED and RELEASED at once. Unanswered, that write may land at any later time, and a
 * released block under an exclusive hold lets others in where another host recorded our win. With
 * SHARED alone it harms neither mode. Once that is on disk the hold *is* shared, whatever becomes
 * of the rest: a leader not freed only keeps others out a little longer.
 * @param taker who has it now, for readers of the disk; null: as before
 * @returns the shared hold; AIO_TIMEOUT or ERRNO, and the hold remains exclusive.
 * @see spec 10 §9.4, §18.4
 */
export function* convertToShared(
  member: Member,
  hold: PaxosHold,
  lvb: Uint8Array | null,
  taker: Taker | null = null,
): Steps<Result<PaxosHold, Refusal>> {
  assert(!hold.shared, 'an exclusive hold becomes a shared one');
  assert(namesUs(member, hold.leader), 'an exclusive hold was granted to us');
  const { geometry, leader, dblock } = hold;
  if (lvb !== null) {
    const value = yield* writeLvb(member, hold, lvb);
    if (value.outcome !== 'done') {
      return fail({ error: ioError(value, 'value block write'), leader: null });
    }
  } else if (!(yield* lvbSettled(member, hold))) {
    return fail({ error: leaseError('AIO_TIMEOUT', 'value block write'), leader: null });
  }
  const note = noteOfConverted(taker, hold.note);
  const block = { dblock, sharedGeneration: member.generation, note };
  const wrote = yield* writeHostBlock(member, hold, geometry, block);
  if (wrote.outcome !== 'done') {
    return fail({ error: ioError(wrote, 'convert to shared'), leader: null });
  }
  yield* rollBack(member, hold, {
    geometry,
    othersAt: [],
    block,
    leader,
  });
  return ok({ ...hold, shared: true, dblock: released(dblock), note });
}

/**
 * Shared to exclusive: a ballot whose every block keeps our shared hold; then dead sharers are
 * cleared and our own mode block goes last. With a live sharer the hold remains shared (EAGAIN).
 * Never waits for sharers.
 * @param taker as above
 * @returns the exclusive hold, or why not: then `dblock` says what our block now is.
 * @see spec 10 §9.4
 */
export function* convertToExclusive(
  member: Member,
  hold: PaxosHold,
  ownerNowait: boolean,
  taker: Taker | null = null,
): Steps<Result<PaxosHold, Refusal>> {
  assert(hold.shared, 'a shared hold becomes an exclusive one');
  const trail = emptyTrail();
  const { note } = hold;
  const mode = { shared: false, keepShared: true, newNumHosts: null } as const;
  const wish = { ...mode, noteWish: null, keptNote: note };
  let guess: AreaGuess = {
    geometry: hold.geometry,
    numHosts: toSafeNumber(hold.leader.numHosts, 'numHosts'),
    known: true,
  };
  let area: Area | null = null;
  let refusal: Refusal = {
    error: leaseError('DBLOCK_LVER', 'convert', { restarts: MAX_RESTARTS }),
    leader: null,
  };
  for (let restart = 0; restart < MAX_RESTARTS; restart++) {
    const read = yield* readArea(member, hold, guess);
    if (!read.ok) {
      refusal = { error: read.error, leader: null };
      break;
    }
    area = read.value;
    guess = { geometry: area.geometry, numHosts: toSafeNumber(area.leader.numHosts, 'numHosts') };
    const ended = yield* contend(member, hold, area, { wish, trail, ownerNowait });
    if (!ended.ok) {
      refusal = ended.error;
      break;
    }
    if (ended.value !== null) return yield* leaveShared(member, ended.value, taker);
  }
  if (area !== null) yield* retract(member, hold, area, { trail, kept: { note } });
  return fail({ ...refusal, ...lastBlock(trail) });
}

function lastBlock({ block }: Trail): Pick<Refusal, 'dblock'> {
  return block === null ? {} : { dblock: released(block) };
}

/** `won.hold` has the note of the shared hold still. */
function* leaveShared(
  member: Member,
  won: Won,
  taker: Taker | null,
): Steps<Result<PaxosHold, Refusal>> {
  const { hold } = won;
  const cleared = yield* countLiveSharers(member, hold, won);
  if (cleared.error !== null || cleared.live > 0) {
    return yield* backToShared(member, hold, cleared);
  }
  const note: NoteFacts | null = noteOfConverted(taker, hold.note);
  const wrote = yield* writeHostBlock(member, hold, hold.geometry, {
    dblock: hold.dblock,
    sharedGeneration: null,
    note,
  });
  if (wrote.outcome === 'done') return ok({ ...hold, note });
  const error = ioError(wrote, 'convert to exclusive');
  return yield* backToShared(member, hold, { live: 0, error, unansweredAt: [] });
}

/** RELEASED belongs here too, or a leader that another host wrote keeps us owner. */
function* backToShared(
  member: Member,
  hold: PaxosHold,
  why: Cleared,
): Steps<Result<PaxosHold, Refusal>> {
  const { geometry, leader, dblock, note } = hold;
  yield* rollBack(member, hold, {
    geometry,
    othersAt: why.unansweredAt,
    block: { dblock, sharedGeneration: member.generation, note },
    leader,
  });
  return fail({ ...sharersRefusal(hold, why), dblock: released(dblock) });
}
