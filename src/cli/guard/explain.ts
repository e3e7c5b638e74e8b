import { nameToText } from '../../base/bytes.ts';
import { ERRNO } from '../../base/errno.ts';
import { plain } from '../../base/plain-text.ts';
import { SECOND_MS } from '../../base/units.ts';
import { type Ask, holderOf } from '../../client/lease-holder.ts';
import { isHeld } from '../../guard/lease-codes.ts';
import { type Holder, refusalText } from '../../guard/refusal-text.ts';
import { monotonicMs } from '../../platform/clock.ts';
import { type LeasePlace, leaseResource } from '../../programs/guard-leases.ts';
import type { Refused } from '../../programs/guard-program.ts';

/** The sentence for libvirt's user, with who has the lease, which is looked up. */
export async function explainRefusal(
  ask: Ask,
  at: LeasePlace & { readonly hostId: number },
  { guest, guestOfKeeper, guestOfOrphan, refusal }: Refused,
): Promise<string> {
  if (refusal.code === -ERRNO.EUCLEAN) {
    return refusalText(guest, refusal, { kind: 'orphan', name: guestOfOrphan });
  }
  const found = isHeld(refusal.code) ? await findHolder(ask, at, refusal.lease.name) : null;
  // sanlock knows a keeper by the guest that it asked for last, and by its pid before that.
  const kept = found?.kind === 'here' ? guestOfKeeper(found.pid) : null;
  const holder = found?.kind === 'here' && kept !== null ? { ...found, name: kept } : found;
  return refusalText(guest, refusal, holder);
}

async function findHolder(
  ask: Ask,
  at: LeasePlace & { readonly hostId: number },
  leaseName: string,
): Promise<Holder | null> {
  const found = await holderOf(ask, leaseResource(at, leaseName), {
    hostId: at.hostId,
    nowS: monotonicMs() / SECOND_MS,
  });
  if (found === null) return null;
  if (found.kind === 'here') return { ...found, name: plain(nameToText(found.name)) };
  const { hostName } = found;
  return { ...found, hostName: hostName === null ? null : plain(nameToText(hostName)) };
}
