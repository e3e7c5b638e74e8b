import { unreachable } from '../../base/assert.ts';
import { nameToText } from '../../base/bytes.ts';
import { plain } from '../../base/plain-text.ts';
import { blockDamageText, hostDamageText } from './who-damage.ts';
import type { GuestUse } from './who-guests.ts';
import type { WhoTarget } from './who-target.ts';
import { protectedForS, renewalIntervalS } from './who-times.ts';
import { ioTimeoutS, type WatchedHolder, type WhoAnswer } from './who-watch.ts';

/** `alive`: seen to renew. `silent`: not seen to, for longer than a renewal takes. */
export type Liveness =
  | 'alive'
  | 'silent'
  | 'not watched'
  | 'left'
  | 'replaced'
  | 'damaged'
  | 'unknown';

export function livenessOf(watched: WatchedHolder): Liveness {
  if (watched.standing !== 'member') return watched.standing;
  if (watched.renewedAgoS !== null) return 'alive';
  return watched.watchedS < 1 ? 'not watched' : 'silent';
}

/** Of a lease of libvirt's lockspace: the guests that it is for, as far as they are known here. */
export interface WhoGuests {
  readonly uses: readonly GuestUse[];
  /** Files of libvirt that were passed over. */
  readonly skipped: number;
}

/**
 * For programs: everything as numbers, and the sentence for administrators.
 * @param guests null: the lease is of no guest
 */
export function whoJson(
  target: WhoTarget,
  answer: WhoAnswer,
  guests: WhoGuests | null = null,
): unknown {
  const { lease } = answer;
  return {
    target: target.label,
    path: nameToText(target.path),
    offset: target.offset,
    lockspace: nameToText(lease.lockspaceName),
    resource: nameToText(lease.resourceName),
    sectorSize: lease.geometry.sectorSize,
    areaBytes: lease.geometry.areaBytes,
    leaseVersion: Number(lease.lver),
    mode: lease.holders[0]?.mode ?? 'free',
    isLeftBehind: lease.isLeaderBehind,
    ...(guests === null ? {} : { guests: guests.uses, skippedGuestFiles: guests.skipped }),
    damagedBlocks: lease.damaged.map((block) => ({
      hostId: block.hostId,
      field: block.damage?.field ?? null,
      says: blockDamageText(target, lease, block),
    })),
    holders: answer.holders.map((watched) => ({
      hostId: watched.holder.hostId,
      generation: Number(watched.holder.generation),
      hostName: hostName(watched),
      mode: watched.holder.mode,
      liveness: livenessOf(watched),
      ioTimeoutS: ioTimeoutS(watched.host),
      watchedS: round(watched.watchedS),
      renewedAgoS: watched.renewedAgoS === null ? null : round(watched.renewedAgoS),
      protectedAfterRenewalS: protectedForS(ioTimeoutS(watched.host)),
      says: holderText(watched),
    })),
  };
}

export function whoText(
  target: WhoTarget,
  answer: WhoAnswer,
  guests: WhoGuests | null = null,
): string {
  const { lease, holders } = answer;
  const name = `${nameToText(lease.lockspaceName)}:${nameToText(lease.resourceName)}`;
  const lines = [`${target.label}: lease ${name}, version ${lease.lver}`];
  if (guests !== null) lines.push(...guestLines(guests));
  const isFree = holders.length === 0 && lease.damaged.length === 0;
  if (isFree) lines.push('no host holds it');
  for (const watched of holders) lines.push(holderText(watched));
  for (const block of lease.damaged) lines.push(blockDamageText(target, lease, block));
  if (lease.isLeaderBehind) lines.push(LEADER_BEHIND);
  return `${lines.join('\n')}\n`;
}

const MAX_GUEST_LINES = 20;

function guestLines({ uses, skipped }: WhoGuests): readonly string[] {
  const lines = uses.slice(0, MAX_GUEST_LINES).map((use) => plain(guestLine(use)));
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

function hostName(watched: WatchedHolder): string | null {
  const name = watched.host?.hostName ?? '';
  return name === '' ? null : nameToText(name);
}

function holderText(watched: WatchedHolder): string {
  const { holder } = watched;
  const who =
    watched.standing === 'replaced' ? `host id ${holder.hostId}` : (hostName(watched) ?? 'a host');
  const held = `${holder.mode}: ${who} (host id ${holder.hostId}, generation ${holder.generation})`;
  return `${held} ${standingText(watched)}`;
}

function standingText(watched: WatchedHolder): string {
  const liveness = livenessOf(watched);
  const { hostError, holder } = watched;
  if (liveness === 'damaged' && hostError !== null) return hostDamageText(holder.hostId, hostError);
  const ioS = ioTimeoutS(watched.host);
  const safeS = protectedForS(ioS);
  const rule = `${safeS} s (8 × its io timeout of ${ioS} s, and 60 s for its watchdog)`;
  const ago = `${Math.round(watched.renewedAgoS ?? 0)} s ago`;
  const duration = `${Math.round(watched.watchedS)} s`;
  switch (liveness) {
    case 'alive':
      return (
        `is alive, it renewed ${ago}; if it falls silent now, no host may take this lease ` +
        `before ${rule} from that renewal`
      );
    case 'silent':
      return (
        `did not renew in the ${duration} we watched, and a healthy host renews every ${renewalIntervalS(ioS)} s; ` +
        `no host may take this lease before ${rule} from its last renewal`
      );
    case 'not watched':
      return (
        'is a member of the lockspace; one reading does not show whether it is alive; ' +
        `no host may take this lease before ${rule} from its last renewal`
      );
    case 'left':
      return 'has left the lockspace in good order since: any host may take this lease at once';
    case 'replaced':
      return (
        'has joined the lockspace anew since, or another host has taken its id: ' +
        'any host may take this lease at once'
      );
    case 'damaged':
    case 'unknown':
      return (
        'has no readable host lease in the lockspace area, so its name and health are unknown; ' +
        'the lockspace may be elsewhere: give --lockspace <path>:<offset>'
      );
    default:
      return unreachable(liveness);
  }
}

function round(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}
