import { fail, ok, type Result } from '../base/result.ts';
import { isPossible } from '../codec/struct.ts';
import { dblock } from '../format/dblock.ts';
import { type DeltaLeader, deltaLeader, paxosLeader } from '../format/leader.ts';
import { leaseError } from './io.ts';
import type { LeaseError } from './lease-error.ts';

/**
 * Numbers at their end are not made larger: on disk they would wrap, and what is oldest would count
 * as newest. The record that has got there is refused as a damaged one (spec 10 §4.6).
 */

/** @returns LEADER_CHECKSUM or DBLOCK_CHECKSUM when no ballot may be held with these numbers */
export function roomForBallot(next: {
  readonly lver: bigint;
  readonly mbal: bigint;
}): Result<null, LeaseError> {
  const { lver, mbal } = next;
  if (!isPossible(paxosLeader.fields.lver, lver)) {
    return fail(leaseError('LEADER_CHECKSUM', 'ballot, no next version', { lver }));
  }
  if (isPossible(dblock.fields.mbal, mbal)) return ok(null);
  return fail(leaseError('DBLOCK_CHECKSUM', 'ballot, no next number', { mbal }));
}

/** That of the next host to have this host id. @returns LEADER_CHECKSUM when there is none */
export function nextGeneration(leader: DeltaLeader): Result<bigint, LeaseError> {
  const generation = leader.ownerGeneration + 1n;
  if (isPossible(deltaLeader.fields.ownerGeneration, generation)) return ok(generation);
  return fail(leaseError('LEADER_CHECKSUM', 'host id, no next generation', { generation }));
}
