import { type ByteString, nameToText, textToName } from '../../../base/bytes.ts';
import { plain } from '../../../base/plain-text.ts';
import { fail, ok, type Result } from '../../../base/result.ts';
import { pvRange } from '../../../inspect/leases/pv-extents.ts';
import { type ReportedLv, unbracketed } from '../../../inspect/snapshot/lvm-report.ts';
import {
  lockLvOfArgs,
  lockLvPath,
  offsetOfArgs,
  SLOT_GL,
  SLOT_VG,
  sanlockSpaceName,
  VG_NAME,
} from '../../../lvmlockd/managers/sanlock/layout.ts';
import { askLvm } from '../../observe/ask-program.ts';
import type { WhoTarget } from './target.ts';

const LVM_DEADLINE_MS = 30_000;
const READ_ONLY = ['--readonly', '--nolocking', '--shared', '--noheadings', '--separator', '|'];
const FIELDS = 'lv_uuid,lv_lockargs,vg_lock_type,vg_name,vg_lock_args,lv_name,pool_lv,origin';

/** Asks lvm, which only reads for this and takes no lock: it answers without lvmlockd. */
export type AskLvm = (
  program: 'lvs' | 'pvs',
  args: readonly string[],
) => Promise<Result<string, string>>;

export const askRealLvm: AskLvm = (program, args) => askLvm(program, args, LVM_DEADLINE_MS);

/** Where the leases of a VG are: the LV of the leases, or its place on the PV. */
export interface LockPlace {
  readonly path: ByteString;
  /** Of the lockspace, in bytes from the start of that device. */
  readonly offset: number;
}

export interface VolumePorts {
  readonly lvm: AskLvm;
  readonly isThere: (path: ByteString) => boolean;
}

const REAL_PORTS = (isThere: VolumePorts['isThere']): VolumePorts => ({ lvm: askRealLvm, isThere });

/** The lease of an LV; of one without a lease, that of the LV which lvm locks in its place. */
export async function volumeTarget(
  name: string,
  ports: VolumePorts = REAL_PORTS(() => true),
): Promise<Result<WhoTarget, string>> {
  const found = await volumeRow(name, ports);
  if (!found.ok) return found;
  const [, lockArgs = '', lockType, vgName = '', , , pool = '', origin = ''] = found.value;
  const instead = [pool, origin].find((other) => other !== '') ?? '';
  if (lockType !== 'sanlock' || lockArgs !== '' || instead === '') {
    return await targetOfRow(name, name, found.value, ports);
  }
  const locked = `${vgName}/${unbracketed(instead)}`;
  const row = await volumeRow(locked, ports);
  if (!row.ok) return row;
  return await targetOfRow(`${name} (locked as ${locked})`, locked, row.value, ports);
}

async function volumeRow(
  name: string,
  { lvm }: VolumePorts,
): Promise<Result<readonly string[], string>> {
  const printed = await lvm('lvs', [...READ_ONLY, '--all', '-o', FIELDS, name]);
  if (printed.ok) return ok(printed.value.trim().split('|'));
  return fail(`lvm does not report where the lease of ${name} is: ${printed.error}`);
}

async function targetOfRow(
  label: string,
  name: string,
  row: readonly string[],
  ports: VolumePorts,
): Promise<Result<WhoTarget, string>> {
  const [uuid = '', lockArgs = '', lockType = '', vgName = '', vgLockArgs = ''] = row;
  if (lockType !== 'sanlock') {
    const kind = lockType === '' ? 'a local VG' : `a VG of lock type ${lockType}`;
    return fail(`${name} is in ${kind}: only LVs of a VG with lock type sanlock have a lease`);
  }
  const offset = offsetOfArgs(lockArgs);
  if (offset === null) {
    const found = lockArgs === '' ? 'no lock args' : `the lock args "${lockArgs}"`;
    return fail(
      `${name} has ${found}, so no lease of its own: ask about the LV that lvm locks ` +
        'in its place (the thin pool, the origin)',
    );
  }
  const place = await lockPlace(vgName, vgLockArgs, ports);
  if (!place.ok) return place;
  const lockspaceName = sanlockSpaceName(textToName(vgName));
  return ok({
    ...at(place.value, offset),
    ...{ label, name: label, group: null, kind: 'lv', volume: name },
    expected: { lockspaceName, name: uuid },
  });
}

