import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { nameToText } from '../../../base/bytes.ts';
import type { Finding } from '../../../base/finding.ts';
import { hostFindings } from '../../../guard/check/host-check.ts';
import { parseLibvirtConf } from '../../../guard/libvirt-conf.ts';
import {
  type DoctorFacts,
  type LeaseArea,
  lvmSettingsOf,
  type SanlockSettings,
  type WatchdogClient,
} from '../../../inspect/doctor/facts.ts';
import { wdmdFacts } from '../../../inspect/restart/host-facts.ts';
import type { Snapshot, Unread } from '../../../inspect/snapshot/snapshot.ts';
import { MonotonicClock } from '../../../platform/clock.ts';
import { fileRightsOf } from '../../../platform/confinement.ts';
import { LinuxDeviceMapper } from '../../../platform/device-mapper.ts';
import type { PathProbe } from '../../../platform/path-probe.ts';
import { textOf } from '../../../platform/text-file.ts';
import { status } from '../../../wire/sanlock/daemon-calls.ts';
import { textField } from '../../../wire/sanlock/records.ts';
import { STATE_TYPES } from '../../../wire/sanlock/socket.ts';
import { askSanlock } from '../../observe/ask.ts';
import { findDaemon } from '../../observe/daemons.ts';
import { type ObservePorts, takeSnapshot } from '../../observe/snapshot.ts';
import { printDump } from '../../wdmd/main.ts';
import { PLACES } from '../guard/places.ts';
import { seeHost } from '../guard/see-host.ts';
import { type AreaWorld, leaseAreas, type OwnIdentity } from './area-facts.ts';
import { configFacts } from './config-facts.ts';
import {
  multipathsUnder,
  settledMappings,
  transportsUnder,
  type UnderLeases,
  watchdogDevices,
} from './device-facts.ts';
import { daemonProcesses, folderRooms, runFiles } from './process-facts.ts';
import { type SlotsSeen, slotsOf } from './slot-facts.ts';
import { isClockSynchronised, unitFacts } from './unit-facts.ts';
import { clusteredVgs, reportVgs, type VgReport } from './vg-facts.ts';

/** By what a host is looked at. */
export interface DoctorWorld extends AreaWorld {
  readonly observe: ObservePorts;
  readonly probe: PathProbe;
  /** The folder of this program. */
  readonly beside: string;
}

/** All that the doctor looks at; nothing is changed, and whatever hangs is waited for seconds. */
export async function doctorFacts(world: DoctorWorld): Promise<DoctorFacts> {
  const { observe, sleep } = world;
  const mapper = new LinuxDeviceMapper();
  const mapped = mapper.list();
  const [units, isSynchronised] = await Promise.all([unitFacts(), isClockSynchronised()]);
  const [processes, snapshot, vgs, clustered] = await Promise.all([
    daemonProcesses(sleep),
    takeSnapshot(observe),
    reportVgs(),
    clusteredVgs(),
  ]);
  const [config, settings] = await Promise.all([
    configFacts(processes),
    sanlockSettings(world, snapshot),
  ]);
  const seen = vgs ?? [];
  const hostId = lvmSettingsOf({ config })?.hostId ?? null;
  const own = { ...ownOf(snapshot, settings), hostId };
  const areas = await leaseAreas(world, { snapshot, vgs: seen, own });
  const { slots, unread } = await allSlots(world, snapshot, { vgs: seen, areas });
  const under = underLeases(areas, seen);
  const facts = {
    ...{ config, sanlock: settings, processes, units },
    snapshot: { ...snapshot, unread: [...snapshot.unread, ...lvmUnread(config, vgs), ...unread] },
    areas: areas.map((area) => withBlocks(area, slots)),
    slots: slots.map((one) => one.slots),
    watchdogs: watchdogDevices(),
    watchdogClients: await clientsOfWdmd(observe),
    runFiles: runFiles({ paths: observe.paths, processes, daemons: snapshot.daemons }),
    folders: folderRooms(observe.paths),
    multipaths: await multipathsUnder(mapper, under),
    transports: transportsUnder(under),
    clusteredVgs: clustered,
    mappings: mapped === null ? null : await settledMappings(mapper, mapped, { vgs: seen, sleep }),
    clock: { isSynchronised },
    guests: await guestFindings(world),
  };
  mapper.close();
  return facts;
}

/** Where lvm is not installed, nothing is missing. */
function lvmUnread(
  { lvm, lvmUnread: why }: DoctorFacts['config'],
  vgs: readonly VgReport[] | null,
): readonly Unread[] {
  const ofConfig = why === null ? [] : [{ what: 'lvm', of: 'lvmconfig', why } as const];
  if (vgs !== null || (lvm === null && why === null)) return ofConfig;
  return [...ofConfig, { what: 'lvm', of: 'vgs lvs pvs', why: 'they did not say what there is' }];
}

