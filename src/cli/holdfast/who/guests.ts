import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { nameToText } from '../../../base/bytes.ts';
import { MIB } from '../../../base/units.ts';
import { decodeGuestValue, type GuestValue } from '../../../format/guest-value.ts';
import { type Guest, parseGuest } from '../../../guard/domain.ts';
import { type DiskLease, leasesOf, type Naming } from '../../../guard/lease-names.ts';
import { parseStatusFile } from '../../../guard/status-file.ts';
import type { Holder } from '../../../lease/holders.ts';
import { type DiskNames, md5 } from '../../guard/disk-names.ts';

// Whose disk a lease of libvirt is. Its name is a digest, which nothing leads back from:
// either the value block of the lease says it, or a guest that this host knows has such a disk.

/** What libvirt of this host says of a guest. */
type Standing = 'running' | 'paused' | 'defined';

export interface KnownGuest {
  readonly guest: Guest;
  readonly standing: Standing;
}

export interface KnownGuests {
  readonly guests: readonly KnownGuest[];
  /** Files that could not be read, or are odd, or beyond the limits. */
  readonly skipped: number;
}

/** A guest whose disk goes by the lease. */
export interface GuestUse {
  readonly guest: string;
  readonly uuid: string;
  /** As the guest sees it: 'vda'; null: not known. */
  readonly target: string | null;
  /** The disk: a path, or what stands for one of a network. */
  readonly disk: string;
  /** 'lends': the host that has it says so in the lease, because the guest migrates. */
  readonly standing: Standing | 'lends';
}

const MAX_FILES = 4000;
const MAX_BYTES = 4 * MIB;

/** Guests that run here, and those that are only defined; each once. */
export function readGuests(from: {
  readonly running: string;
  readonly definitions: string;
}): KnownGuests {
  const guests = new Map<string, KnownGuest>();
  let skipped = 0;
  for (const folder of [from.running, from.definitions]) {
    const names = xmlFilesOf(folder);
    skipped += Math.max(0, names.length - MAX_FILES);
    for (const name of names.slice(0, MAX_FILES)) {
      const known = readGuest(join(folder, name), folder === from.running);
      if (known === null) skipped++;
      else if (!guests.has(known.guest.uuid)) guests.set(known.guest.uuid, known);
    }
  }
  return { guests: [...guests.values()], skipped };
}

function xmlFilesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.xml'));
  } catch {
    return []; // there is no libvirt here, or no guest has ever run
  }
}

/** null: it is none, or gone. */
function readGuest(path: string, isStatus: boolean): KnownGuest | null {
  try {
    const found = statSync(path);
    if (!found.isFile() || found.size > MAX_BYTES) return null;
    const xml = readFileSync(path, 'utf8');
    if (!isStatus) {
      const guest = parseGuest(xml);
      return guest.ok ? { guest: guest.value, standing: 'defined' } : null;
    }
    const status = parseStatusFile(xml);
    if (!status.ok) return null;
    const { guest, isRunning } = status.value;
    return { guest, standing: isRunning ? 'running' : 'paused' };
  } catch {
    return null;
  }
}

/**
 * The guests that have a disk of that lease: at first by the paths as they are written, which is
 * how libvirt's plugin goes; if there is none, by what is behind the paths on this host.
 * @param by.naming of all leases, the plugin's and the guard's
 * @returns `hasLooked`: a file system that hangs may keep the process from ending by itself
 */
export async function usesOf(
  leaseName: string,
  guests: readonly KnownGuest[],
  by: { readonly naming: Naming; readonly names: Pick<DiskNames, 'leasesOf'> },
): Promise<{ readonly uses: readonly GuestUse[]; readonly hasLooked: boolean }> {
  const asWritten = guests.flatMap((known) => {
    const leases = known.guest.disks.map((disk) => leasesOf([disk], by.naming, AS_WRITTEN));
    return usesIn(
      leaseName,
      known,
      leases.flatMap((found) => (found.ok ? found.value : [])),
    );
  });
  if (asWritten.length > 0) return { uses: asWritten, hasLooked: false };
  const behind = await Promise.all(
    guests.map(async (known) => {
      const found = await by.names.leasesOf(known.guest.disks);
      return usesIn(leaseName, known, found.ok ? found.value : []);
    }),
  );
  return { uses: behind.flat(), hasLooked: true };
}

/** The leases of the disks of known guests, by the paths as they are written. */
export function leasesAsWritten(
  guests: readonly KnownGuest[],
  naming: Naming,
): readonly (DiskLease & { readonly guest: string })[] {
  return guests.flatMap(({ guest }) => {
    const leases = guest.disks.map((disk) => leasesOf([disk], naming, AS_WRITTEN));
    const found = leases.flatMap((one) => (one.ok ? one.value : []));
    return found.map((lease) => ({ ...lease, guest: guest.name }));
  });
}

const AS_WRITTEN: Parameters<typeof leasesOf>[2] = {
  path: (path) => ({ realPath: path, deviceKey: null }),
  volume: () => ({ ok: false, error: 'is not looked up' }),
  md5,
};

function usesIn(
  leaseName: string,
  { guest, standing }: KnownGuest,
  leases: readonly DiskLease[],
): readonly GuestUse[] {
  return leases
    .filter(({ name }) => name === leaseName)
    .map(({ target, key }) => ({
      ...{ guest: guest.name, uuid: guest.uuid, target },
      ...{ disk: key, standing },
    }));
}

/** By the value block of the lease, if it is of a host that shares it now; those of old say nothing. */
export function lenderIn(valueBlock: Uint8Array, holders: readonly Holder[]): GuestUse | null {
  const value = decodeGuestValue(valueBlock);
  if (!value.ok || !isOfHolder(value.value, holders)) return null;
  const { guestName, uuid, key } = value.value;
  return {
    ...{ guest: nameToText(guestName), uuid: nameToText(uuid), target: null },
    ...{ disk: nameToText(key), standing: 'lends' },
  };
}

function isOfHolder({ hostId, generation }: GuestValue, holders: readonly Holder[]): boolean {
  return holders.some(
    (one) =>
      one.mode === 'shared' && BigInt(one.hostId) === hostId && one.generation === generation,
  );
}
