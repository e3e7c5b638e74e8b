import type { ByteString } from '../base/bytes.ts';
import { type ManagerSteps, mappedDevices, mappedTables, mapperDone } from './managers/steps.ts';
import { type DaemonState, log } from './state.ts';

/**
 * The device of a VG's leases, left from before a disk went away: its table names device numbers
 * that are not there any more, and the disk has come back under others. lvm takes the device for
 * active, and so no start of the VG ever makes a new one. Removed, lvm makes it anew at the next
 * start.
 */
export type StaleMapping =
  /** Nothing wrong with it, or it is not there. */
  | 'none'
  | 'removed'
  /** Somebody has it open: a lockspace that sanlock has not left yet. */
  | 'inUse';

const REMOVE_MS = 3000;

/** `leaseDevice`: as device-mapper names it. */
export function* removeStale(leaseDevice: ByteString): ManagerSteps<StaleMapping> {
  if (leaseDevice === '') return 'none';
  const devices = yield* mappedDevices();
  const found = devices?.find(({ name }) => name === leaseDevice);
  if (found === undefined || !found.uuid.startsWith('LVM-')) return 'none';
  const table = (yield* mappedTables([found.uuid])).get(found.uuid);
  if (table === undefined || table.gone.length === 0) return 'none';
  if (table.openCount > 0) return 'inUse';
  const { uuid } = found;
  const done = yield* mapperDone({ kind: 'removeDevice', uuid, deadlineMs: REMOVE_MS });
  return done.get(uuid) === 0 ? 'removed' : 'inUse';
}

export function logStale(state: DaemonState, vg: ByteString, stale: StaleMapping): void {
  if (stale === 'none') return;
  const advice =
    stale === 'removed'
      ? `vgchange --lockstart ${vg} makes it anew when the disk is back`
      : 'it is removed when nobody has it open any more';
  const event = stale === 'removed' ? 'leaseDevice.removed' : 'leaseDevice.stale';
  log(state, 'warn', event, { vg, advice });
}
