import { existsSync } from 'node:fs';
import { nameToText, textToName } from '../../../base/bytes.ts';
import { MIB, SECOND_MS } from '../../../base/units.ts';
import { pvRange } from '../../../inspect/leases/pv-extents.ts';
import { unbracketed } from '../../../inspect/snapshot/lvm-report.ts';
import { lockLvOfArgs, lockLvPath } from '../../../lvmlockd/managers/sanlock/layout.ts';
import { askLvm, askProgram } from '../../observe/ask-program.ts';

const LVM_MS = 20 * SECOND_MS;
const QUIETLY = ['--readonly', '--nolocking', '--shared', '--reportformat', 'json', '--units', 'b'];

/** The VGs that lvm sees on this host, as the metadata on the disks say. */
export interface VgReport {
  readonly name: string;
  readonly uuid: string;
  readonly lockType: string;
  readonly lockArgs: string;
  readonly freeMib: number | null;
  readonly lvs: readonly LvReport[];
  /** Where the leases are, of a VG of sanlock; null: it cannot be said. */
  readonly leases: LeasePlace | null;
  readonly pvs: readonly string[];
}

export interface LvReport {
  readonly name: string;
  readonly uuid: string;
  readonly lockArgs: string;
  readonly bytes: number;
}

export interface LeasePlace {
  readonly path: string;
  readonly offsetBytes: number;
}

/** null: lvm does not say. Nothing is locked, and nothing activated. */
export async function reportVgs(): Promise<readonly VgReport[] | null> {
  const ofVgs = 'vg_name,vg_uuid,vg_lock_type,vg_lock_args,vg_extent_size,vg_free';
  const ofLvs = 'vg_name,lv_name,lv_uuid,lv_lockargs,lv_size,seg_pe_ranges,seg_start';
  const [vgs, lvs, pvs] = await Promise.all([
    rowsOf('vgs', ['-o', ofVgs], 'vg'),
    rowsOf('lvs', ['--all', '-o', ofLvs], 'lv'),
    rowsOf('pvs', ['-o', 'pv_name,pe_start,vg_name'], 'pv'),
  ]);
  if (vgs === null || lvs === null || pvs === null) return null;
  return vgs.map((vg) => {
    const name = text(vg, 'vg_name');
    const own = lvs.filter((row) => text(row, 'vg_name') === name);
    const ownPvs = pvs.filter((row) => text(row, 'vg_name') === name);
    const report = {
      name,
      uuid: text(vg, 'vg_uuid'),
      lockType: text(vg, 'vg_lock_type'),
      lockArgs: text(vg, 'vg_lock_args'),
      freeMib: Math.floor(bytes(vg, 'vg_free') / MIB),
      lvs: lvsIn(own),
      pvs: ownPvs.map((row) => text(row, 'pv_name')),
    };
    return { ...report, leases: placeOf(report, { vg, lvs: own, pvs: ownPvs }) };
  });
}

/**
 * VGs of clvm, whose metadata have a flag instead of a lock type: lvm leaves them out, and says so.
 */
export async function clusteredVgs(): Promise<readonly string[]> {
  const args = ['--readonly', '--nolocking', '-o', 'vg_name'];
  const printed = await askProgram('vgs', args, LVM_MS, 'both');
  const said = printed.ok ? printed.value : printed.error;
  const names = [...said.matchAll(/Skipping clustered VG (\S+?)\.?(?=;|\s|$)/g)];
  return names.map(([, name = '']) => name);
}

type Row = Readonly<Record<string, unknown>>;

async function rowsOf(
  program: 'vgs' | 'lvs' | 'pvs',
  args: readonly string[],
  key: string,
): Promise<readonly Row[] | null> {
  const printed = await askLvm(program, [...QUIETLY, ...args], LVM_MS);
  if (!printed.ok) return null;
  try {
    const parsed = JSON.parse(printed.value) as { report?: readonly Row[] };
    const rows = parsed.report?.flatMap((report) => report[key] ?? []) ?? [];
    return rows.filter((row): row is Row => typeof row === 'object' && row !== null);
  } catch {
    return null;
  }
}

function text(row: Row, key: string): string {
  const value = row[key];
  return typeof value === 'string' ? value : '';
}

/** `4194304B` */
function bytes(row: Row, key: string): number {
  return Number.parseInt(text(row, key), 10) || 0;
}

/** An LV has a row for each of its segments. */
function lvsIn(rows: readonly Row[]): readonly LvReport[] {
  const byUuid = new Map<string, LvReport>();
  for (const row of rows) {
    const uuid = text(row, 'lv_uuid');
    const lockArgs = text(row, 'lv_lockargs');
    byUuid.set(uuid, { name: nameIn(row), uuid, lockArgs, bytes: bytes(row, 'lv_size') });
  }
  return [...byUuid.values()];
}

function nameIn(row: Row): string {
  return unbracketed(text(row, 'lv_name'));
}

function placeOf(
  { name, lockType, lockArgs }: Pick<VgReport, 'name' | 'lockType' | 'lockArgs'>,
  rows: { readonly vg: Row; readonly lvs: readonly Row[]; readonly pvs: readonly Row[] },
): LeasePlace | null {
  const lockLv = lockType === 'sanlock' ? lockLvOfArgs(textToName(lockArgs)) : null;
  if (lockLv === null) return null;
  const path = nameToText(lockLvPath(textToName(name), lockLv));
  if (existsSync(path)) return { path, offsetBytes: 0 };
  const lvName = nameToText(lockLv);
  const first = rows.lvs.find((row) => nameIn(row) === lvName && bytes(row, 'seg_start') === 0);
  const range = pvRange(text(first ?? {}, 'seg_pe_ranges'));
  const pv = rows.pvs.find((row) => text(row, 'pv_name') === range?.device);
  if (range === null || pv === undefined) return null;
  const extents = range.firstExtent * bytes(rows.vg, 'vg_extent_size');
  return { path: range.device, offsetBytes: bytes(pv, 'pe_start') + extents };
}
