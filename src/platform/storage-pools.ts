import { readdirSync, realpathSync } from 'node:fs';
import { opendir, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fail, ok, type Result } from '../base/result.ts';
import { MIB } from '../base/units.ts';
import { readBounded } from './bounded-file.ts';
import { errnoNameOf } from './system-error.ts';
import { textOf } from './text-file.ts';

/** Where libvirt keeps the XML of its storage pools, as NAME.xml. */
export const POOL_FOLDERS = {
  /** Of those that are active: what counts. */
  active: '/run/libvirt/storage',
  /** Of those that are defined; an active one may have been edited since. */
  defined: '/etc/libvirt/storage',
} as const;

const MAX_BYTES = MIB;
const MAX_NAME_BYTES = 250;
/** Of a folder such as /dev/disk/by-path. */
const MAX_LINKS = 100_000;

/**
 * The XML of a storage pool of this host.
 * @returns the text, or why there is none, in half a sentence
 */
export async function readPool(
  name: string,
  folders: { readonly active: string; readonly defined: string } = POOL_FOLDERS,
): Promise<Result<string, string>> {
  // libvirt refuses such names, too; no name leaves the folder.
  if (name === '' || /[/\0]/.test(name) || Buffer.byteLength(name) > MAX_NAME_BYTES) {
    return fail('a storage pool has no such name');
  }
  for (const folder of [folders.active, folders.defined]) {
    try {
      return ok(await readBounded(join(folder, `${name}.xml`), MAX_BYTES));
    } catch (error) {
      const errno = errnoNameOf(error);
      if (errno !== 'ENOENT') return fail(`its file cannot be read (${errno ?? 'unknown error'})`);
    }
  }
  return fail('this host has no storage pool of that name');
}

/**
 * The device of a SCSI unit.
 * @param host its number, or the iSCSI target that it has a session with
 * @returns '/dev/sdb'; null: there is none
 */
export function deviceOfUnit(
  of: {
    readonly host: number | { readonly iqn: string };
    readonly bus: number;
    readonly target: number;
    readonly lun: number;
  },
  sys = '/sys',
): string | null {
  const host = typeof of.host === 'number' ? of.host : hostOfSession(of.host.iqn, sys);
  if (host === null) return null;
  const unit = `${host}:${of.bus}:${of.target}:${of.lun}`;
  const [name] = namesIn(join(sys, 'bus/scsi/devices', unit, 'block'));
  return name === undefined ? null : `/dev/${name}`;
}

function hostOfSession(iqn: string, sys: string): number | null {
  const sessions = join(sys, 'class/iscsi_session');
  for (const session of namesIn(sessions)) {
    if (textOf(join(sessions, session, 'targetname'))?.trim() !== iqn) continue;
    for (const name of namesIn(join(sessions, session, 'device'))) {
      const host = /^target(\d{1,6}):/.exec(name)?.[1];
      if (host !== undefined) return Number(host);
    }
  }
  return null;
}

/** The device of a partition: where its disk is, without links. A multipath map stays as it is. */
export function deviceOfPartition(disk: string, name: string): string {
  return join(dirname(disk.startsWith('/dev/mapper/') ? disk : realPathOf(disk)), name);
}

/**
 * The path under which libvirt gives a device to a guest: the first link to it in the folder of its
 * pool, in the order of the folder; where there is none, or the folder has no such links, its own.
 */
export async function linkIn(folder: string, device: string): Promise<string> {
  if (!/^\/dev\/./.test(folder)) return device;
  const wanted = realPathOf(device);
  try {
    let links = 0;
    for await (const { name } of await opendir(folder)) {
      if (++links > MAX_LINKS) break;
      const link = `${folder}/${name}`;
      if ((await realpath(link).catch(() => null)) === wanted) return link;
    }
  } catch {
    // There is no such folder.
  }
  return device;
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).map((name) => basename(name));
  } catch {
    return [];
  }
}
