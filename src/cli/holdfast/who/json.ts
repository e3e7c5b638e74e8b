import { nameToText } from '../../../base/bytes.ts';
import { plain } from '../../../base/plain-text.ts';
import type { LeaseState } from '../../../lease/read-holders.ts';
import { blockDamageText } from './damage.ts';
import { holderText } from './holder-text.ts';
import { heldForS, livenessOf, takeableOf, type WatchedHolder } from './holder-watch.ts';
import type { WhoAnswer } from './look.ts';
import { takenBy } from './taken-by.ts';
import type { WhoTarget } from './target.ts';
import type { WhoGuests } from './text.ts';
import { ioTimeoutS, protectedForS } from './times.ts';

export const WHO_SCHEMA = 'holdfast.who/1';

/** For programs: everything as numbers, and the sentences for administrators. */
export function whoJson(
  answers: readonly WhoAnswer[],
  guests: ReadonlyMap<WhoTarget, WhoGuests> = new Map(),
): unknown {
  const leases = answers.map((answer) => leaseJson(answer, guests.get(answer.target) ?? null));
  return { schema: WHO_SCHEMA, leases };
}

function leaseJson({ target, lease, holders }: WhoAnswer, guests: WhoGuests | null) {
  const { label, group, kind, path, offset } = target;
  const place = {
    target: plain(label),
    group: group === null ? null : plain(group),
    kind,
    path: text(path),
    offset,
  };
  if (!lease.ok) return { ...place, isRead: false, says: plain(lease.error), holders: [] };
  const { lockspaceName, resourceName, geometry, lver, isLeaderBehind, damaged } = lease.value;
  return {
    ...place,
    isRead: true,
    lockspace: text(lockspaceName),
    resource: text(resourceName),
    sectorSize: geometry.sectorSize,
    areaBytes: geometry.areaBytes,
    leaseVersion: Number(lver),
    mode: lease.value.holders[0]?.mode ?? 'free',
    isLeftBehind: isLeaderBehind,
    ...(guests === null ? {} : guestsJson(guests)),
    damagedBlocks: damaged.map((block) => ({
      hostId: block.hostId,
      field: block.damage?.field ?? null,
      says: blockDamageText(target, lease.value, block),
    })),
    holders: holders.map((watched) => holderJson(watched, lease.value)),
  };
}

function guestsJson({ uses, skipped }: WhoGuests) {
  const guests = uses.map(({ guest, uuid, target, disk, standing }) => ({
    guest: plain(guest),
    uuid: plain(uuid),
    target: target === null ? null : plain(target),
    disk: plain(disk),
    standing,
  }));
  return { guests, skippedGuestFiles: skipped };
}

function holderJson(watched: WatchedHolder, { lockspaceName }: LeaseState) {
  const { holder, host, standing, watchedS, renewedAgoS } = watched;
  const takeable = takeableOf(watched);
  const hostName = text(host?.hostName ?? '');
  const user = holder.note === null ? null : takenBy(holder.note, lockspaceName);
  return {
    hostId: holder.hostId,
    generation: Number(holder.generation),
    hostName: hostName === '' || standing === 'replaced' ? null : hostName,
    mode: holder.mode,
    liveness: livenessOf(watched),
    ioTimeoutS: ioTimeoutS(host),
    watchedS: round(watchedS),
    renewedAgoS: renewedAgoS === null ? null : round(renewedAgoS),
    protectedAfterRenewalS: protectedForS(ioTimeoutS(host)),
    takeableAfterS: takeable === null ? null : round(takeable.afterS),
    takeableWithinS: takeable === null ? null : round(takeable.withinS),
    heldForS: rounded(heldForS(watched)),
    takenBy:
      user === null
        ? null
        : {
            ...user,
            clientName: plain(user.clientName),
            command: plain(user.command),
            uuid: plain(user.uuid),
          },
    says: holderText(watched),
  };
}

function text(name: string): string {
  return plain(nameToText(name));
}

function round(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}

function rounded(seconds: number | null): number | null {
  return seconds === null ? null : round(seconds);
}
