import type { ByteString } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import { fail, ok, type Result } from '../base/result.ts';
import { MIB } from '../base/units.ts';
import { decode, encodeInto, zeroRecord } from '../codec/struct.ts';
import { type Geometry, geometryOf } from '../format/geometry.ts';
import {
  type IndexEntry,
  type IndexHeader,
  indexEntry,
  indexHeader,
  RINDEX_DISK_MAGIC,
  RINDEX_DISK_VERSION,
} from '../format/resource-index.ts';
import { errnoError, leaseError, readSpan } from './io.ts';
import type { LeaseError } from './lease-error.ts';
import type { Steps } from './steps.ts';
import { sameMajor } from './verify.ts';

/** Where an index lies, on the disk named 'resource', and how long its reads may take. */
export interface IndexPlace {
  readonly path: ByteString;
  readonly offset: number;
  readonly lockspaceName: ByteString;
  readonly readTimeoutMs: number;
  /** For whole areas. */
  readonly writeTimeoutMs: number;
}

/** What a good header says. */
export interface IndexShape {
  readonly geometry: Geometry;
  readonly maxResources: number;
}

/** The whole index area as read; `bytes` is a copy. */
export interface IndexArea extends IndexShape {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** The index and its lease, before the first resource. */
const AREAS_BEFORE = 2;
const HEADER_READ_BYTES = 4096;
const DEFAULT_MAX_RESOURCES = 4096;
/** How many entries a header may promise, by area size: all fit behind it (spec 10 §11). */
const MOST_RESOURCES: ReadonlyMap<number, number> = new Map([
  [MIB, 16_000],
  [2 * MIB, 32_000],
  [4 * MIB, 64_000],
  [8 * MIB, 128_000],
]);

/**
 * How many entries an index of these sizes gets.
 * @param wanted 0 = 4096; more than the area can list is cut
 */
export function maxResourcesFor(geometry: Geometry, wanted: number): number {
  const most = MOST_RESOURCES.get(geometry.areaBytes) ?? DEFAULT_MAX_RESOURCES;
  return Math.min(wanted === 0 ? DEFAULT_MAX_RESOURCES : wanted, most);
}

/**
 * The header of an index to be written. Its flags are the area's MiB, unlike a leader's (spec 10
 * §4.4).
 */
export function indexHeaderOf(
  geometry: Geometry,
  from: { readonly maxResources: number; readonly offset: number; readonly name: ByteString },
): IndexHeader {
  return {
    ...zeroRecord(indexHeader),
    magic: RINDEX_DISK_MAGIC,
    version: RINDEX_DISK_VERSION,
    flags: geometry.areaBytes / MIB,
    sectorSize: geometry.sectorSize,
    maxResources: from.maxResources,
    rxOffset: BigInt(from.offset),
    spaceName: from.name,
  };
}

/**
 * Reads and checks the header of an index.
 * @returns its sizes; RINDEX_MAGIC, RINDEX_VERSION, RINDEX_LOCKSPACE, RINDEX_OFFSET, ERRNO EINVAL
 *   for sizes that no index has; AIO_TIMEOUT.
 */
export function* readIndexShape(place: IndexPlace): Steps<Result<IndexShape, LeaseError>> {
  const read = yield* readSpan(
    {
      disk: 'resource',
      offset: place.offset,
      length: HEADER_READ_BYTES,
      timeoutMs: place.readTimeoutMs,
    },
    'index header read',
  );
  return read.ok ? checkHeader(read.value.value, place) : read;
}

/** Header checks of every operation, in this order (spec 10 §11). */
function checkHeader(bytes: Uint8Array, place: IndexPlace): Result<IndexShape, LeaseError> {
  const during = 'index header';
  const header = decode(indexHeader, bytes);
  if (header.magic !== RINDEX_DISK_MAGIC) {
    return fail(leaseError('RINDEX_MAGIC', during, { found: header.magic }));
  }
  if (!sameMajor(header.version, RINDEX_DISK_VERSION)) {
    return fail(leaseError('RINDEX_VERSION', during, { found: header.version }));
  }
  if (header.spaceName !== place.lockspaceName) {
    const facts = { found: header.spaceName, wanted: place.lockspaceName };
    return fail(leaseError('RINDEX_LOCKSPACE', during, facts));
  }
  const geometry = geometryOf(header.sectorSize, (header.flags & 0xf) * MIB);
  const aligned = geometry !== null && place.offset % geometry.areaBytes === 0;
  if (header.rxOffset !== BigInt(place.offset) || (geometry !== null && !aligned)) {
    const facts = { found: header.rxOffset, wanted: place.offset };
    return fail(leaseError('RINDEX_OFFSET', during, facts));
  }
  const { maxResources, sectorSize, flags } = header;
  // A header damaged here would send writes outside of the index.
  if (geometry === null || maxResources > maxResourcesFor(geometry, maxResources)) {
    return fail(errnoError(ERRNO.EINVAL, during, { sectorSize, flags, maxResources }));
  }
  return ok({ geometry, maxResources });
}

/**
 * Reads all of an index.
 * @param shape as its header said before
 * @returns what the header is refused with; ERRNO EAGAIN where the index was formatted anew since.
 */
export function* readIndexArea(
  place: IndexPlace,
  shape: IndexShape,
): Steps<Result<IndexArea, LeaseError>> {
  const { offset } = place;
  const length = shape.geometry.areaBytes;
  const span = { disk: 'resource', offset, length, timeoutMs: place.readTimeoutMs } as const;
  const read = yield* readSpan(span, 'index read');
  if (!read.ok) return read;
  const bytes = read.value.value.slice();
  const again = checkHeader(bytes, place);
  if (!again.ok) return again;
  if (again.value.geometry !== shape.geometry) {
    const { areaBytes } = again.value.geometry;
    return fail(errnoError(ERRNO.EAGAIN, 'index read, formatted anew', { areaBytes }));
  }
  return ok({ ...again.value, offset, bytes });
}

/** Where the resource of entry `n` lies, in bytes on the device. */
export function resourceOffset(index: IndexShape & { readonly offset: number }, n: number): number {
  return index.offset + (AREAS_BEFORE + n) * index.geometry.areaBytes;
}

/** The entry for a resource at `offset`; null when the index has none for that place. */
export function entryNumber(
  index: IndexShape & { readonly offset: number },
  offset: number,
): number | null {
  const n = (offset - index.offset) / index.geometry.areaBytes - AREAS_BEFORE;
  return Number.isInteger(n) && n >= 0 && n < index.maxResources ? n : null;
}

function entryPosition(geometry: Geometry, n: number): number {
  return geometry.sectorSize + n * indexEntry.size;
}

/** Entry `n` (0..maxResources − 1) of an index as read. */
export function entryAt(index: IndexArea, n: number): IndexEntry {
  return decode(indexEntry, index.bytes, entryPosition(index.geometry, n));
}

/** The first entry that fits; null = none does. */
export function findEntry(
  index: IndexArea,
  fits: (entry: IndexEntry, n: number) => boolean,
): number | null {
  for (let n = 0; n < index.maxResources; n++) if (fits(entryAt(index, n), n)) return n;
  return null;
}

/**
 * An entry that is free or says where its own place is. @returns RINDEX_OFFSET for any other: a
 * lease would be sought, or cleared, in another's area (spec 10 §4.6)
 */
export function listedAt(
  index: IndexArea,
  n: number,
  during: string,
): Result<IndexEntry, LeaseError> {
  const entry = entryAt(index, n);
  const wanted = resourceOffset(index, n);
  if (isFree(entry) || entry.resourceOffset === BigInt(wanted)) return ok(entry);
  const facts = { name: entry.resourceName, entry: n, found: entry.resourceOffset, wanted };
  return fail(leaseError('RINDEX_OFFSET', during, facts));
}

/** Free: no offset and no name (spec 10 §4.5). */
export function isFree(entry: IndexEntry): boolean {
  return entry.resourceOffset === 0n && entry.resourceName === '';
}

/** Writes entry `n` into the bytes of an index area; null = free. */
export function putEntry(
  bytes: Uint8Array,
  geometry: Geometry,
  n: number,
  entry: { readonly name: ByteString; readonly offset: number } | null,
): void {
  const record = {
    ...zeroRecord(indexEntry),
    resourceName: entry?.name ?? '',
    resourceOffset: BigInt(entry?.offset ?? 0),
  };
  encodeInto(indexEntry, record, bytes, entryPosition(geometry, n));
}

/** The one sector that holds entry `n`, and where it goes. */
export function entrySector(
  index: IndexArea,
  n: number,
): { readonly offset: number; readonly bytes: Uint8Array } {
  const { sectorSize } = index.geometry;
  const start = Math.floor(entryPosition(index.geometry, n) / sectorSize) * sectorSize;
  return { offset: index.offset + start, bytes: index.bytes.slice(start, start + sectorSize) };
}
