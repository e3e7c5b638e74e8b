import { nameToText } from '../../../base/bytes.ts';
import { plain } from '../../../base/plain-text.ts';
import { blockDamageText } from './damage.ts';
import type { GuestUse } from './guests.ts';
import { holderText, takeableText, takenText } from './holder-text.ts';
import type { WhoAnswer } from './look.ts';

/** Of a lease of libvirt's lockspace: the guests that it is for, as far as they are known here. */
export interface WhoGuests {
  readonly uses: readonly GuestUse[];
  /** Files of libvirt that were passed over. */
  readonly skipped: number;
}

/**
 * One lease in sentences. A lease that was not read has none.
 * @param of.guests null: the lease is of no guest
 */
export function whoText(
  { target, lease, holders }: WhoAnswer,
  of: { readonly guests: WhoGuests | null; readonly wallMs: number },
): string {
  if (!lease.ok) return `${plain(`${target.label}: ${lease.error}`)}\n`;
  const { lockspaceName, resourceName, lver, damaged, isLeaderBehind } = lease.value;
  const name = `${nameToText(lockspaceName)}:${nameToText(resourceName)}`;
  const lines = [`${target.label}: lease ${name}, version ${lver}`];
  if (of.guests !== null) lines.push(...guestLines(of.guests));
  const isFree = holders.length === 0 && damaged.length === 0;
  if (isFree) lines.push('no host holds it');
  for (const watched of holders) {
    lines.push(holderText(watched));
    const taken = takenText(watched, { lockspaceName, kind: target.kind, wallMs: of.wallMs });
    const takeable = takeableText(watched, of.wallMs);
    for (const more of [taken, takeable]) if (more !== null) lines.push(`  ${more}`);
  }
  for (const block of damaged) lines.push(blockDamageText(target, lease.value, block));
  if (isLeaderBehind) lines.push(LEADER_BEHIND);
  return lines.map((line) => `${plain(line)}\n`).join('');
}

const MAX_GUEST_LINES = 20;

function guestLines({ uses, skipped }: WhoGuests): readonly string[] {
  const lines = uses.slice(0, MAX_GUEST_LINES).map(guestLine);
  const more = uses.length - lines.length;
  if (more > 0) lines.push(`guest: and ${more} more`);
  if (lines.length === 0) lines.push('guest: not known, no guest of this host has such a disk');
  if (skipped > 0) lines.push(`${skipped} of libvirt's files of guests could not be read here`);
  return lines;
}

function guestLine({ guest, uuid, target, disk, standing }: GuestUse): string {
  const name = `guest: ${guest} (UUID ${uuid})`;
  if (standing === 'lends') return `${name}, which migrates from the host that holds it: ${disk}`;
  const text = { running: 'runs', paused: 'is paused', defined: 'is defined' }[standing];
  return `${name}, which ${text} on this host: ${target}, ${disk}`;
}

const LEADER_BEHIND =
  'its record was put back by a write that came late: the next acquire of a holdfast host mends it';
