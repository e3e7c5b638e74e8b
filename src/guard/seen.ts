import { textField } from '../wire/sanlock/records.ts';
import { STATE_TYPES } from '../wire/sanlock/socket.ts';
import type { StateRecord } from '../wire/sanlock/types.ts';
import type { Mode, Seen } from './lease-steps.ts';

/**
 * What sanlock's status says of leases that a guest has, or wants.
 * @returns null: it is not settled. The lockspace is being joined, or resumed by a sanlock that was
 * started again and shows nothing of it yet; or one of the leases is being acquired or released.
 */
export function seenIn(
  records: readonly StateRecord[],
  of: {
    readonly lockspace: string;
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
  // Without the lockspace nothing is held in it. But a sanlock that does not know the keeper either
  // may be one that has not begun to join it.
  if (space === undefined ? !isRegistered : listOf(space) !== 'spaces') return null;
  const held = new Map<string, Mode>();
  const orphans = new Map<string, Mode>();
  for (const record of records) {
    const { resource, data32: pid } = record;
    if (resource?.lockspaceName !== lockspace || !names.includes(resource.name)) continue;
    const list = listOf(record);
    if (list === 'add' || list === 'rem') return null;
    const mode = isShared(record) ? 'shared' : 'exclusive';
    if (list === 'orphan') orphans.set(resource.name, mode);
    else if (pid === keeperPid) held.set(resource.name, mode);
  }
  return { held, orphans, isRegistered };
}

function listOf(record: StateRecord): string | undefined {
  return textField(record, 'list');
}

/** RESOURCE text `flags` bit 1, and a flag of the record itself (spec 20 §11). */
function isShared(record: StateRecord): boolean {
  const flags = Number.parseInt(textField(record, 'flags') ?? '0', 16);
  return ((record.flags | flags) & 1) !== 0;
}
