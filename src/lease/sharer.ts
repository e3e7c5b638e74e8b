import { ok, type Result } from '../base/result.ts';
import { standingOf } from './holders.ts';
import type { LeaseError } from './lease-error.ts';
import { type LeaseTimes, leaseTimes } from './lease-times.ts';
import type { HostView, Member } from './member.ts';
import { readHostLease } from './owner-watch.ts';
import type { HostBlock } from './paxos-area.ts';
import type { Steps } from './steps.ts';

/** The times of this host's own io timeout. */
export function leaseTimesOf(member: Member): LeaseTimes {
  return leaseTimes(member.ioTimeoutS);
}

/**
 * Alive unless proven dead by what our renewals saw (spec 10 §7, "live for shared holders"). Good
 * for refusing only: their reads may be old.
 */
export function sharerSeemsLive(member: Member, block: HostBlock, nowMs: number): boolean {
  const view = member.hostView(block.hostId);
  if (view === null || view.lastCheckMs === 0) return true;
  if (view.timestampS === 0n || view.generation > block.sharedGeneration) return false;
  return !isSilent(member, view, nowMs);
}

function isSilent(member: Member, view: HostView, nowMs: number): boolean {
  const { hostDeadMs } = leaseTimes(view.ioTimeoutS || member.ioTimeoutS);
  return nowMs - (view.lastLiveMs || view.firstCheckMs) > hostDeadMs;
}

/**
 * Before a sharer's block is cleared: its host lease as it is now must say the same. A host that
 * joined since our last read still looks free to us, and one that renewed since, silent; either
 * would lose a hold that it relies on (spec 10 §18.7).
 */
export function* sharerIsLive(
  member: Member,
  block: HostBlock,
  nowMs: number,
): Steps<Result<boolean, LeaseError>> {
  const view = member.hostView(block.hostId);
  if (view === null || sharerSeemsLive(member, block, nowMs)) return ok(true);
  const read = yield* readHostLease(member, BigInt(block.hostId));
  if (!read.ok) return read;
  const { leader: lease } = read.value;
  const { hostId, sharedGeneration: generation } = block;
  if (standingOf(lease, { hostId, generation }) !== 'member') return ok(false);
  const stoodStill =
    lease.timestampS === view.timestampS && lease.ownerGeneration === view.generation;
  // Silent until `nowMs`, before this read was sent: a slow one may show the disk of that moment.
  return ok(!stoodStill || !isSilent(member, view, nowMs));
}
