import { caution, type Finding, note, problem } from '../../base/finding.ts';
import { MIB } from '../../base/units.ts';
import type { LvInUse } from './leave-plan.ts';

/** Whether a VG can become a shared one, or a local one again, by what one host sees. */
export interface VgFacts {
  readonly name: string;
  /** `clustered`: of clvmd, of which lvm shows nothing more. */
  readonly kind: 'local' | 'clustered' | 'shared';
  /** `sanlock`, `dlm`, `idm`; '' of another kind. */
  readonly lockType: string;
  /** Of sanlock, and its lockspace is given up: a conversion was interrupted. */
  readonly isLockspaceFreed: boolean;
  readonly extentBytes: number;
  readonly freeExtents: number;
  readonly isExported: boolean;
  readonly systemId: string;
  readonly missingPvs: number;
  readonly pvs: readonly { readonly name: string; readonly sectorBytes: number | null }[];
  readonly lvs: readonly LvFacts[];
  /** LVs that are active or locked on this host. */
  readonly inUse: readonly LvInUse[];
}

export interface LvFacts {
  readonly name: string;
  /** Of its first segment: `linear`, `thin`, `raid1`. */
  readonly type: string;
  readonly roles: readonly string[];
  readonly extents: number;
}

export interface HostReadiness {
  /** `[2, 3, 16]`; null: not known. */
  readonly lvmVersion: readonly number[] | null;
  readonly hostId: number | null;
  readonly usesLvmlockd: boolean;
  readonly isSanlockRunning: boolean;
  readonly isLvmlockdRunning: boolean;
  readonly usesWatchdog: boolean;
  /** Whether the VG is started here. */
  readonly isStarted: boolean;
  /** Of a shared VG: whether it carries the global lock; null: not known, or no shared VG. */
  readonly hasGlobalLock: boolean | null;
  /** Other VGs of sanlock; one of them carries the global lock. */
  readonly otherVgs: readonly { readonly name: string; readonly isStarted: boolean }[];
  /** Other hosts in the lockspace of the VG, by the disk. */
  readonly otherHosts: readonly OtherHost[];
}

export interface OtherHost {
  readonly hostId: number;
  readonly hostName: string;
  /** As sanlock of this host sees it; `unknown`: the VG is not started here. */
  readonly state: 'live' | 'fail' | 'dead' | 'unknown';
}

export type TargetType = 'sanlock' | 'none';

export function preflight(vg: VgFacts, host: HostReadiness, to: TargetType): readonly Finding[] {
  const isAlready = to === 'none' ? vg.kind === 'local' : isSharedNow(vg) && host.isStarted;
  const findings = [...(isAlready ? [] : vgFindings(vg)), ...hostFindings(host)];
  if (to === 'none') return [...findings, ...toLocal(vg, host)];
  return [...findings, ...toShared(vg, host)];
}

function isSharedNow({ kind, lockType }: VgFacts): boolean {
  return kind === 'shared' && lockType === 'sanlock';
}

function vgFindings(vg: VgFacts): readonly Finding[] {
  const { name, missingPvs, isExported } = vg;
  const inUse = vg.inUse.filter((lv) => lv.name !== leftover(vg)?.name);
  return [
    ...inUse.map((lv) => {
      const by = lv.users.length === 0 ? '' : `, used by ${lv.users.join(', ')}`;
      const how = lv.isActive ? 'active' : `locked (${lv.lock})`;
      return problem(
        'lvActive',
        `LV ${name}/${lv.name} is ${how} here${by}`,
        deactivate(vg, lv.name),
      );
    }),
    ...(missingPvs > 0
      ? [
          problem(
            'pvMissing',
            `${missingPvs} PVs of VG ${name} are missing`,
            'bring them back first',
          ),
        ]
      : []),
    ...(isExported
      ? [problem('vgExported', `VG ${name} is exported`, `import it first: vgimport ${name}`)]
      : []),
  ];
}

function deactivate({ name, kind }: VgFacts, lv: string): string {
  // lvm refuses a clustered VG; device-mapper does not know what it is of.
  if (kind === 'clustered') return `end its users, then dmsetup remove ${name}-${lv}`;
  return `end its users, then lvchange -an ${name}/${lv}`;
}

