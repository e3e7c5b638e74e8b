import { unreachable } from '../../base/assert.ts';
import type { LeaseFinding, LeasesOfVg } from './vg-leases.ts';

/** A finding about the leases of a VG, in a line for an administrator. */
export function findingText(finding: LeaseFinding, { areaBytes }: LeasesOfVg): string {
  const { offset } = finding;
  const place = offset === null ? '' : `slot ${offset / areaBytes} (byte ${offset})`;
  return `${place === '' ? '' : `${place}: `}${whatIs(finding)}`;
}

function whatIs({ kind, of, found }: LeaseFinding): string {
  const who = of.join(', ');
  switch (kind) {
    case 'slotWithoutLv':
      return `the lease of LV ${who}, which the VG does not have`;
    case 'lvWithoutSlot':
      return `LV ${who} has lost its lease: the slot is ${found}`;
    case 'lvOutside':
      return `LV ${who} has the lock args "${found}", which name no slot of the device`;
    case 'otherName':
      return `${who} has lost its lease: the slot holds ${found}`;
    case 'sharedSlot':
      return `LVs ${who} have the same lock args; the slot holds ${found}`;
    case 'secondSlot':
      return `a second lease of LV ${who}, which its lock args do not name`;
    case 'otherLockspace':
      return `the lease of ${who || 'no LV'} names the lockspace ${found}`;
    case 'damaged':
      return `the lease of ${who || 'no LV'} is damaged (${found})`;
    default:
      return unreachable(kind);
  }
}

/** What to do about one that nothing mends by itself. */
export function adviceText({ kind }: LeaseFinding): string {
  switch (kind) {
    case 'lvOutside':
    case 'otherName':
    case 'sharedSlot':
    case 'secondSlot':
      return (
        'not mended: deactivate all LVs, stop the VG on all hosts, then give it new leases ' +
        '(vgchange --lock-type none --lock-opt force, vgchange --lock-type sanlock)'
      );
    case 'slotWithoutLv':
    case 'lvWithoutSlot':
    case 'otherLockspace':
    case 'damaged':
      return 'not mended';
    default:
      return unreachable(kind);
  }
}
