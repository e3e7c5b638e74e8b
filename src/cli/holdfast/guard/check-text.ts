import type { Finding } from '../../../base/finding.ts';
import { plain, plainJson } from '../../../base/plain-text.ts';
import {
  type DiskVerdict,
  diskVerdicts,
  type GuestSeen,
  holderText,
} from '../../../guard/check/guest-check.ts';
import { CHECK_PAGE } from './pages.ts';
import { findingsText, table } from './texts.ts';

/** For programs. */
export function checkJson(findings: readonly Finding[], guest: GuestSeen | null): string {
  const about =
    guest === null
      ? {}
      : {
          guest: guest.guest.name,
          uuid: guest.guest.uuid,
          isActive: guest.isActive,
          disks: diskVerdicts(guest),
        };
  const { schema } = CHECK_PAGE;
  return `${plainJson({ schema, ...about, findings })}\n`;
}

export function hostText(findings: readonly Finding[]): string {
  const isWell = findings.every(({ weight }) => weight === 'note');
  return `${findingsText(findings)}${isWell ? 'nothing is wrong with this host\n' : ''}`;
}

export function guestText(seen: GuestSeen, findings: readonly Finding[]): string {
  const { guest, isActive } = seen;
  const where = isActive ? 'active on this host' : 'not active on this host';
  const disks = diskVerdicts(seen).map(diskText);
  const body = disks.length === 0 ? 'it has no disks\n' : disks.join('');
  const more = findings.length === 0 ? '' : `\n${findingsText(findings)}`;
  return `guest ${plain(guest.name)} (${guest.uuid}), ${where}\n\n${body}${more}`;
}

function diskText({ target, source, access, by, whyNot, leases }: DiskVerdict): string {
  const who = by.map((one) => (one === 'guard' ? 'the guard' : "libvirt's plugin")).join(' and ');
  const verdict = whyNot === null ? `protected by ${who}` : `NOT protected: ${whyNot}`;
  const rows = leases.map(({ name, mode, key, isMade, holder }) => [
    ...['   ', name, mode, `of ${key}`],
    isMade === null ? 'not known' : isMade ? 'made' : 'not made yet',
    `held by ${holderText(holder)}`,
  ]);
  return `${plain(`${target}  ${source} (${access}): ${verdict}`)}\n${table(rows)}`;
}