function hostFindings(host: HostReadiness): readonly Finding[] {
  const { lvmVersion, hostId, usesLvmlockd, isSanlockRunning, isLvmlockdRunning } = host;
  const [major = 0, minor = 0] = lvmVersion ?? [];
  const isOld = lvmVersion !== null && major * 100 + minor < FIRST_WITHOUT_CLVMD;
  const missing = [
    ...(hostId === null ? ['it has no host id'] : []),
    ...(usesLvmlockd ? [] : ['lvm does not use lvmlockd (global/use_lvmlockd)']),
    ...(isSanlockRunning ? [] : ['sanlock does not run']),
    ...(isLvmlockdRunning ? [] : ['lvmlockd does not run']),
  ];
  return [
    ...(missing.length > 0
      ? [problem('hostNotReady', `this host is not ready: ${missing.join(', ')}`, 'holdfast join')]
      : []),
    ...(isOld
      ? [
          caution(
            'lvmOld',
            `lvm ${lvmVersion.join('.')} is older than 2.03`,
            'have 2.03 on every host: what it lacks of lvmlockd is not tested',
          ),
        ]
      : []),
    ...(isSanlockRunning && !host.usesWatchdog
      ? [
          caution(
            'noWatchdog',
            'sanlock runs without a watchdog: nothing resets this host if it loses its leases',
            'start wdmd, and sanlock without -w 0',
          ),
        ]
      : []),
  ];
}

const FIRST_WITHOUT_CLVMD = 203;

function toShared(vg: VgFacts, host: HostReadiness): readonly Finding[] {
  const { name, kind, lockType } = vg;
  if (vg.isLockspaceFreed) return [freedFinding(name)];
  if (kind === 'shared') {
    return lockType === 'sanlock'
      ? [note('isShared', `VG ${name} is a shared VG already`, 'nothing has to be converted')]
      : [
          problem(
            'otherLockType',
            `VG ${name} is a shared VG of lock type ${lockType}`,
            `make it local first, with its own lock manager: vgchange --lock-type none ${name}`,
          ),
        ];
  }
  return [
    note(
      'otherHosts',
      `which LVs of VG ${name} are active on other hosts cannot be seen from here`,
      `ask each of them: dmsetup info -c --noheadings -o name,open | grep '^${mapperName(name)}-'`,
    ),
    ...(kind === 'clustered'
      ? [clusteredNote(name)]
      : [...roomFindings(vg), ...leftoverFindings(vg), ...typeFindings(vg)]),
    ...sectorFindings(vg),
    ...globalLockFindings(host),
  ];
}

function freedFinding(name: string): Finding {
  const found = `an earlier conversion of VG ${name} was interrupted: its leases are gone, so no host has it`;
  return note('lockspaceFreed', found, 'holdfast convert goes on from there');
}

function clusteredNote(name: string): Finding {
  return note(
    'clustered',
    `VG ${name} is a clustered VG of clvmd: lvm shows nothing more of it until it is local`,
    'end clvmd on every host first; free space and types of LVs are checked once it is local',
  );
}

/** As lvm makes it: room for the fixed leases, and one more for each LV that is there. */
const LEASES_MIB = { small: 256, large: 1024 } as const;
const LEASE_MIB = { small: 1, large: 8 } as const;

/** What the LV of the leases takes, in extents. */
export function lockLvExtents({ pvs, lvs, extentBytes }: VgFacts): number {
  const size = pvs.some(({ sectorBytes }) => sectorBytes === 4096) ? 'large' : 'small';
  const count = lvs.filter(({ name }) => name !== LOCK_LV).length;
  return Math.floor(((LEASES_MIB[size] + count * LEASE_MIB[size]) * MIB) / extentBytes);
}

/** The LV of the leases; while it is being made it is an LV as any other. */
export const LOCK_LV = 'lvmlock';

/**
 * What a conversion leaves behind that is ended before the VG is a shared one: lvm refuses the next
 * one because of it. Another LV of that name has another size. null: there is none.
 */
export function leftover(vg: VgFacts): LvFacts | null {
  const found = vg.kind === 'local' ? vg.lvs.find(({ name }) => name === LOCK_LV) : undefined;
  if (found === undefined) return null;
  const isLvms = found.roles.includes('lockd');
  const isMade = found.type === 'linear' && found.extents === lockLvExtents(vg);
  return isLvms || isMade ? found : null;
}

function roomFindings(vg: VgFacts): readonly Finding[] {
  const wanted = lockLvExtents(vg);
  const { name, extentBytes } = vg;
  const freeExtents = vg.freeExtents + (leftover(vg)?.extents ?? 0);
  if (freeExtents >= wanted) return [];
  const mib = Math.ceil(((wanted - freeExtents) * extentBytes) / MIB);
  return [
    problem(
      'noRoom',
      `VG ${name} has ${freeExtents} free extents, and its leases need ${wanted}`,
      `free ${mib} MiB more, or add a PV: vgextend ${name} DEVICE`,
    ),
  ];
}

