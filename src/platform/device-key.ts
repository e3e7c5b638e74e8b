import { readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const BLOCK_DEVICE = 0o060000;
const TYPE = 0o170000;
const MAX_DEPTH = 8; // partitions of a multipath device of …: each step names another device

/**
 * What a block device is called on every host that sees it: not by its number or its node, which
 * are this host's, but by what it says of itself.
 * @param sys '/sys'
 * @returns 'lvm:<VG UUID><LV UUID>', 'wwid:3600…', 'md:…', '…-part2'; the path of the file behind a
 *   loop device; null: no block device, or one that says nothing of itself
 */
export function deviceKey(path: string, sys = '/sys'): string | null {
  try {
    const { mode, rdev } = statSync(path);
    if ((mode & TYPE) !== BLOCK_DEVICE) return null;
    return keyOfNumber(numberText(rdev), sys);
  } catch {
    return null; // it is gone, or is not ours to look at
  }
}

/** @param number 'major:minor' */
export function keyOfNumber(number: string, sys = '/sys'): string | null {
  try {
    return keyOf(realpathSync(join(sys, 'dev/block', number)), 0);
  } catch {
    return null;
  }
}

/** As the kernel writes device numbers; glibc's layout of dev_t. */
function numberText(rdev: number): string {
  const major = Math.floor(rdev / 0x100) % 0x1000;
  const minor = (rdev % 0x100) + Math.floor(rdev / 0x100000) * 0x100;
  return `${major}:${minor}`;
}

/** @param at the folder of the device in sysfs */
function keyOf(at: string, depth: number): string | null {
  if (depth > MAX_DEPTH) return null;
  const partition = attribute(at, 'partition');
  if (partition !== null) {
    const whole = keyOf(dirname(at), depth + 1);
    return whole === null ? null : `${whole}-part${partition}`;
  }
  return mapperKey(at) ?? loopKey(at) ?? arrayKey(at) ?? ownKey(at);
}

/** By device-mapper's uuid, which is made by who made the device. */
function mapperKey(at: string): string | null {
  const uuid = attribute(at, 'dm/uuid');
  if (uuid === null || uuid === '') return null;
  const volume = /^LVM-([0-9A-Za-z]{64})$/.exec(uuid)?.[1];
  if (volume !== undefined) return `lvm:${volume}`;
  const part = /^part(\d+)-(.*)$/s.exec(uuid);
  const wwid = /^mpath-(.+)$/s.exec(part?.[2] ?? uuid)?.[1];
  if (wwid === undefined) return `dm:${uuid}`;
  const whole = `wwid:${spelled(wwid)}`;
  return part === null ? whole : `${whole}-part${part[1]}`;
}

function loopKey(at: string): string | null {
  const file = attribute(at, 'loop/backing_file');
  if (file === null || file === '') return null;
  const offset = attribute(at, 'loop/offset') ?? '0';
  const bytes = attribute(at, 'loop/sizelimit') ?? '0';
  return offset === '0' && bytes === '0' ? file : `loop:${file}:${offset}:${bytes}`;
}

function arrayKey(at: string): string | null {
  const uuid = attribute(at, 'md/uuid');
  return uuid === null || uuid === '' ? null : `md:${uuid}`;
}

/** SCSI and NVMe: the name that the drive itself has for all its paths. */
function ownKey(at: string): string | null {
  const isNvme = basename(at).startsWith('nvme');
  const wwid = attribute(at, 'wwid') ?? attribute(at, 'device/wwid');
  if (wwid === null || wwid === '') return null;
  return `wwid:${isNvme ? spelled(wwid) : asMultipath(wwid)}`;
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
