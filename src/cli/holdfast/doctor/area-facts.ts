import { statSync } from 'node:fs';
import { nameToText } from '../../../base/bytes.ts';
import { plain } from '../../../base/plain-text.ts';
import { SECOND_MS, toSafeNumber } from '../../../base/units.ts';
import { decode } from '../../../codec/struct.ts';
import { deltaLeaseOffset, type Geometry } from '../../../format/geometry.ts';
import {
  DELTA_DISK_MAGIC,
  type DeltaLeader,
  deltaLeader,
  leaderGeometry,
} from '../../../format/leader.ts';
import type { AreaRead, HostLease, LeaseArea, PathAccess } from '../../../inspect/doctor/facts.ts';
import type { Snapshot } from '../../../inspect/snapshot/snapshot.ts';
import type { LeaseError } from '../../../lease/lease-error.ts';
import { PROBE_BYTES } from '../../../lease/read.ts';
import { verifyDelta } from '../../../lease/verify.ts';
import { type FileRights, fileRightsOf } from '../../../platform/confinement.ts';
import type { Attempt, FreshReads, TryPiece } from '../../../platform/fresh-reads.ts';
import { isSameNode } from '../../../wire/sanlock/host-name.ts';
import { askProgram } from '../../observe/ask-program.ts';
import { renewalSeenWithinS } from '../who/times.ts';
import type { VgReport } from './vg-facts.ts';

/** By what the areas are looked at. */
export interface AreaWorld {
  readonly reads: FreshReads;
  readonly deadlineS: number;
  readonly sleep: (forMs: number) => Promise<void>;
  /** CLOCK_MONOTONIC. */
  readonly nowS: () => number;
  readonly progress: (text: string) => void;
}

interface Place {
  readonly lockspace: string;
  readonly vg: string | null;
  readonly path: string;
  readonly offsetBytes: number;
  readonly joined: LeaseArea['joined'];
  /** sanlock has it, be it that it is joining. */
  readonly isKnown: boolean;
}

/** Of this host, as far as they are known. */
export interface OwnIdentity {
  readonly hostId: number | null;
  readonly name: string;
  /** null: sanlock does not run. */
  readonly sanlockPid: number | null;
}