/** None: wdmd does not run, or does not answer. */
async function clientsOfWdmd(ports: ObservePorts): Promise<readonly WatchdogClient[]> {
  const daemon = await findDaemon(ports, 'wdmd');
  if (daemon === null) return [];
  const { sockets, clock, paths } = ports;
  let dump = '';
  await printDump({ sockets, clock, socketPath: paths.wdmd }, (text) => {
    dump += text;
  });
  const { clients } = wdmdFacts(daemon, dump, ports.processes.programOf);
  return clients.map(({ name, pid, isDead, expiry }) => ({
    ...{ name, pid, isDead },
    leftS: expiry?.leftS ?? null,
  }));
}

function ownOf(snapshot: Snapshot, settings: SanlockSettings | null): Omit<OwnIdentity, 'hostId'> {
  const daemon = snapshot.daemons.find(({ name }) => name === 'sanlock');
  const isThere = daemon !== undefined && daemon.pid > 0;
  return { name: settings?.hostName ?? hostname(), sanlockPid: isThere ? daemon.pid : null };
}

async function sanlockSettings(
  { observe }: DoctorWorld,
  { daemons }: Snapshot,
): Promise<SanlockSettings | null> {
  const sanlock = daemons.find(({ name }) => name === 'sanlock');
  if (sanlock?.state !== 'running') return null;
  const records = await askSanlock(observe, status());
  const head = records.ok
    ? records.value.find(({ type }) => type === STATE_TYPES.DAEMON)
    : undefined;
  if (head === undefined) return null;
  const text = (key: string) => textField(head, key) ?? '';
  const rights = sanlock.pid > 0 ? fileRightsOf(sanlock.pid) : null;
  return {
    hostName: nameToText(text('our_host_name')),
    usesWatchdog: text('use_watchdog') === '1',
    wantsPriority: text('high_priority') === '1',
    mlockLevel: Number(text('mlock_level')) || 0,
    uid: rights?.uid ?? 0,
    gid: rights?.gids[0] ?? 0,
  };
}

/** Of the VGs that are started here, and whose device answered just now. */
async function allSlots(
  world: DoctorWorld,
  { lockspaces }: Snapshot,
  { vgs, areas }: { readonly vgs: readonly VgReport[]; readonly areas: readonly LeaseArea[] },
): Promise<{ readonly slots: readonly SlotsSeen[]; readonly unread: readonly Unread[] }> {
  const found: SlotsSeen[] = [];
  const unread: Unread[] = [];
  for (const vg of vgs) {
    const area = areas.find((one) => one.vg === vg.name && one.joined !== null);
    const space = lockspaces.find(
      ({ name, phase }) => name === area?.lockspace && phase === 'joined',
    );
    if (area?.read.kind !== 'done' || space === undefined) continue;
    const seen = await slotsOf(world, vg, space);
    if (seen !== null) found.push(seen);
    else unread.push({ what: 'lease', of: vg.name, why: 'its slots were not read in time' });
  }
  return { slots: found, unread };
}

function withBlocks(area: LeaseArea, slots: readonly SlotsSeen[]): LeaseArea {
  const { read } = area;
  const own = slots.find((one) => one.slots.vg === area.vg);
  if (read.kind !== 'done' || own === undefined) return area;
  const { damagedBlocks } = own;
  return { ...area, read: { ...read, space: { ...read.space, damagedBlocks } } };
}

function underLeases(
  areas: readonly LeaseArea[],
  vgs: readonly VgReport[],
): readonly UnderLeases[] {
  // Of a file on a file system that hangs nothing is asked any more.
  const answering = areas.filter(({ path, read }) => read.kind !== 'silent' || isDevice(path));
  const ofAreas = answering.map(({ path, lockspace }) => ({ path, lockspaces: [lockspace] }));
  const ofPvs = vgs
    .filter(({ lockType }) => lockType === 'sanlock')
    .flatMap(({ name, pvs }) => pvs.map((path) => ({ path, lockspaces: [`lvm_${name}`] })));
  return [...ofAreas, ...ofPvs];
}

function isDevice(path: string): boolean {
  return path.startsWith('/dev/');
}

/** What `holdfast guard check` says, where guests are to be guarded. */
async function guestFindings({
  beside,
  probe,
  progress,
}: DoctorWorld): Promise<readonly Finding[]> {
  const qemu = parseLibvirtConf(textOf(PLACES.qemu) ?? '');
  const usesPlugin = qemu.ok && qemu.value.get('lock_manager') === 'sanlock';
  if (!usesPlugin && !existsSync(PLACES.hook)) return [];
  const seen = await seeHost({ beside, probe, clock: new MonotonicClock(), progress });
  return hostFindings(seen);
}
