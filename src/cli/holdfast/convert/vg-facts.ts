import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { nameToText, textToName } from '../../../base/bytes.ts';
import { fail, ok, type Result } from '../../../base/result.ts';
import type { LvInUse } from '../../../inspect/join/leave-plan.ts';
import {
  type HostReadiness,
  LOCK_LV,
  type LvFacts,
  type OtherHost,
  type VgFacts,
} from '../../../inspect/join/preflight.ts';
import { sanlockSpaceName } from '../../../lvmlockd/managers/sanlock/layout.ts';
import { HOST_STATES } from '../../../wire/sanlock/socket.ts';
import { isStarted } from '../join/facts.ts';
import { hostsOf, type LocalDaemons, localPorts, seeLocalDaemons } from '../vg/local-daemons.ts';
import { lvm, lvmReport, lvmVersion, type Row } from '../vg/lvm.ts';
import { lvsInUse } from '../vg/lvs-in-use.ts';
import {
  carriesGlobalLock,
  isLockspaceFreed,
  readHostLeases,
  type SharedVg,
  sharedVgs,
} from '../vg/shared-vgs.ts';

export interface ConvertFacts {
  readonly vg: VgFacts;
  readonly host: HostReadiness;
}

/** @returns a sentence without its full stop: why the VG cannot be looked at */
export async function seeForConvert(name: string): Promise<Result<ConvertFacts, string>> {
  const [vg, listed, daemons] = await Promise.all([
    seeVg(name),
    sharedVgs(),
    seeLocalDaemons(localPorts()),
  ]);
  if (!vg.ok) return vg;
  if (!listed.ok) return listed;
  const shared = listed.value.find((one) => one.name === name) ?? null;
  const isFreed = shared !== null && (await isLockspaceFreed(shared));
  const host = await readiness(name, { daemons, listed: listed.value });
  return ok({ vg: { ...vg.value, isLockspaceFreed: isFreed }, host });
}

const VG_FIELDS = [
  ...['vg_name', 'vg_lock_type', 'vg_extent_size', 'vg_free_count', 'vg_exported'],
  ...['vg_systemid', 'vg_missing_pv_count'],
];

/** But for its lockspace. */
async function seeVg(name: string): Promise<Result<VgFacts, string>> {
  const vgs = await lvmReport('vgs', VG_FIELDS, [name]);
  const row = vgs.ok ? vgs.value[0] : undefined;
  if (row === undefined) {
    if (await isClustered(name)) return ok(clusteredVg(name));
    return fail(vgs.ok ? `lvm sees no VG ${name} here` : vgs.error);
  }
  const [pvs, lvs, inUse] = await Promise.all([
    lvmReport('pvs', ['pv_name', 'vg_name']),
    lvmReport('lvs', ['lv_name', 'segtype', 'lv_role', 'lv_size'], ['--all', name]),
    lvsInUse([name]),
  ]);
  if (!pvs.ok) return pvs;
  if (!lvs.ok) return lvs;
  if (!inUse.ok) return inUse;
  const lockType = row['vg_lock_type'] ?? '';
  const isLocal = lockType === '' || lockType === 'none';
  return ok({
    ...{ name, kind: isLocal ? 'local' : 'shared', lockType: isLocal ? '' : lockType },
    isLockspaceFreed: false,
    extentBytes: Number(row['vg_extent_size']),
    freeExtents: Number(row['vg_free_count']),
    isExported: row['vg_exported'] !== '',
    systemId: row['vg_systemid'] ?? '',
    missingPvs: Number(row['vg_missing_pv_count']),
    pvs: pvs.value.filter((pv) => pv['vg_name'] === name).map(pvFacts),
    lvs: lvFacts(lvs.value, Number(row['vg_extent_size'])),
    inUse: inUse.value,
  });
}

async function isClustered(name: string): Promise<boolean> {
  const how = ['--readonly', '--shared', '--nolocking', '-o', 'vg_name', name];
  const { said } = await lvm(['vgs', ...how]);
  return said.some((line) => line.includes(`clustered VG ${name}`));
}

/** lvm tells nothing of it; which of its LVs are active here, device-mapper's names tell. */
function clusteredVg(name: string): VgFacts {
  return {
    ...{ name, kind: 'clustered', lockType: '', extentBytes: 0, freeExtents: 0, pvs: [], lvs: [] },
    ...{ isExported: false, systemId: '', missingPvs: 0, isLockspaceFreed: false },
    inUse: mappedLvs(name),
  };
}

const BLOCK_DEVICES = '/sys/block';

