import { readdirSync, readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const BLOCK_DEVICE = 0o060000;
const TYPE = 0o170000;
const MAX_DEPTH = 8; // partitions of a multipath device of …: each step names another device

/** 'major:minor' of a block device; null: it is none. */
export function blockDeviceNumber({ mode, rdev }: Pick<Stats, 'mode' | 'rdev'>): string | null {
  return (mode & TYPE) === BLOCK_DEVICE ? numberText(rdev) : null;
}

/**
 * What a block device is called on every host that sees it: not by its number or its node, which
 * are this host's, but by what it says of itself.
 * @param number 'major:minor'
 * @param sys '/sys'
 * @returns 'lvm:<VG UUID><LV UUID>', 'wwid:3600…', 'md:…', '…-part2', 'rbd:<FSID>/pool/image'; the
 *   path of what every host names alike: the file behind a loop device, a map of device-mapper, a
 *   DRBD; null: it says nothing of itself
 */
export function keyOfNumber(number: string, sys = '/sys'): string | null {
  try {
    return keyOf(realpathSync(join(sys, 'dev/block', number)), { sys, depth: 0 });
  } catch {
    return null; // it is gone
  }
}

/**
 * What that device is called, and every device that it lies on: of an encrypted LV the LV too.
 * @param number 'major:minor'
 */
export function keysUnder(number: string, sys = '/sys'): readonly string[] {
  const keys = new Set<string>();
  const look = (at: string, depth: number): void => {
    const key = keyOf(at, { sys, depth });
    if (key !== null) keys.add(key);
    if (depth >= MAX_DEPTH) return;
    for (const slave of slavesOf(at)) look(realpathSync(join(at, 'slaves', slave)), depth + 1);
  };
  try {
    look(realpathSync(join(sys, 'dev/block', number)), 0);
  } catch {
    // it is gone
  }
  return [...keys];
}

function slavesOf(at: string): readonly string[] {
  try {
    return readdirSync(join(at, 'slaves'));
  } catch {
    return []; // it lies on none
  }
}

/** As the kernel writes device numbers; glibc's layout of dev_t. */
function numberText(rdev: number): string {
  const major = Math.floor(rdev / 0x100) % 0x1000;
  const minor = (rdev % 0x100) + Math.floor(rdev / 0x100000) * 0x100;
  return `${major}:${minor}`;
}

interface Place {
  readonly sys: string;
  readonly depth: number;
}

/** @param at the folder of the device in sysfs */
function keyOf(at: string, { sys, depth }: Place): string | null {
  if (depth > MAX_DEPTH) return null;
  const partition = attribute(at, 'partition');
  if (partition !== null) {
    const whole = keyOf(dirname(at), { sys, depth: depth + 1 });
    return whole === null ? null : `${whole}-part${partition}`;
  }
  return (
    mapperKey(at) ??
    loopKey(at, { sys, depth }) ??
    arrayKey(at) ??
    imageKey(at) ??
    replicaKey(at) ??
    ownKey(at)
  );
}

/** By device-mapper's uuid, which is made by who made the device; else by the name it was given. */
function mapperKey(at: string): string | null {
  const uuid = attribute(at, 'dm/uuid');
  if (uuid === null) return null;
  if (uuid === '') return mapPath(at);
  const volume = /^LVM-([0-9A-Za-z]{64})$/.exec(uuid)?.[1];
  if (volume !== undefined) return `lvm:${volume}`;
  // The rest is the name under which this host has opened it.
  const luks = /^CRYPT-(LUKS\d-[0-9a-f]{32})-/.exec(uuid)?.[1];
  if (luks !== undefined) return `dm:CRYPT-${luks}`;
  const part = /^part(\d+)-(.*)$/s.exec(uuid);
  const wwid = /^mpath-(.+)$/s.exec(part?.[2] ?? uuid)?.[1];
  if (wwid === undefined) return `dm:${uuid}`;
  const whole = `wwid:${spelled(wwid)}`;
  return part === null ? whole : `${whole}-part${part[1]}`;
}

function mapPath(at: string): string | null {
  const name = attribute(at, 'dm/name');
  return name === null || name === '' ? null : `/dev/mapper/${name}`;
}

function loopKey(at: string, place: Place): string | null {
  const file = attribute(at, 'loop/backing_file');
  if (file === null || file === '') return null;
  const behind = file.startsWith('/dev/') ? (keyBehind(file, place) ?? file) : file;
  const offset = attribute(at, 'loop/offset') ?? '0';
  const bytes = attribute(at, 'loop/sizelimit') ?? '0';
  return offset === '0' && bytes === '0' ? behind : `loop:${behind}:${offset}:${bytes}`;
}

/** A loop device over a device is that device. */
function keyBehind(node: string, { sys, depth }: Place): string | null {
  try {
    const number = blockDeviceNumber(statSync(node)); // in /dev, which never hangs
    if (number === null) return null;
    return keyOf(realpathSync(join(sys, 'dev/block', number)), { sys, depth: depth + 1 });
  } catch {
    return null;
  }
}

function arrayKey(at: string): string | null {
  const uuid = attribute(at, 'md/uuid');
  return uuid === null || uuid === '' ? null : `md:${uuid}`;
}

/** An image of Ceph that the kernel has mapped. */
function imageKey(at: string): string | null {
  if (!/^rbd\d+$/.test(basename(at))) return null;
  const [fsid, pool, namespace, image, snapshot] = [
    ...['cluster_fsid', 'pool', 'pool_ns', 'name', 'current_snap'],
  ].map((name) => attribute(at, `device/${name}`) ?? '');
  if (!fsid || !pool || !image) return null;
  const isSnapshot = snapshot !== '' && snapshot !== '-';
  const path = [pool, namespace, image].filter((part) => part !== '').join('/');
  return `rbd:${fsid}/${path}${isSnapshot ? `@${snapshot}` : ''}`;
}

/** Its number is of its configuration, which is the same on its hosts. */
function replicaKey(at: string): string | null {
  return /^drbd\d+$/.test(basename(at)) ? `/dev/${basename(at)}` : null;
}

/** SCSI, NVMe and virtio: the name that the drive itself has for all its paths. */
function ownKey(at: string): string | null {
  const name = basename(at);
  const wwid = attribute(at, 'wwid') ?? attribute(at, 'device/wwid');
  if (wwid !== null && wwid !== '') {
    return `wwid:${name.startsWith('nvme') ? spelled(wwid) : asMultipath(wwid)}`;
  }
  const serial = name.startsWith('vd') ? attribute(at, 'serial') : null;
  return serial === null || serial === '' ? null : `virtio:${spelled(serial)}`;
}

/** The kernel writes 'naa.600…', multipath '3600…': one drive, with multipath or without. */
function asMultipath(wwid: string): string {
  const kinds = { 'naa.': '3', 'eui.': '2', 't10.': '1' } as const;
  for (const [kernel, multipath] of Object.entries(kinds)) {
    if (wwid.startsWith(kernel)) return spelled(`${multipath}${wwid.slice(kernel.length)}`);
  }
  return spelled(wwid);
}

/** T10 names are padded with blanks, which multipath writes as underscores. */
function spelled(wwid: string): string {
  return wwid.trim().replace(/[\s_]+/g, '_');
}

/** null: there is none. */
function attribute(at: string, name: string): string | null {
  try {
    return readFileSync(join(at, name), 'utf8').trim();
  } catch {
    return null;
  }
}
