import type { ByteString } from '../../../base/bytes.ts';
import { textField } from '../../../wire/sanlock/records.ts';
import { RES_FLAGS, STATE_TYPES } from '../../../wire/sanlock/socket.ts';
import type { Resource, StateRecord } from '../../../wire/sanlock/types.ts';

/** The facts that lvmlockd takes from sanlock's STATUS (spec 20 §11). */

export interface StatusLease {
  /** RES_FLAGS.SHARED says the mode. */
  readonly resource: Resource;
  /** held, add, rem or orphan. */
  readonly list: ByteString;
}

export function leasesIn(records: readonly StateRecord[]): readonly StatusLease[] {
  const leases: StatusLease[] = [];
  for (const record of records) {
    if (record.type !== STATE_TYPES.RESOURCE || record.resource === null) continue;
    const shared = (record.flags & 1) !== 0 || hasSharedText(record) ? RES_FLAGS.SHARED : 0;
    const { resource } = record;
    const flags = (resource.flags & ~RES_FLAGS.SHARED) | shared;
    leases.push({ resource: { ...resource, flags }, list: textField(record, 'list') ?? '' });
  }
  return leases;
}

/** Names of the lockspaces that are being removed or lost. */
export function dyingIn(records: readonly StateRecord[]): readonly ByteString[] {
  return records
    .filter((record) => record.type === STATE_TYPES.LOCKSPACE && isDying(record))
    .map(({ name }) => name);
}

/** RESOURCE text `flags` bit 1: shared. */
function hasSharedText(record: StateRecord): boolean {
  return (Number.parseInt(textField(record, 'flags') ?? '0', 16) & 1) !== 0;
}

function isDying(record: StateRecord): boolean {
  const number = (key: string) => Number(textField(record, key) ?? '0');
  return (
    textField(record, 'list') === 'rem' || number('space_dead') > 0 || number('killing_pids') > 0
  );
}
