import { nameToText } from '../../../base/bytes.ts';
import { fail, ok, type Result } from '../../../base/result.ts';
import type { ReportedLv } from '../../../inspect/snapshot/lvm-report.ts';
import { readHostArea } from '../../../lease/host-area.ts';
import type { Sources } from './sources.ts';
import { READ_TIMEOUT_MS } from './space-watch.ts';
import type { WhoTarget } from './target.ts';
import { lockPlace, vgTargets } from './volumes.ts';
import { readBy } from './world.ts';

/** The leases of a VG; null: lvm knows no shared VG of that name. */
export async function vgByName(
  vgName: string,
  sources: Sources,
): Promise<Result<readonly WhoTarget[], string> | null> {
  const lvs = await sources.lvs();
  const rows = lvs.ok ? lvs.value.filter((row) => row.vgName === vgName) : [];
  return rows.length === 0 ? null : await vgLeases(rows, sources);
}

/** The names of the VGs of sanlock that lvm reports. */
export async function sanlockVgs(sources: Sources): Promise<readonly string[]> {
  const lvs = await sources.lvs();
  const rows = lvs.ok ? lvs.value : [];
  const names = rows.filter(({ vgLockType }) => vgLockType === 'sanlock').map((row) => row.vgName);
  return [...new Set(names)].sort();
}

/** @param rows of one VG, all of its LVs */
async function vgLeases(
  rows: readonly ReportedLv[],
  sources: Sources,
): Promise<Result<readonly WhoTarget[], string>> {
  const [{ vgName, vgLockType, vgLockArgs } = NO_VG] = rows;
  if (vgLockType !== 'sanlock') {
    return fail(`${vgName} is a VG of lock type ${vgLockType}: its locks are on no disk`);
  }
  const place = await lockPlace(vgName, vgLockArgs, sources);
  if (!place.ok) return place;
  const { path, offset } = place.value;
  const { world } = sources;
  const steps = readHostArea({ offset, timeoutMs: READ_TIMEOUT_MS });
  const hosts = await world.look(path, (piece) => readBy(piece, steps, () => world.nowMs()));
  if (typeof hosts === 'string') return fail(`the leases of VG ${vgName}: ${hosts}`);
  if (!hosts.ok || hosts.value === null) {
    return fail(`there is no lockspace of VG ${vgName} at ${nameToText(path)}:${offset}`);
  }
  return ok(vgTargets(rows, place.value, hosts.value.geometry.areaBytes));
}

const NO_VG = { vgName: '', vgLockType: '', vgLockArgs: '' };