function mappedLvs(vg: string): readonly LvInUse[] {
  const before = `${vg.replaceAll('-', '--')}-`;
  return namesIn(BLOCK_DEVICES).flatMap((device) => {
    const mapped = textIn(`${BLOCK_DEVICES}/${device}/dm/name`);
    if (mapped === null || !mapped.startsWith(before)) return [];
    const rest = mapped.slice(before.length);
    if (rest.startsWith('-')) return []; // of another VG, whose name begins so
    return { vg, name: rest.replaceAll('--', '-'), lock: null, isActive: true, users: [] };
  });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function textIn(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}

function pvFacts(row: Row): VgFacts['pvs'][number] {
  const name = row['pv_name'] ?? '';
  return { name, sectorBytes: sectorBytesOf(name) };
}

/** The larger of the two, as lvm goes by it. */
function sectorBytesOf(path: string): number | null {
  try {
    const folder = `/sys/class/block/${basename(realpathSync(path))}`;
    const sizes = ['logical_block_size', 'physical_block_size'].map((file) =>
      Number(textIn(`${folder}/queue/${file}`) ?? textIn(`${folder}/../queue/${file}`)),
    );
    const largest = Math.max(...sizes);
    return largest > 0 ? largest : null;
  } catch {
    return null; // a PV that is missing
  }
}

/** A row for each piece; the first one tells the type. Parts of other LVs are left out. */
function lvFacts(rows: readonly Row[], extentBytes: number): readonly LvFacts[] {
  const lvs = new Map<string, LvFacts>();
  for (const row of rows) {
    const name = (row['lv_name'] ?? '').replace(`[${LOCK_LV}]`, LOCK_LV);
    if (name.startsWith('[') || lvs.has(name)) continue;
    const roles = (row['lv_role'] ?? '').split(',');
    const extents = Number(row['lv_size']) / extentBytes;
    lvs.set(name, { name, type: row['segtype'] ?? '', roles, extents });
  }
  return [...lvs.values()];
}

async function readiness(
  name: string,
  from: { readonly daemons: LocalDaemons; readonly listed: readonly SharedVg[] },
): Promise<HostReadiness> {
  const { daemons, listed } = from;
  const { running, sanlock } = daemons;
  const settings = await lvmSettings();
  const others = listed.filter((vg) => vg.lockType === 'sanlock' && vg.name !== name);
  const own = listed.find((vg) => vg.name === name);
  return {
    lvmVersion: await lvmVersion(),
    hostId: settings.hostId,
    usesLvmlockd: settings.usesLvmlockd,
    isSanlockRunning: running.has('sanlock'),
    isLvmlockdRunning: running.has('lvmlockd'),
    usesWatchdog: sanlock?.usesWatchdog ?? true,
    isStarted: isStarted(daemons, name),
    hasGlobalLock: own === undefined ? null : await carriesGlobalLock(own),
    otherVgs: others.map((vg) => ({ name: vg.name, isStarted: isStarted(daemons, vg.name) })),
    otherHosts: own === undefined ? [] : await otherHosts(own, { daemons, ...settings }),
  };
}

async function lvmSettings(): Promise<{
  readonly hostId: number | null;
  readonly usesLvmlockd: boolean;
}> {
  const keys = ['global/use_lvmlockd', 'local/host_id'];
  const end = await lvm(['lvmconfig', '--typeconfig', 'full', ...keys]);
  const hostId = Number(/^host_id=(\d+)$/m.exec(end.stdout)?.[1] ?? 0);
  return { hostId: hostId > 0 ? hostId : null, usesLvmlockd: /^use_lvmlockd=1$/m.test(end.stdout) };
}

const STATES = new Map<number, OtherHost['state']>([
  [HOST_STATES.LIVE, 'live'],
  [HOST_STATES.FAIL, 'fail'],
  [HOST_STATES.DEAD, 'dead'],
]);
const STATE_MASK = 0xf;

/** By the disk, and whether they are alive by sanlock here, where it has the lockspace. */
async function otherHosts(
  vg: SharedVg,
  on: { readonly daemons: LocalDaemons; readonly hostId: number | null },
): Promise<readonly OtherHost[]> {
  const leases = await readHostLeases(vg);
  if (!leases.ok) return [];
  const space = sanlockSpaceName(textToName(vg.name));
  const own = on.daemons.sanlock?.lockspaces.find(({ name }) => name === nameToText(space));
  const judged = own === undefined ? null : await hostsOf(localPorts(), nameToText(space));
  const ownId = own?.hostId ?? on.hostId;
  return leases.value.used
    .filter(({ hostId, timestampS }) => timestampS > 0 && hostId !== ownId)
    .map(({ hostId, hostName }) => {
      const seen = judged?.find((host) => Number(host.hostId) === hostId);
      const state = seen === undefined ? null : STATES.get(seen.flags & STATE_MASK);
      return { hostId, hostName, state: state ?? 'unknown' };
    });
}

/** What lvm says of its lock type now; null: it does not see the VG, or it is a clustered one. */
export async function lockTypeNow(name: string): Promise<string | null> {
  const vgs = await lvmReport('vgs', ['vg_lock_type'], [name]);
  const type = vgs.ok ? vgs.value[0]?.['vg_lock_type'] : undefined;
  if (type === undefined) return null;
  return type === '' ? 'none' : type;
}
