import { readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { SECOND_MS } from '../../../base/units.ts';
import type {
  Mapping,
  Multipath,
  Transport,
  WatchdogDevice,
} from '../../../inspect/doctor/facts.ts';
import { blockDeviceNumber } from '../../../platform/device-key.ts';
import type { LinuxDeviceMapper } from '../../../platform/device-mapper.ts';
import { textOf } from '../../../platform/text-file.ts';
import type { MappedDevice, MappedTable } from '../../../ports/device-mapper.ts';
import { askProgram } from '../../observe/ask-program.ts';
import { type LvReport, reportVgs, type VgReport } from './vg-facts.ts';

const WATCHDOG = /^watchdog\d*$/;

/** Every watchdog device once, by its numbered name, with the processes that have it open. */
export function watchdogDevices(): readonly WatchdogDevice[] {
  const names = listOf('/dev').filter((name) => WATCHDOG.test(name));
  const numbered = names.filter((name) => name !== 'watchdog');
  const devices = numbered.length > 0 ? numbered : names;
  if (devices.length === 0) return [];
  const holders = new Map<string, { pid: number; name: string }[]>();
  for (const pid of listOf('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const fd of listOf(`/proc/${pid}/fd`)) {
      const device = deviceBehind(`/proc/${pid}/fd/${fd}`);
      if (device === null) continue;
      // The old name is that of the first one.
      const of = device === 'watchdog' && numbered.length > 0 ? 'watchdog0' : device;
      const name = (textOf(`/proc/${pid}/comm`) ?? '').trimEnd();
      holders.set(of, [...(holders.get(of) ?? []), { pid: Number(pid), name }]);
    }
  }
  return devices.map((name) => ({
    path: `/dev/${name}`,
    identity: textOf(`/sys/class/watchdog/${name}/identity`)?.trim() ?? null,
    holders: holders.get(name) ?? [],
  }));
}

function deviceBehind(link: string): string | null {
  try {
    const target = readlinkSync(link);
    const name = basename(target);
    return target === `/dev/${name}` && WATCHDOG.test(name) ? name : null;
  } catch {
    return null; // closed meanwhile
  }
}

function listOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

const TABLE_MS = 5 * SECOND_MS;

/** null: the kernel does not answer in time, as it waits for I/O of that device. */
export function tableOf(mapper: LinuxDeviceMapper, uuid: string): Promise<MappedTable | null> {
  return new Promise((resolve) => {
    const late = setTimeout(() => resolve(null), TABLE_MS);
    mapper.table(uuid, (table) => {
      clearTimeout(late);
      resolve(typeof table === 'number' ? null : table);
    });
  });
}

const LVM_UUID = /^LVM-([A-Za-z0-9]{32})([A-Za-z0-9]{32})(-.*)?$/;

/** @param before as listed before lvm was asked: what is there still was there all the time */
async function mappingsOf(
  mapper: LinuxDeviceMapper,
  before: readonly MappedDevice[],
  vgs: readonly VgReport[],
): Promise<readonly Mapping[]> {
  const now = new Set((mapper.list() ?? []).map(({ uuid }) => uuid));
  const mappings: Mapping[] = [];
  for (const { name, uuid, holders } of before) {
    const parts = LVM_UUID.exec(uuid);
    if (parts === null || !now.has(uuid)) continue;
    const [, vgUuid = '', lvUuid = '', layer] = parts;
    const vg = vgs.find((one) => one.uuid.replaceAll('-', '') === vgUuid);
    const lv = vg?.lvs.find((one) => one.uuid.replaceAll('-', '') === lvUuid);
    const table = await tableOf(mapper, uuid);
    const targets = table?.targets ?? [];
    const isAllErrors = targets.length > 0 && targets.every(({ type }) => type === 'error');
    const isLv = layer === undefined;
    mappings.push({
      ...{ name, uuid, isLv },
      lv: vg === undefined || lv === undefined ? null : `${vg.name}/${lv.name}`,
      vg: vg?.name ?? null,
      isShared: vg === undefined ? null : vg.lockType !== '',
      isOpen: holders.length > 0 || (table?.openCount ?? 1) > 0,
      isErrorTable: table === null ? null : isAllErrors,
      otherSize: isLv && lv !== undefined && !isAllErrors ? otherSizeOf(targets, lv) : null,
    });
  }
  return mappings;
}

const SECTOR_BYTES = 512;

/** Of an LV with a lock of its own: the device of a snapshot, which has none, is as large as its origin. */
function otherSizeOf(targets: MappedTable['targets'], lv: LvReport): Mapping['otherSize'] {
  const sectors = targets.reduce((sum, { length }) => sum + length, 0n);
  const bytes = Number(sectors) * SECTOR_BYTES;
  const isOther = sectors > 0n && lv.bytes > 0 && bytes !== lv.bytes;
  return isOther && lv.lockArgs !== '' ? { bytes, wantedBytes: lv.bytes } : null;
}

/** A command under way is over then. */
const LOOK_AGAIN_MS = 3000;

/** Nothing is locked: sizes that do not agree are compared again, as a command may be under way. */
export async function settledMappings(
  mapper: LinuxDeviceMapper,
  before: readonly MappedDevice[],
  of: { readonly vgs: readonly VgReport[]; readonly sleep: (forMs: number) => Promise<void> },
): Promise<readonly Mapping[]> {
  const first = await mappingsOf(mapper, before, of.vgs);
  if (first.every(({ otherSize }) => otherSize === null)) return first;
  await of.sleep(LOOK_AGAIN_MS);
  const vgs = await reportVgs();
  return vgs === null ? first.map(unsized) : await mappingsOf(mapper, before, vgs);
}

function unsized(mapping: Mapping): Mapping {
  return { ...mapping, otherSize: null };
}

/** A device with leases, and the lockspaces that are on it. */
export interface UnderLeases {
  readonly path: string;
  readonly lockspaces: readonly string[];
}

/** Kernel names of a device and of all below it. */
function stackOf(path: string): readonly string[] {
  const names = new Set<string>();
  const add = (name: string): void => {
    if (names.has(name)) return;
    names.add(name);
    for (const slave of listOf(`/sys/class/block/${name}/slaves`)) add(slave);
  };
  try {
    const number = blockDeviceNumber(statSync(path));
    if (number !== null) add(basename(realpathSync(`/sys/dev/block/${number}`)));
  } catch {
    // It is gone, which the reads say.
  }
  return [...names];
}

/** What is below the devices with leases, each with the lockspaces above it. */
function below(devices: readonly UnderLeases[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, Set<string>>();
  for (const { path, lockspaces } of devices) {
    for (const name of stackOf(path)) {
      const known = found.get(name) ?? new Set();
      for (const lockspace of lockspaces) known.add(lockspace);
      found.set(name, known);
    }
  }
  return new Map([...found].map(([name, known]) => [name, [...known].sort()]));
}

const MULTIPATHD_MS = 10 * SECOND_MS;

export async function multipathsUnder(
  mapper: LinuxDeviceMapper,
  devices: readonly UnderLeases[],
): Promise<readonly Multipath[]> {
  const under = below(devices);
  const maps = (mapper.list() ?? []).filter(
    ({ uuid, kernelName }) => uuid.startsWith('mpath-') && under.has(kernelName),
  );
  if (maps.length === 0) return [];
  const [shown, config] = await Promise.all([
    askProgram('multipathd', ['show', 'maps', 'raw', 'format', '%n %Q'], MULTIPATHD_MS),
    askProgram('multipathd', ['show', 'config', 'local'], MULTIPATHD_MS),
  ]);
  const pollingS = Number(
    /^\s*polling_interval\s+"?(\d+)/m.exec(config.ok ? config.value : '')?.[1] ?? 5,
  );
  const found: Multipath[] = [];
  for (const { name, uuid, kernelName, slaves } of maps) {
    const table = await tableOf(mapper, uuid);
    found.push({
      name,
      lockspaces: under.get(kernelName) ?? [],
      queues: (table?.targets ?? []).some(({ parameters }) =>
        parameters.includes('queue_if_no_path'),
      ),
      retry: shown.ok ? retryIn(shown.value, { name, pollingS }) : null,
      paths: slaves.length,
    });
  }
  return found;
}

/**
 * multipathd's word of a map: `on`, `off`, `12 chk` (of that many looks), `60 sec`; `-`: it leaves
 * that to the table of the map.
 */
export function retryIn(
  text: string,
  { name, pollingS }: { readonly name: string; readonly pollingS: number },
): Multipath['retry'] {
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  if (line === undefined) return null;
  const word = line.slice(name.length + 1).trim();
  const counted = /^(\d+) (chk|sec)$/.exec(word);
  if (counted !== null) return Number(counted[1]) * (counted[2] === 'chk' ? pollingS : 1);
  return word === 'on' ? 'never' : word === 'off' ? 0 : null;
}

/** Paths of iSCSI and Fibre Channel, by the links of their disks in /sys. */
export function transportsUnder(
  devices: readonly UnderLeases[],
  sys = '/sys',
): readonly Transport[] {
  const found = new Map<string, Transport>();
  for (const [name, lockspaces] of below(devices)) {
    const transport = transportOf(name, lockspaces, sys);
    if (transport !== null) found.set(transport.name, transport);
  }
  return [...found.values()];
}

/** Of one disk, by its name in /sys/class/block; null: it is of another kind. */
export function transportOf(
  name: string,
  lockspaces: readonly string[],
  sys: string,
): Transport | null {
  let device: string;
  try {
    device = realpathSync(join(sys, 'class/block', name, 'device'));
  } catch {
    return null; // no disk of its own
  }
  const session = /\/session(\d+)\//.exec(device)?.[1];
  if (session !== undefined) {
    const setting = join(sys, `class/iscsi_session/session${session}/recovery_tmo`);
    const seconds = Number(textOf(setting) ?? 'NaN');
    if (Number.isNaN(seconds)) return null;
    const failsAfterS = seconds < 0 ? null : seconds;
    const of = { kind: 'iscsi', session: Number(session) } as const;
    return { ...of, name: `iSCSI session${session}`, lockspaces, setting, failsAfterS };
  }
  const port = /\/(rport-[\d:-]+)\//.exec(device)?.[1];
  if (port === undefined) return null;
  const folder = join(sys, 'class/fc_remote_ports', port);
  const fast = textOf(join(folder, 'fast_io_fail_tmo'))?.trim() ?? '';
  const setting = join(folder, 'fast_io_fail_tmo');
  const of = { kind: 'fibreChannel', name: port, lockspaces, setting } as const;
  if (/^\d+$/.test(fast)) return { ...of, failsAfterS: Number(fast) };
  // Where it is off, I/O fails when the port itself is given up.
  const loss = (textOf(join(folder, 'dev_loss_tmo')) ?? '').trim();
  const failsAfterS = /^\d+$/.test(loss) ? Number(loss) : null;
  return { ...of, failsAfterS };
}
