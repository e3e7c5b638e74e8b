import { fail, ok, type Result } from '../../base/result.ts';

/** The fields that lvm is asked for: `lvs --all --reportformat json -o …`. */
export const LVS_FIELDS =
  'vg_name,vg_uuid,vg_lock_type,vg_lock_args,lv_name,lv_uuid,lv_lockargs,lv_active';

/** An LV of a VG that has a lock type, as lvm reports it from the metadata. */
export interface ReportedLv {
  readonly vgName: string;
  readonly vgUuid: string;
  readonly vgLockType: string;
  readonly vgLockArgs: string;
  readonly name: string;
  readonly uuid: string;
  readonly lockArgs: string;
  /** null: lvm could not say (it may not look at device-mapper here). */
  readonly isActive: boolean | null;
  /** A part of another LV, or lvm's own: users never name it. */
  readonly isHidden: boolean;
}

/** A larger report is not read: no VG has so many LVs. */
const MAX_LVS = 100_000;

/** Of the JSON that `lvs` prints. Rows of VGs without a lock type are left out. */
export function readLvsReport(text: string): Result<readonly ReportedLv[], string> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return fail(`lvs printed ${text.length} characters that are no JSON`);
  }
  const reports = field(parsed, 'report');
  if (!Array.isArray(reports)) return fail('lvs printed JSON without a report');
  const rows = reports.flatMap((report) => field(report, 'lv') ?? []);
  if (rows.length > MAX_LVS) return fail(`lvs reported ${rows.length} LVs`);
  return ok(rows.map(reportedLv).filter(({ vgLockType }) => MANAGED.has(vgLockType)));
}

const MANAGED: ReadonlySet<string> = new Set(['sanlock', 'dlm', 'idm']);

function reportedLv(row: unknown): ReportedLv {
  const bracketed = text(row, 'lv_name');
  const name = unbracketed(bracketed);
  return {
    vgName: text(row, 'vg_name'),
    vgUuid: text(row, 'vg_uuid'),
    vgLockType: text(row, 'vg_lock_type'),
    vgLockArgs: text(row, 'vg_lock_args'),
    name,
    uuid: text(row, 'lv_uuid'),
    lockArgs: text(row, 'lv_lockargs'),
    isActive: activity(text(row, 'lv_active')),
    isHidden: name !== bracketed,
  };
}

/** lvm puts the name of an LV that is its own, or a part of another one, in brackets. */
export function unbracketed(name: string): string {
  return name.replace(/^\[(.*)\]$/s, '$1');
}

function activity(word: string): boolean | null {
  if (word === '') return false;
  return word === 'active' ? true : null;
}

function text(row: unknown, key: string): string {
  const value = field(row, key);
  return typeof value === 'string' ? value : '';
}

function field(of: unknown, key: string): unknown {
  return typeof of === 'object' && of !== null ? Reflect.get(of, key) : undefined;
}