function at(place: LockPlace, offset: number) {
  const { path, offset: base } = place;
  return { path, offset: base + offset, spacePath: path, spaceOffset: base };
}

/**
 * The device with the leases of a VG: the LV of the leases where the VG was started, and else where
 * that LV lies on its PV, so that nothing has to be started to be asked.
 */
export async function lockPlace(
  vgName: string,
  vgLockArgs: string,
  { lvm, isThere }: VolumePorts,
): Promise<Result<LockPlace, string>> {
  const lvName = lockLvOfArgs(textToName(vgLockArgs));
  if (lvName === null) return fail(`the VG ${vgName} has no leases (lock args "${vgLockArgs}")`);
  const path = lockLvPath(textToName(vgName), lvName);
  if (isThere(path)) return ok({ path, offset: 0 });
  const hidden = `${vgName}/${nameToText(lvName)}`;
  const fields = 'seg_pe_ranges,vg_extent_size';
  const bytes = [...READ_ONLY, '--units', 'b', '--nosuffix'];
  const segments = await lvm('lvs', [...bytes, '--all', '--segments', '-o', fields, hidden]);
  if (!segments.ok) return fail(`lvm does not report where ${hidden} lies: ${segments.error}`);
  const [ranges = '', extent = ''] = segments.value.trim().split('|');
  const found = pvRange(ranges);
  const isOne = segments.value.trim().split('\n').length === 1;
  if (found === null || !isOne || !isThere(textToName(found.device))) {
    return fail(
      `${hidden} is in parts, or its PV is not here: start the VG (vgchange --lock-start)`,
    );
  }
  const { device: pv, firstExtent } = found;
  const start = await lvm('pvs', [...bytes, '-o', 'pe_start', pv]);
  if (!start.ok)
    return fail(`lvm does not report where the extents of ${pv} begin: ${start.error}`);
  const offset = Number(start.value.trim()) + firstExtent * Number(extent);
  if (!Number.isSafeInteger(offset)) return fail(`lvm reported no numbers for ${hidden} on ${pv}`);
  return ok({ path: textToName(pv), offset });
}

/** All leases of a VG: its locks first, then its LVs as lvm reports them. */
export function vgTargets(
  rows: readonly ReportedLv[],
  place: LockPlace,
  areaBytes: number,
): readonly WhoTarget[] {
  const vgName = rows[0]?.vgName ?? '';
  const lockspaceName = sanlockSpaceName(textToName(vgName));
  const group = `VG ${plain(vgName)}`;
  const lock = (kind: 'vgLock' | 'globalLock', name: string, slot: number): WhoTarget => ({
    ...at(place, slot * areaBytes),
    ...{ label: `${vgName}: the ${name}`, name: `(${name})`, group, kind, volume: null },
    // The name of the other one says whether it is enabled.
    expected: kind === 'vgLock' ? { lockspaceName, name: VG_NAME } : null,
  });
  const lvs = rows.flatMap(({ name, uuid, lockArgs }): readonly WhoTarget[] => {
    const offset = offsetOfArgs(lockArgs);
    if (offset === null) return [];
    const volume = `${vgName}/${name}`;
    const expected = { lockspaceName, name: uuid };
    return [{ ...at(place, offset), label: volume, name, group, kind: 'lv', volume, expected }];
  });
  return [lock('globalLock', 'global lock', SLOT_GL), lock('vgLock', 'VG lock', SLOT_VG), ...lvs];
}
