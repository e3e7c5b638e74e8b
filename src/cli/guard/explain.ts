import { nameToText } from '../../base/bytes.ts';
import { type Ask, holderOf } from '../../client/lease-holder.ts';
import type { LeaseRefusal } from '../../guard/lease-steps.ts';
import { type Holder, isHeld, refusalText } from '../../guard/refusal-text.ts';
import { type LeasePlace, leaseResource } from '../../programs/guard-leases.ts';

/** The sentence for libvirt's user, with who has the lease, which is looked up. */
export async function explainRefusal(
  ask: Ask,
  at: LeasePlace & { readonly hostId: number },
  of: { readonly guest: string; readonly refusal: LeaseRefusal },
): Promise<string> {
  const { guest, refusal } = of;
  const holder = isHeld(refusal.code) ? await findHolder(ask, at, refusal.lease.name) : null;
  return refusalText(guest, refusal, holder);
}

async function findHolder(
  ask: Ask,
  at: LeasePlace & { readonly hostId: number },
  leaseName: string,
): Promise<Holder | null> {
  const found = await holderOf(ask, leaseResource(at, leaseName), at.hostId);
  if (found === null) return null;
  if (found.kind === 'here') return { ...found, name: plain(nameToText(found.name)) };
  const { hostName } = found;
  return { ...found, hostName: hostName === null ? null : plain(nameToText(hostName)) };
}

/** Names are others' to choose; libvirt shows this as one line. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
