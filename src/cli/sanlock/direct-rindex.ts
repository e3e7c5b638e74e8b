import { type ByteString, nameToText } from '../../base/bytes.ts';
import { ERRNO } from '../../base/errno.ts';
import type { Result } from '../../base/result.ts';
import { MIB } from '../../base/units.ts';
import { geometryOf } from '../../format/geometry.ts';
import type { LeaseError } from '../../lease/lease-error.ts';
import { leaseTimes } from '../../lease/lease-times.ts';
import { formatIndex, lookUpIndex, rebuildIndex, updateIndex } from '../../lease/rindex.ts';
import type { IndexPlace } from '../../lease/rindex-area.ts';
import type { Steps } from '../../lease/steps.ts';
import type { DirectDisk } from '../../platform/disk-direct.ts';
import { SANLOCK_CODES } from '../../wire/sanlock/codes.ts';
import {
  type CommandLine,
  hasHalfSizes,
  ioTimeoutOption,
  rentryOption,
  rindexOption,
  sizesOption,
} from './command-line.ts';
import {
  byteOffset,
  defaultGeometry,
  leaseCode,
  nowMs,
  openDisk,
  runDirectly,
} from './direct-disk.ts';

/**
 * The index of resource names without a daemon, and so without its lease: for storage that no
 * host uses meanwhile. @see spec 22 §4
 */

const WRITE_TIMEOUT_MS = 60_000;

function openIndex(line: CommandLine): { disk: DirectDisk; place: IndexPlace } {
  const { lockspaceName, path, offset } = rindexOption(line);
  const place = {
    path,
    offset: byteOffset(offset),
    lockspaceName,
    readTimeoutMs: leaseTimes(ioTimeoutOption(line)).ioTimeoutMs,
    writeTimeoutMs: WRITE_TIMEOUT_MS,
  };
  return { disk: openDisk(path, 'resource'), place };
}

function entryOf(line: CommandLine): { readonly name: ByteString; readonly offset: number } {
  const { name, offset } = rentryOption(line);
  return { name, offset: Number(offset) };
}

function codeOf(disk: DirectDisk, steps: Steps<Result<unknown, LeaseError>>): number {
  const done = runDirectly(steps, { resource: disk });
  return done.ok ? 0 : leaseCode(done.error);
}

export function directFormat(line: CommandLine): number {
  if (hasHalfSizes(line)) return -ERRNO.EINVAL;
  const { disk, place } = openIndex(line);
  const { sectorSize, areaMib } = sizesOption(line);
  const geometry = geometryOf(sectorSize, areaMib * MIB) ?? defaultGeometry(disk);
  return codeOf(disk, formatIndex(place, { geometry, maxResources: 0, nowMs: nowMs() }));
}

export function directRebuild(line: CommandLine): number {
  const { disk, place } = openIndex(line);
  return codeOf(disk, rebuildIndex(null, place));
}

export function directUpdate(line: CommandLine): number {
  const { disk, place } = openIndex(line);
  const remove = line.words.z !== undefined;
  return codeOf(disk, updateIndex(null, place, { ...entryOf(line), remove }));
}

/** @param print gets the text behind the result */
export function directLookup(line: CommandLine, print: (text: string) => void): number {
  const { disk, place } = openIndex(line);
  const found = runDirectly(lookUpIndex(place, entryOf(line)), { resource: disk });
  if (!found.ok) return leaseCode(found.error);
  const { name, offset, differs } = found.value;
  if (differs) return SANLOCK_CODES.RINDEX_DIFF;
  print(`name ${nameToText(name) || '-'} offset ${offset}\n`);
  return 0;
}
