import { textField } from '../wire/sanlock/records.ts';
import { STATE_TYPES } from '../wire/sanlock/socket.ts';
import type { StateRecord } from '../wire/sanlock/types.ts';
import type { Mode, Seen } from './lease-steps.ts';

/**
 * What sanlock's status says of the leases of a keeper, and of those that its guest wants.
 * @returns null: it is not settled. The lockspace is being joined, or resumed by a sanlock that was
 * started again, or its users are being ended; or a lease is being acquired or released.
 */
export function seenIn(
  records: readonly StateRecord[],
  of: {
    readonly lockspace: string;
    /** Of orphans that are asked for. */
    readonly names: readonly string[];
    readonly keeperPid: number;
  },
): Seen | null {
  const { lockspace, names, keeperPid } = of;
  const isRegistered = records.some(
    ({ type, data32: pid }) => type === STATE_TYPES.CLIENT && pid === keeperPid,
  );
  const space = records.find(
    ({ type, name }) => type === STATE_TYPES.LOCKSPACE && name === lockspace,
  );
  if (space !== undefined && listOf(space) === 'add') return null;
  const isGone = space === undefined || isEnding(space);
  const held = new Map<string, Mode>();
  const orphans = new Map<string, Mode>();
  const byOthers = new Map<string, number>();
  for (const record of records) {
    const { resource, data32: pid } = record;
    if (resource?.lockspaceName !== lockspace) continue;
    const list = listOf(record);
    const isKeepers = pid === keeperPid && pid > 0 && list !== 'orphan';
    if (!isKeepers && !names.includes(resource.name)) continue;
    if (isGone && isKeepers) return null; // until sanlock has had its guest ended
    if (list === 'add' || list === 'rem') return null;
    const mode = isShared(record) ? 'shared' : 'exclusive';
    if (list === 'orphan') orphans.set(resource.name, mode);
    else if (isKeepers) held.set(resource.name, mode);
    else if (pid > 0) byOthers.set(resource.name, pid);
  }
  return { held, orphans: isGone ? new Map() : orphans, byOthers, isRegistered, isGone };
}

/** Nothing in it is renewed any more: what is orphaned in it is nobody's when it has ended. */
function isEnding(space: StateRecord): boolean {
  return listOf(space) === 'rem' || textField(space, 'space_dead') === '1';
}

function listOf(record: StateRecord): string | undefined {
  return textField(record, 'list');
}

/** RESOURCE text `flags` bit 1, and a flag of the record itself (spec 20 §11). */
function isShared(record: StateRecord): boolean {
  const flags = Number.parseInt(textField(record, 'flags') ?? '0', 16);
  return ((record.flags | flags) & 1) !== 0;
}
