import { realpathSync } from 'node:fs';
import { nameToText, textToName } from '../../../base/bytes.ts';
import { fail, ok, type Result } from '../../../base/result.ts';
import { pvRange } from '../../../inspect/leases/pv-extents.ts';
import type { LunFacts } from '../../../inspect/rehearsal.ts';
import { unbracketed } from '../../../inspect/snapshot/lvm-report.ts';
import { sanlockSpaceName } from '../../../lvmlockd/managers/sanlock/layout.ts';
import { reasonOf } from '../../../platform/system-error.ts';
import { lvmReport } from '../vg/lvm.ts';

/** Which LVs, and which leases, have a piece on a PV. */
export async function lunFacts(path: string): Promise<Result<LunFacts, string>> {
  let real: string;
  try {
    real = realpathSync(path);
  } catch (thrown) {
    return fail(reasonOf(thrown));
  }
  const fields = ['vg_name', 'lv_name', 'lv_role', 'seg_pe_ranges'];
  const rows = await lvmReport('lvs', fields, ['--all', '--segments']);
  if (!rows.ok) return rows;
  const lvs = new Set<string>();
  const lockspaces = new Set<string>();
  for (const row of rows.value) {
    const ranges = (row['seg_pe_ranges'] ?? '').split(' ');
    const devices = ranges.flatMap((range) => pvRange(range)?.device ?? []);
    if (!devices.some((device) => isSame(device, real))) continue;
    const vg = row['vg_name'] ?? '';
    const isLeases = row['lv_role']?.split(',').includes('lockd') ?? false;
    if (isLeases) lockspaces.add(nameToText(sanlockSpaceName(textToName(vg))));
    else lvs.add(`${vg}/${unbracketed(row['lv_name'] ?? '')}`);
  }
  return ok({ path: real, lockspaces: [...lockspaces], lvs: [...lvs] });
}

function isSame(device: string, real: string): boolean {
  if (device === real) return true;
  try {
    return realpathSync(device) === real;
  } catch {
    return false; // a part of another LV, or a PV that is missing
  }
}