function leftoverFindings(vg: VgFacts): readonly Finding[] {
  const { name, lvs } = vg;
  if (!lvs.some((lv) => lv.name === LOCK_LV)) return [];
  if (leftover(vg) !== null) {
    const found = `an earlier conversion of VG ${name} was interrupted, and left LV ${name}/${LOCK_LV}`;
    return [note('leftover', found, 'holdfast convert removes it, and makes it again')];
  }
  const found = `VG ${name} has an LV ${LOCK_LV}, which is the name of the LV of the leases`;
  return [problem('lockLvName', found, `give it another name: lvrename ${name} ${LOCK_LV} NEW`)];
}

const EXCLUSIVE_TYPES = /^(thin|cache|writecache|raid|mirror|vdo|snapshot|error)/;

function typeFindings({ name, lvs }: VgFacts): readonly Finding[] {
  const external = lvs.filter(({ roles }) => roles.some((role) => /ext.*origin$/.test(role)));
  const exclusive = lvs.filter(
    ({ type, roles }) => EXCLUSIVE_TYPES.test(type) || roles.includes('origin'),
  );
  return [
    ...external.map((lv) =>
      problem(
        'externalOrigin',
        `LV ${name}/${lv.name} is the external origin of a thin LV, which shared VGs do not have`,
        'copy it into the pool, or remove the thin LV',
      ),
    ),
    ...(exclusive.length > 0
      ? [
          note(
            'exclusiveOnly',
            `${named(exclusive)} can be active on one host at a time: ${typesOf(exclusive)}`,
            'LVs that several hosts have active at once (-asy) must be plain ones',
          ),
        ]
      : []),
  ];
}

const MAX_NAMED = 5;

function named(lvs: readonly LvFacts[]): string {
  const names = lvs.slice(0, MAX_NAMED).map(({ name }) => name);
  const more = lvs.length - names.length;
  return `LV ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function typesOf(lvs: readonly LvFacts[]): string {
  const types = lvs.map(({ type, roles }) =>
    roles.includes('origin') ? 'origin of snapshots' : type,
  );
  return [...new Set(types)].join(', ');
}

function sectorFindings({ name, pvs }: VgFacts): readonly Finding[] {
  const sizes = new Set(pvs.flatMap(({ sectorBytes }) => sectorBytes ?? []));
  const list = pvs.map((pv) => `${pv.name} ${pv.sectorBytes ?? 'not known'}`).join(', ');
  if (sizes.size <= 1) return [];
  return [
    caution(
      'mixedSectors',
      `the PVs of VG ${name} have sectors of different sizes (${list})`,
      'leases on a PV of smaller sectors than lvm expects are refused: use PVs of one size',
    ),
  ];
}

function globalLockFindings({ otherVgs }: HostReadiness): readonly Finding[] {
  if (otherVgs.length === 0) {
    const found = 'it will be the first shared VG here, and carry the global lock';
    return [note('firstVg', found, 'nothing')];
  }
  if (otherVgs.some(({ isStarted }) => isStarted)) return [];
  const names = otherVgs.map(({ name }) => name).join(' ');
  return [
    problem(
      'globalLock',
      `no shared VG is started here (${names}), and so the global lock cannot be had`,
      `holdfast join, or vgchange --lock-start ${names}`,
    ),
  ];
}

function toLocal(vg: VgFacts, host: HostReadiness): readonly Finding[] {
  const { name, kind, lockType } = vg;
  if (kind === 'local') {
    const already = note(
      'isLocal',
      `VG ${name} is a local VG already`,
      'nothing has to be converted',
    );
    return [already, ...leftoverFindings(vg)];
  }
  if (vg.isLockspaceFreed) return [freedFinding(name)];
  if (kind === 'clustered') return [clusteredNote(name)];
  if (lockType !== 'sanlock') {
    const cure = `with its own lock manager: vgchange --lock-type none ${name}`;
    return [problem('otherLockType', `VG ${name} is a shared VG of lock type ${lockType}`, cure)];
  }
  const others = host.otherHosts.filter(({ state }) => state !== 'dead');
  return [
    ...others.map(({ hostId, hostName, state }) => {
      const silent = state === 'live' ? '' : ` (${state === 'fail' ? 'silent' : 'not known'} now)`;
      return problem(
        'otherHost',
        `host ${hostName} (host id ${hostId}) has VG ${name} started${silent}`,
        `on that host: holdfast leave --vg ${name}`,
      );
    }),
    ...(host.otherVgs.length > 0
      ? [
          note(
            'globalLockMoves',
            `if VG ${name} carries the global lock, the other shared VGs lose it`,
            `first lvmlockctl --gl-disable ${name}, and then --gl-enable with another VG`,
          ),
        ]
      : []),
    note(
      'becomesLocal',
      `then nothing keeps two hosts from using VG ${name} at once`,
      'have one host alone see it, or give it a system id',
    ),
  ];
}

/** Device-mapper doubles every dash of a VG name. */
function mapperName(vgName: string): string {
  return vgName.replaceAll('-', '--');
}
