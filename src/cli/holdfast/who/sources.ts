import { type Stats, statSync } from 'node:fs';
import { type ByteString, nameToText, textToName } from '../../../base/bytes.ts';
import { DEFAULT_LEASE_DIR } from '../../../guard/config.ts';
import type { Naming } from '../../../guard/lease-names.ts';
import { MonotonicClock } from '../../../platform/clock.ts';
import { daemonSockets } from '../../../platform/daemon-sockets.ts';
import { blockDeviceNumber, keysUnder } from '../../../platform/device-key.ts';
import { PathProbe } from '../../../platform/path-probe.ts';
import { getLockspaces, status } from '../../../wire/sanlock/daemon-calls.ts';
import { STATE_TYPES } from '../../../wire/sanlock/socket.ts';
import { readGuardConfFiles } from '../../guard/conf-files.ts';
import { DiskNames } from '../../guard/disk-names.ts';
import { askSanlock } from '../../observe/ask.ts';
import { daemonPaths, findDaemon, REAL_PROCESSES } from '../../observe/daemons.ts';
import { type LvsAnswer, reportedLvs } from '../../observe/snapshot.ts';
import { PLACES } from '../guard/places.ts';
import { type KnownGuests, readGuests } from './guests.ts';
import type { KnownSpace, PlacePorts } from './lockspace-places.ts';
import { askRealLvm, type VolumePorts } from './volumes.ts';
import type { WhoWorld } from './world.ts';

/** A lease that sanlock of this host has, or is about to have. */
export interface KnownLease {
  readonly lockspaceName: ByteString;
  readonly name: ByteString;
  readonly path: ByteString;
  readonly offset: number;
}

/** Where this host's programs say that leases are; each of them may be absent. */
export interface Sources extends VolumePorts, PlacePorts {
  /** All LVs of VGs with a lock type. */
  readonly lvs: () => Promise<LvsAnswer>;
  readonly leases: () => Promise<readonly KnownLease[]>;
  /** Whether its file system answers in time: what is asked of the path next would hang with it. */
  readonly answers: (path: ByteString) => Promise<boolean>;
  readonly kindOf: (path: ByteString) => 'file' | 'block' | 'folder' | null;
  /** Of a block device and of all that it lies on: `lvm:<VG UUID><LV UUID>`. */
  readonly keysOf: (path: ByteString) => Promise<readonly string[]>;
  readonly guests: () => KnownGuests;
  readonly names: Pick<DiskNames, 'leasesOf'>;
  readonly naming: Naming;
  /** libvirt's folder of leases. */
  readonly leaseFolder: ByteString;
}

/** Where the guard is not configured, the defaults: the plugin's names are the same anyway. */
export function namingHere(): Naming {
  const config = readGuardConfFiles();
  if (config.ok) return { ...config.value.naming, isBesidePlugin: false };
  return { network: 'uri', clusters: new Map(), readonlyIsShared: false, isBesidePlugin: false };
}

/** This host. */
export function realSources(world: WhoWorld): Sources {
  const config = readGuardConfFiles();
  const probe = new PathProbe();
  const leaseFolder = textToName(config.ok ? config.value.leaseDir : DEFAULT_LEASE_DIR);
  return {
    world,
    lvs: once(reportedLvs),
    lvm: askRealLvm,
    isThere: (path) => statOf(path) !== null,
    list: async (folder) => {
      const names = await probe.list(nameToText(folder));
      if (names.kind === 'silent') return null;
      return names.kind === 'done' ? names.value.map(textToName) : []; // there is no such folder
    },
    ...sanlockHere(),
    answers: async (path) => (await probe.stat(nameToText(path))).kind !== 'silent',
    kindOf: (path) => {
      const found = statOf(path);
      if (found === null) return null;
      if (found.isBlockDevice()) return 'block';
      return found.isDirectory() ? 'folder' : 'file';
    },
    keysOf: async (path) => {
      const found = await probe.stat(nameToText(path));
      const number = found.kind === 'done' ? blockDeviceNumber(found.value) : null;
      return number === null ? [] : keysUnder(number);
    },
    guests: () => readGuests(PLACES),
    names: new DiskNames(namingHere()),
    naming: namingHere(),
    leaseFolder,
  };
}

/** Asked once; nothing where it does not run, or does not answer. */
function sanlockHere(): Pick<Sources, 'spaces' | 'leases'> {
  const ports = {
    sockets: daemonSockets(),
    clock: new MonotonicClock(),
    paths: daemonPaths(process.env),
    processes: REAL_PROCESSES,
  };
  const isRunning = once(async () => (await findDaemon(ports, 'sanlock')) !== null);
  const spaces = once(async (): Promise<readonly KnownSpace[]> => {
    const answer = (await isRunning()) ? await askSanlock(ports, getLockspaces()) : null;
    if (answer === null || !answer.ok) return [];
    return answer.value.map(({ name, path, offset }) => ({ name, path, offset: Number(offset) }));
  });
  const leases = once(async (): Promise<readonly KnownLease[]> => {
    const answer = (await isRunning()) ? await askSanlock(ports, status()) : null;
    if (answer === null || !answer.ok) return [];
    return answer.value.flatMap(({ type, resource }) => {
      const disk = resource?.disks[0];
      if (type !== STATE_TYPES.RESOURCE || resource == null || disk === undefined) return [];
      const { lockspaceName, name } = resource;
      return [{ lockspaceName, name, path: disk.path, offset: Number(disk.offset) }];
    });
  });
  return { spaces, leases };
}

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | null = null;
  return () => {
    answer ??= ask();
    return answer;
  };
}

function statOf(path: ByteString): Stats | null {
  try {
    return statSync(nameToText(path));
  } catch {
    return null;
  }
}
