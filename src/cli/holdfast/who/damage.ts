import { unreachable } from '../../../base/assert.ts';
import { nameToText } from '../../../base/bytes.ts';
import { shellWord } from '../../../base/plain-text.ts';
import type { LeaseError } from '../../../lease/lease-error.ts';
import type { HostBlock } from '../../../lease/paxos-area.ts';
import type { LeaseState, NoLease } from '../../../lease/read-holders.ts';
import { leaseCode } from '../../sanlock/direct-disk.ts';
import type { WhoTarget } from './target.ts';

// Damage keeps every host from a lease, also its holder: what it is, what clients are answered, and
// the way out.

const BLOCK_CODE = -214;

export function noLeaseText(target: WhoTarget, found: NoLease): string {
  return `at ${nameToText(target.path)}:${target.offset} ${explanationOf(found)}`;
}

function explanationOf(found: NoLease): string {
  switch (found.kind) {
    case 'nothing':
      return 'there is no lease';
    case 'cleared':
      return 'the lease was cleared or deleted';
    case 'lockspace':
      return 'there is a lockspace, not a lease';
    case 'damaged':
      return (
        `there is a lease record with ${damageText(found.error)}: every acquire is refused ` +
        `(${leaseCode(found.error)}); when no host uses what it protects, format it anew ` +
        '(sanlock client init -r)'
      );
    case 'unread':
      return `it cannot be read (${leaseCode(found.error)})`;
    default:
      return unreachable(found);
  }
}

function damageText({ code, facts }: LeaseError): string {
  const { field, found } = facts;
  if (field !== undefined && field !== 'checksum') return `an impossible ${field}, ${found}`;
  if (code === 'LEADER_CHECKSUM') return 'a wrong checksum';
  return code === 'LEADER_VERSION' ? 'a version that is not known here' : 'impossible sizes';
}

/** One line for each block that stops every acquire. */
export function blockDamageText(target: WhoTarget, lease: LeaseState, block: HostBlock): string {
  const { hostId, damage } = block;
  const what = damage === null || damage.field === 'checksum' ? 'checksum' : damage.field;
  return (
    `damaged: the block of host id ${hostId} (wrong ${what}) keeps every host from this lease ` +
    `(${BLOCK_CODE}); once that host is surely gone, ${repairCommand(target, lease)} empties it`
  );
}

function repairCommand(target: WhoTarget, lease: LeaseState): string {
  const { path, offset, spacePath, spaceOffset, volume } = target;
  const named = [lease.lockspaceName, lease.resourceName, path].map(nameToText).map(escaped);
  const isApart = spacePath !== path || spaceOffset !== 0;
  const where = isApart
    ? ` --lockspace ${shellWord(`${nameToText(spacePath)}:${spaceOffset}`)}`
    : '';
  const what = volume ?? `${named.join(':')}:${offset}`;
  return `"holdfast repair ${shellWord(what)}${volume === null ? where : ''}"`;
}

/** A colon of a name, as `splitEscaped` takes it. */
function escaped(name: string): string {
  return name.replace(/[\\:]/g, '\\$&');
}

export function hostDamageText(hostId: number, error: LeaseError): string {
  return (
    `has a damaged host lease (${damageText(error)}), so every acquire is refused ` +
    `(${leaseCode(error)}), and host id ${hostId} cannot join again; it is mended by a new format ` +
    'of the lockspace, when every host has left it'
  );
}
