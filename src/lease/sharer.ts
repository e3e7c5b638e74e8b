import { type LeaseTimes, leaseTimes } from './lease-times.ts';
import type { HostBlock } from './paxos-area.ts';
import type { Member } from './world.ts';

export function leaseTimesOf(member: Member): LeaseTimes {
  return leaseTimes(member.ioTimeoutS);
}

/** Alive unless proven dead (spec 10 §7, "live for shared holders"). */
export function sharerIsLive(member: Member, block: HostBlock, nowMs: number): boolean {
  const view = member.hostView(block.hostId);
  if (view === null || view.lastCheckMs === 0) return true;
  if (view.timestampS === 0n) return false;
  if (view.generation > block.sharedGeneration) return false;
  const { hostDeadMs } = leaseTimes(view.ioTimeoutS || member.ioTimeoutS);
  return nowMs - (view.lastLiveMs || view.firstCheckMs) <= hostDeadMs;
}