/** Every lockspace that is joined here, and those of VGs that are not started. */
export async function leaseAreas(
  world: AreaWorld,
  of: { readonly snapshot: Snapshot; readonly vgs: readonly VgReport[]; readonly own: OwnIdentity },
): Promise<readonly LeaseArea[]> {
  const places = placesOf(of.snapshot, of.vgs);
  const paths = [...new Set(places.map(({ path }) => path))];
  const areas: LeaseArea[] = [];
  // A device is looked at once at a time, and few of them together.
  const worker = async (): Promise<void> => {
    for (let path = paths.shift(); path !== undefined; path = paths.shift()) {
      for (const place of places.filter((one) => one.path === path)) {
        areas.push(await areaAt(world, place, of.own));
      }
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  return areas.sort((one, other) => (one.lockspace < other.lockspace ? -1 : 1));
}

const WORKERS = 4;

function placesOf({ lockspaces }: Snapshot, vgs: readonly VgReport[]): readonly Place[] {
  const known = lockspaces.map(({ name, path, offsetBytes, hostId, generation, phase }) => ({
    lockspace: name,
    vg: vgs.find((vg) => `lvm_${vg.name}` === name)?.name ?? null,
    ...{ path, offsetBytes },
    joined: phase === 'joining' ? null : { hostId, generation: Number(generation) },
    isKnown: true,
  }));
  const others = vgs.flatMap(({ name, leases }) => {
    const lockspace = `lvm_${name}`;
    const isKnown = known.some((one) => one.lockspace === lockspace);
    if (leases === null || isKnown) return [];
    const { path, offsetBytes } = leases;
    return [{ lockspace, vg: name, path, offsetBytes, joined: null, isKnown }];
  });
  return [...known, ...others];
}

async function areaAt(world: AreaWorld, place: Place, own: OwnIdentity): Promise<LeaseArea> {
  const { isKnown: _, ...area } = place;
  const attempt = await world.reads.attempt(place.path, (piece) =>
    spaceAt(piece, place.offsetBytes),
  );
  const read = readOf(world, attempt);
  const readAtS = world.nowS();
  const watched = await watchOther(world, place, read, own);
  // lvm makes the node of the leases' LV with the rights that the PV below has.
  const { sanlockPid } = own;
  const isAsked = sanlockPid !== null && read.kind !== 'silent';
  const access = isAsked ? await accessOf(place.path, sanlockPid) : null;
  return { ...area, read: watched, readAtS, access };
}

function readOf({ deadlineS }: AreaWorld, attempt: Attempt<AreaRead>): AreaRead {
  if (attempt.kind === 'silent') return { kind: 'silent', waitedS: deadlineS };
  return attempt.kind === 'done' ? attempt.value : { kind: 'failed', errno: attempt.errno };
}

async function spaceAt(piece: TryPiece, offset: number): Promise<AreaRead> {
  const probe = await piece({ offset, length: PROBE_BYTES });
  if ('errno' in probe) return { kind: 'failed', errno: probe.errno };
  const first = decode(deltaLeader, probe);
  const geometry = first.magic === DELTA_DISK_MAGIC ? leaderGeometry(first) : null;
  if (geometry === null) return done({ maxHosts: null, hosts: [], damagedBlocks: [] });
  const area = await piece({ offset, length: geometry.areaBytes });
  if ('errno' in area) return { kind: 'failed', errno: area.errno };
  const hosts = hostsIn(area, geometry, first.spaceName);
  return done({ maxHosts: geometry.maxHosts, hosts, damagedBlocks: [] });
}

function done(space: Extract<AreaRead, { kind: 'done' }>['space']): AreaRead {
  return { kind: 'done', space };
}

/** Of a whole lockspace that is damaged, so many are named. */
const MOST_DAMAGED = 8;

function hostsIn(area: Uint8Array, geometry: Geometry, name: string): readonly HostLease[] {
  const hosts: HostLease[] = [];
  let damaged = 0;
  for (let hostId = 1; hostId <= geometry.maxHosts; hostId++) {
    const at = deltaLeaseOffset(geometry, hostId);
    const verified = verifyDelta(area, at, { lockspaceName: name, hostId });
    if (!verified.ok) {
      damaged += 1;
      if (damaged <= MOST_DAMAGED) hosts.push(damagedHost(hostId, verified.error));
    } else if (verified.value.ownerId !== 0n || verified.value.timestampS !== 0n) {
      hosts.push(hostLease(hostId, verified.value));
    }
  }
  return hosts;
}

function damagedHost(hostId: number, { code, facts }: LeaseError): HostLease {
  const { field } = facts;
  const what = field === undefined || field === 'checksum' ? code : `${code}, field ${field}`;
  const nobody = { hostName: '', generation: 0, timestampS: 0, ioTimeoutS: 0 };
  return { hostId, ...nobody, isRenewed: null, watchedS: 0, damage: what };
}

function hostLease(hostId: number, leader: DeltaLeader): HostLease {
  return {
    hostId,
    hostName: nameToText(leader.hostName),
    generation: toSafeNumber(leader.ownerGeneration, 'ownerGeneration'),
    timestampS: toSafeNumber(leader.timestampS, 'timestampS'),
    ioTimeoutS: leader.ioTimeoutS & 0xff,
    ...{ isRenewed: null, watchedS: 0, damage: null },
  };
}

const LOOK_MS = 1000;
const DEFAULT_IO_TIMEOUT_S = 10;

/** Whether another host lives by our host id: it is watched for as long as a renewal takes. */
async function watchOther(
  world: AreaWorld,
  place: Place,
  read: AreaRead,
  own: OwnIdentity,
): Promise<AreaRead> {
  const { hostId, name } = own;
  if (read.kind !== 'done' || place.isKnown || hostId === null) return read;
  const first = read.space.hosts.find((host) => host.hostId === hostId);
  const isOther = first !== undefined && first.timestampS > 0 && !isSameNode(first.hostName, name);
  if (!isOther || place.vg === null) return read;
  const withinS = renewalSeenWithinS(first.ioTimeoutS || DEFAULT_IO_TIMEOUT_S);
  world.progress(
    `watching for ${withinS} s at most whether ${plain(first.hostName)} renews host id ${hostId}\n`,
  );
  let isRenewed = false;
  let watchedS = 0;
  while (!isRenewed && watchedS < withinS) {
    await world.sleep(LOOK_MS);
    watchedS += LOOK_MS / SECOND_MS;
    const again = await world.reads.attempt(place.path, (piece) =>
      spaceAt(piece, place.offsetBytes),
    );
    if (again.kind !== 'done' || again.value.kind !== 'done') break;
    const now = again.value.space.hosts.find((host) => host.hostId === hostId);
    isRenewed = now !== undefined && now.timestampS !== first.timestampS && now.timestampS !== 0;
  }
  const hosts = read.space.hosts.map((host) =>
    host === first ? { ...host, isRenewed, watchedS } : host,
  );
  return done({ ...read.space, hosts });
}

/** null: it is not there, or sanlock has ended. */
async function accessOf(path: string, sanlockPid: number): Promise<PathAccess | null> {
  const rights = fileRightsOf(sanlockPid);
  if (rights === null) return null;
  try {
    const stats = statSync(path);
    const { uid, gid, mode } = stats;
    const mayUse = rights.overrides || (await mayUseAs(rights, path));
    return { isRegularFile: stats.isFile(), uid, gid, mode, byUid: rights.uid, mayUse };
  } catch {
    return null;
  }
}

const TRIED_MS = 5 * SECOND_MS;

/** Folders and access lists have their say, too: the kernel is asked, by a process with the rights. */
async function mayUseAs({ uid, gids }: FileRights, path: string): Promise<boolean> {
  const [gid = uid, ...groups] = gids.map(String);
  const more = groups.length === 0 ? ['--clear-groups'] : ['--groups', groups.join(',')];
  const bound = uid === 0 ? ['--bounding-set=-all'] : []; // else root gets them back
  const who = ['--reuid', `${uid}`, '--regid', `${gid}`, ...more, ...bound];
  const words = [...who, '--', 'test', '-r', path, '-a', '-w', path];
  const tried = await askProgram('setpriv', words, TRIED_MS);
  return tried.ok;
}
